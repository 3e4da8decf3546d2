//! The encoder as its users see it, on the real model.

#![allow(clippy::unwrap_used)]

mod encoding;
mod fixture;
mod model_files;
