//! A timer of an actor that can be moved or taken away.
//!
//! actix cancels futures by their number, and numbers start anew with a restart: a cancellation that was noted just
//! before a panic hits an unrelated future after it. This timer is taken away by dropping it, and never by number.

use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Actor, AsyncContext, Context};
use futures_util::future::{AbortHandle, abortable};
use tokio::time::sleep;

/// Fires once, unless it is dropped or the actor restarts before.
pub struct Timer {
    handle: AbortHandle,
}

impl Timer {
    /// Calls `then` after `wait`.
    pub fn start<A: Actor<Context = Context<A>>>(
        wait: Duration,
        context: &mut Context<A>,
        then: fn(&mut A, &mut Context<A>),
    ) -> Self {
        let (sleeping, handle) = abortable(sleep(wait));
        context.spawn(wrap_future::<_, A>(sleeping).map(move |end, actor, context| {
            if end.is_ok() {
                then(actor, context);
            }
        }));
        Self { handle }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.handle.abort();
    }
}
