//! The way from an actor that can't go on to an ordered shutdown.

use tokio::sync::mpsc;

/// An actor's handle to give up with. Cheap to clone.
#[derive(Clone)]
pub struct Escalation {
    sender: mpsc::UnboundedSender<String>,
}

/// The service's end: yields why an actor gave up.
pub struct Escalations {
    receiver: mpsc::UnboundedReceiver<String>,
}

/// A connected pair.
pub fn escalations() -> (Escalation, Escalations) {
    // Unbounded, since the first one already ends the service.
    let (sender, receiver) = mpsc::unbounded_channel();
    (Escalation { sender }, Escalations { receiver })
}

impl Escalation {
    /// Asks for an ordered shutdown; says so even if nobody listens any more.
    pub fn escalate(&self, actor: &str, reason: &str) {
        tracing::error!(actor, reason, "an actor gave up, the service shuts down");
        let _ = self.sender.send(format!("{actor}: {reason}"));
    }
}

impl Escalations {
    /// Waits for the first actor that gives up; pending for ever when none can any more.
    pub async fn next(&mut self) -> String {
        match self.receiver.recv().await {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}
