//! How many threads torch may use: the one that calls it.

use std::{panic, sync::Once};

/// Gives this thread one torch thread: itself. Returns the guard under which nothing is recorded
/// for gradients.
pub(crate) fn become_torch_thread() -> tch::NoGradGuard {
    static INTEROP: Once = Once::new();
    INTEROP.call_once(|| {
        // Torch allows this once per process; somebody else's choice stays, and harms nobody here.
        if tch::get_num_interop_threads() != 1 {
            let _ = panic::catch_unwind(|| tch::set_num_interop_threads(1));
        }
    });
    tch::set_num_threads(1);
    tch::no_grad_guard()
}
