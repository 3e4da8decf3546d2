//! What a thread must say to torch before it computes.

use std::{
    panic,
    sync::{
        Once,
        atomic::{AtomicI32, Ordering},
    },
};

/// Torch's name for messages that are errors.
const ERROR: i32 = 2;

#[allow(unsafe_code)]
unsafe extern "C" {
    /// The least level that torch writes to stderr.
    #[link_name = "FLAGS_caffe2_log_level"]
    safe static LOG_LEVEL: AtomicI32;
}

/// Gives this thread one torch thread: itself. Returns the guard under which nothing is recorded
/// for gradients.
pub(crate) fn become_torch_thread() -> tch::NoGradGuard {
    static PROCESS: Once = Once::new();
    PROCESS.call_once(|| {
        // On every start it would warn that the int8 products may go in some later version.
        LOG_LEVEL.store(ERROR, Ordering::Relaxed);
        // Torch allows this once per process; somebody else's choice stays, and harms nobody here.
        if tch::get_num_interop_threads() != 1 {
            let _ = panic::catch_unwind(|| tch::set_num_interop_threads(1));
        }
    });
    tch::set_num_threads(1);
    tch::no_grad_guard()
}
