//! Supervision on actix: a panic in a handler costs the message in hand and nothing else.
//!
//! actix has no panic handling: a panic unwinds out of the actor's future and the mailbox dies with it.
//! [`supervise`] owns that future, catches the panic at the poll, waits out a backoff and restarts the actor in
//! place, so that its address, every clone of it and the queued messages stay valid. An actor that panics
//! too often escalates: the service shuts down in order and leaves the restart to the container runtime.
//! Each actor's [`ActorCell`] is read from outside, and restarts by hand are asked of it; nobody ever asks a busy actor how
//! it is.

mod activity;
mod cell;
mod escalation;
mod keyed;
mod panics;
mod policy;
mod supervised;
mod timer;

pub use activity::{Activity, look_at};
pub use cell::{ActorCell, ActorReport, ActorState, InFlight, NoRestart};
pub use escalation::{Escalation, Escalations, escalations};
pub(crate) use keyed::{Keyed, Recovery};
pub use panics::log_panics;
pub use policy::RestartPolicy;
pub use supervised::{Restartable, supervise};
pub use timer::Timer;
