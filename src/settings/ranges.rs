//! The ranges of the numbers outside the profiles: one that would stop the flow is refused at the start, and at a reload.

use std::time::Duration;

use super::load::Settings;

/// More permits or places than this are a slip of the finger.
const MANY: usize = 1_000_000;
/// So are more threads than this: no machine has as many cores.
const MOST_THREADS: usize = 4096;

/// A thread of the encoder that shows no life for less may only be busy.
const SHORTEST_HANG: Duration = Duration::from_millis(500);

impl Settings {
    /// The first value out of its range, in words that name its key and the range.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_counts()?;
        self.check_times()?;
        self.check_forgetting()?;
        self.check_load_shedding()?;
        self.traces.check()?;
        self.check_access()
    }

    fn check_counts(&self) -> Result<(), String> {
        let (pipeline, buffer, cxone) = (&self.pipeline, &self.buffer, &self.cxone);
        // (key, value, smallest, largest)
        let counts = [
            ("api.workers", self.api.workers, 1, 256),
            ("api.max_body_bytes", self.api.max_body_bytes, 1024, 64 << 20),
            ("admin.max_body_bytes", self.admin.max_body_bytes, 1024, 64 << 20),
            ("encoder.threads", self.encoder.threads.resolve(|_| 1), 1, MOST_THREADS),
            ("search.threads", self.search.threads.resolve(|_| 1), 1, MOST_THREADS),
            ("encoder.live_queue", self.encoder.live_queue, 1, MANY),
            ("encoder.max_batch", self.encoder.max_batch, 1, 1024),
            ("pipeline.in_flight", pipeline.in_flight, 1, 65_536),
            ("pipeline.queue", pipeline.queue, 1, MANY),
            ("buffer.max_turns", buffer.max_turns, 1, 10_000),
            ("buffer.max_bytes", buffer.max_bytes, 256, 64 << 20),
            ("buffer.conversations", buffer.conversations, 1, 100 * MANY),
            ("cxone.max_message_bytes", cxone.max_message_bytes, 256, 1 << 30),
            ("cxone.max_answer_bytes", cxone.max_answer_bytes, 256, 1 << 30),
            ("cxone.max_articles_bytes", cxone.max_articles_bytes, 1024, 4 << 30),
            ("delivery.in_flight", self.delivery.in_flight, 1, 65_536),
            ("log.flood_limit", self.log.flood_limit, 0, MANY),
            ("supervision.max_restarts", self.supervision.max_restarts, 1, MANY),
        ];
        let outside = counts.iter().find(|(_, value, smallest, largest)| !(smallest..=largest).contains(&value));
        outside.map_or(Ok(()), |(key, value, smallest, largest)| {
            Err(format!("`{key}` is {value}; it must be {smallest} to {largest}"))
        })
    }

    fn check_times(&self) -> Result<(), String> {
        let (buffer, cxone) = (&self.buffer, &self.cxone);
        let times = [
            ("buffer.pause_after_last", buffer.pause_after_last),
            ("buffer.pause_after_first", buffer.pause_after_first),
            ("buffer.unnamed_wait", buffer.unnamed_wait),
            ("buffer.forget_after", buffer.forget_after),
            ("cxone.attempt_timeout", cxone.attempt_timeout),
            ("cxone.connect_timeout", cxone.connect_timeout),
            ("cxone.handshake_timeout", cxone.handshake_timeout),
            ("cxone.ping_interval", cxone.ping_interval),
            ("cxone.pong_timeout", cxone.pong_timeout),
            ("cxone.articles_timeout", cxone.articles_timeout),
            ("cxone.articles_idle_timeout", cxone.articles_idle_timeout),
            ("cxone.keep_alive", cxone.keep_alive),
            ("cxone.longest_hold", cxone.longest_hold),
            ("access.head_timeout", self.access.head_timeout),
            ("access.body_timeout", self.access.body_timeout),
            ("access.keep_alive", self.access.keep_alive),
            ("access.answer_timeout", self.access.answer_timeout),
            ("supervision.window", self.supervision.window),
            ("shutdown.grace", self.shutdown.grace),
        ];
        let allowed = Duration::from_millis(1)..=Duration::from_hours(24);
        if let Some((key, time)) = times.iter().find(|(_, time)| !allowed.contains(time)) {
            return Err(format!("`{key}` is {time:?}; it must be 1ms to 24h"));
        }
        let hang_timeout = self.encoder.hang_timeout;
        if !(SHORTEST_HANG..=Duration::from_hours(24)).contains(&hang_timeout) {
            return Err(format!(
                "`encoder.hang_timeout` is {hang_timeout:?}; it must be 500ms to 24h: a busy thread shows life less often"
            ));
        }
        // Nothing is kept so exactly that a minute matters, and no time at all would end the upkeep.
        let purge_every = self.retention.purge_every;
        if !(Duration::from_mins(1)..=Duration::from_hours(7 * 24)).contains(&purge_every) {
            return Err(format!("`retention.purge_every` is {purge_every:?}; it must be 1m to 7d"));
        }
        Ok(())
    }

    /// A window that is forgotten before its longest pause is over loses words.
    fn check_forgetting(&self) -> Result<(), String> {
        let (forget_after, pause) = (self.buffer.forget_after, self.buffer.pause_after_first);
        if forget_after <= pause {
            return Err(format!(
                "`buffer.forget_after` is {forget_after:?}; it must be longer than `buffer.pause_after_first`, {pause:?}"
            ));
        }
        Ok(())
    }

    fn check_load_shedding(&self) -> Result<(), String> {
        let pipeline = &self.pipeline;
        let steps = [pipeline.newest_turn_after, pipeline.lexical_only_after, pipeline.drop_oldest_after];
        if steps[0].is_zero() || !steps.is_sorted() {
            let keys = "`pipeline.newest_turn_after`, `pipeline.lexical_only_after` and `pipeline.drop_oldest_after`";
            return Err(format!("{keys} must be more than 0 and each no shorter than the one before"));
        }
        Ok(())
    }
}
