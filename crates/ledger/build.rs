//! Has the crate built again when a migration is added: the macro that embeds them reads a directory.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
