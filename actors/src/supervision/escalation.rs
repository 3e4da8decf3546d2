//! The way from an actor that can't go on to an ordered shutdown.

use cuecard_engine::encoder::Encoder;
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

    /// Asks for it when too many threads of an encoder hang: they can't be ended but with the process.
    pub async fn when_given_up(self, encoder: Encoder) {
        encoder.given_up().await;
        self.escalate("encoder", "two of its threads hang, and only a new process ends them");
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cuecard_engine::encoder::EncoderHealth;
    use tokio::sync::watch;
    use tokio::time::timeout;

    use super::*;
    use crate::testing::soon;

    #[tokio::test(start_paused = true)]
    async fn the_second_thread_of_an_encoder_that_hangs_ends_the_service() {
        let (threads, health) = watch::channel(EncoderHealth::default());
        let (escalation, mut escalations) = escalations();
        tokio::spawn(escalation.when_given_up(Encoder::scripted_on_threads(health)));
        threads.send_modify(|health| health.panicked = 9);
        threads.send_modify(|health| health.away = 1);
        assert!(timeout(Duration::from_secs(1), escalations.next()).await.is_err(), "one is replaced");
        threads.send_modify(|health| health.away = 2);
        assert!(soon("an escalation", escalations.next()).await.starts_with("encoder: two of its threads hang"));
    }
}
