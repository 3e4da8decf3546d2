//! What an agent's screen shows: the first card of the newest push, since that is where agents look, for as long as cards
//! are taken to stand. The desktop tells nobody when one goes.

use std::time::{Duration, Instant};

/// Pushes remembered: more are never taken back.
const REMEMBERED: usize = 8;

/// The cards of one interaction.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// First cards in the order of their pushes.
    pushed: Vec<Pushed>,
    /// Articles that the agent did not want to see, and when that was said.
    rejected: Vec<(String, Instant)>,
}

#[derive(Debug, Clone)]
struct Pushed {
    article_id: String,
    utterance: u64,
    at: Instant,
}

impl Screen {
    /// The article on top, if the push that brought it is not longer ago than cards stand.
    pub fn standing(&self, now: Instant, screen_time: Duration) -> Option<&str> {
        let newest = self.pushed.last()?;
        (now.saturating_duration_since(newest.at) < screen_time).then_some(newest.article_id.as_str())
    }

    /// Notes that the article goes to the screen as the first card.
    pub fn note(&mut self, article_id: &str, utterance: u64, now: Instant) {
        if self.pushed.len() == REMEMBERED {
            self.pushed.remove(0);
        }
        self.pushed.push(Pushed { article_id: article_id.to_owned(), utterance, at: now });
    }

    /// The agent does not want to see this article: it goes from the screen, and nothing stands there.
    pub fn reject(&mut self, article_id: &str, now: Instant) {
        if self.pushed.last().is_some_and(|newest| newest.article_id == article_id) {
            self.pushed.clear();
        }
        self.rejected.retain(|(rejected, _)| rejected != article_id);
        if self.rejected.len() == REMEMBERED {
            self.rejected.remove(0);
        }
        self.rejected.push((article_id.to_owned(), now));
    }

    /// Whether the agent rejected the article less than this time ago.
    pub fn is_rejected(&self, article_id: &str, now: Instant, cooldown: Duration) -> bool {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < cooldown;
        self.rejected.iter().any(|(rejected, at)| rejected == article_id && is_fresh(*at))
    }

    /// Takes back what this utterance brought and never reached the screen: what was there before it stands on.
    pub fn forget(&mut self, article_id: &str, utterance: u64) {
        self.pushed.retain(|pushed| pushed.utterance != utterance || pushed.article_id != article_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_card_stands_for_its_time_and_one_that_never_came_leaves_the_one_before() {
        let (start, minute) = (Instant::now(), Duration::from_mins(1));
        let mut screen = Screen::default();
        assert_eq!(screen.standing(start, minute), None);
        screen.note("a", 1, start);
        screen.note("b", 2, start + minute / 2);
        assert_eq!(screen.standing(start + minute, minute), Some("b"));
        assert_eq!(screen.standing(start + minute * 3 / 2, minute), None, "its time is over");
        screen.forget("b", 1);
        assert_eq!(screen.standing(start + minute / 2, minute), Some("b"), "that was another push");
        screen.forget("b", 2);
        assert_eq!(screen.standing(start + minute / 2, minute), Some("a"));
        for utterance in 3..1_000 {
            screen.note("c", utterance, start);
        }
        assert_eq!(screen.pushed.len(), REMEMBERED);
    }
}
