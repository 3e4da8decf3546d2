//! What the terminal shows: each customer turn with the card that it brought, and the figures of the whole demo.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use cuecard_simulator::{Conversation, Received, Route, RunningSimulator, TurnOutcome, Verdict};

/// One look at what has no deadline of its own; the caller looks again.
const LONG_WAIT: Duration = Duration::from_hours(1);

/// Figures since the start.
#[derive(Debug, Default)]
pub(super) struct Figures {
    calls: u64,
    cards: u64,
    silent_calls: u64,
    times: Vec<Duration>,
    violations: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median =
            median(self.times.clone()).map_or_else(|| "-".to_owned(), |time| format!("{} ms", time.as_millis()));
        writeln!(formatter, "calls played           {}", self.calls)?;
        writeln!(formatter, "cards shown            {}", self.cards)?;
        writeln!(formatter, "calls ended in silence {}", self.silent_calls)?;
        writeln!(formatter, "median, turn to card   {median}")?;
        write!(formatter, "violations             {}", self.violations)
    }
}

/// The lower one where two are in the middle.
fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied()
}

struct Call<'a> {
    conversation: &'a Conversation,
    on_screen: Option<String>,
}

/// Prints what the simulator sees, each push and each turn once.
pub(super) struct Terminal<'a> {
    simulator: &'a RunningSimulator,
    /// By interaction, also those of calls that are over: a card may come late.
    calls: HashMap<String, Call<'a>>,
    /// The newest push that was looked at.
    seen: Option<u64>,
    quoted: Option<(String, usize)>,
    /// A push is repeated under its key until it is taken.
    keys_not_taken: HashSet<Option<String>>,
    figures: Figures,
}

impl<'a> Terminal<'a> {
    pub(super) fn new(simulator: &'a RunningSimulator) -> Self {
        let (calls, keys_not_taken) = (HashMap::new(), HashSet::new());
        Self { simulator, calls, seen: None, quoted: None, keys_not_taken, figures: Figures::default() }
    }

    /// A call begins under this interaction.
    pub(super) fn begin(&mut self, interaction: &str, conversation: &'a Conversation) {
        // A card that comes late is shown below another call's name.
        self.quoted = None;
        self.calls.insert(interaction.to_owned(), Call { conversation, on_screen: None });
    }

    /// Waits until something was pushed that is not printed yet.
    pub(super) async fn until_pushed(&self) {
        let newest = || self.simulator.received_on(Route::Insights).last().map(|push| push.sequence);
        while !self.simulator.until(LONG_WAIT, |_| newest() > self.seen).await {}
    }

    /// Prints the pushes that were not printed yet.
    pub(super) fn show_pushes(&mut self) {
        for push in self.simulator.received_on(Route::Insights) {
            if Some(push.sequence) > self.seen {
                self.seen = Some(push.sequence);
                self.show(&push);
            }
        }
    }

    fn show(&mut self, push: &Received) {
        let insights = push.body.as_ref().and_then(|body| body["insights"].as_array());
        let Some((best, others)) = insights.and_then(|insights| insights.split_first()) else { return };
        let title = best["title"].as_str().unwrap_or_default();
        let interaction = best["interactionId"].as_str().unwrap_or_default();
        match &push.verdict {
            Verdict::Accepted | Verdict::Duplicate => {
                let took = self.quote_turn_of(interaction, push);
                self.figures.cards += 1;
                self.figures.times.extend(took);
                let took = took.map_or_else(String::new, |took| format!("{:>4} ms  ", took.as_millis()));
                let more = if others.is_empty() { String::new() } else { format!("  (+{} more)", others.len()) };
                say!("    card  {took}{title}{more}");
                if let Some(call) = self.calls.get_mut(interaction) {
                    call.on_screen = Some(title.to_owned());
                }
            }
            Verdict::Scripted => {
                if self.keys_not_taken.insert(push.idempotency_key.clone()) {
                    self.quote_turn_of(interaction, push);
                    say!("    not taken  {}  {title}", failure(push.status));
                }
            }
            Verdict::Refused { reason } | Verdict::Violation { reason } => say!("    refused  {reason}  {title}"),
            Verdict::Repeated => {}
        }
    }

    /// Prints the turn that a push answers, or the newest where none has taken it; how long the card took.
    fn quote_turn_of(&mut self, interaction: &str, push: &Received) -> Option<Duration> {
        let turns = self.turns(interaction);
        let answered = turns.iter().find(|turn| turn.card_at == Some(push.at));
        let turn = answered.or(turns.last())?;
        self.quote(interaction, turn.number);
        answered?.card_after
    }

    /// Prints what the customer said, unless that was the last that was printed.
    fn quote(&mut self, interaction: &str, number: usize) {
        let spoken = self.calls.get(interaction).and_then(|call| customer_turns(call.conversation).nth(number - 1));
        if let (Some(text), false) = (spoken, self.is_quoted(interaction, number)) {
            say!("    said  {text}");
            self.quoted = Some((interaction.to_owned(), number));
        }
    }

    fn is_quoted(&self, interaction: &str, number: usize) -> bool {
        self.quoted.as_ref().is_some_and(|(id, turn)| id == interaction && *turn == number)
    }

    fn turns(&self, interaction: &str) -> Vec<TurnOutcome> {
        self.simulator.turns().into_iter().filter(|turn| turn.interaction_id == interaction).collect()
    }

    /// Prints what still comes for a call in which all is said, or the last turn and that it got nothing.
    pub(super) async fn end(&mut self, interaction: &str, patience: Duration) {
        let asked = |terminal: &Self| terminal.turns(interaction).pop();
        let is_answered = |terminal: &Self| asked(terminal).is_none_or(|turn| turn.card_after.is_some());
        self.simulator.until(patience, |_| is_answered(self)).await;
        self.show_pushes();
        self.figures.calls += 1;
        // What is quoted already has a push under way that was not taken yet.
        let silent = |turn: &TurnOutcome| turn.card_after.is_none() && !self.is_quoted(interaction, turn.number);
        if let Some(turn) = asked(self).filter(silent) {
            self.quote(interaction, turn.number);
            self.figures.silent_calls += 1;
            let on_screen = self.calls.get(interaction).and_then(|call| call.on_screen.as_deref());
            let still = on_screen.map_or_else(String::new, |title| format!("  on the screen is still: {title}"));
            say!("    silent{still}");
        }
        say!("");
        // A card that still comes stands below the line, away from its turn.
        self.quoted = None;
    }

    /// Of everything up to now.
    pub(super) fn figures(mut self) -> Figures {
        self.show_pushes();
        Figures { violations: self.simulator.num_violations(), ..self.figures }
    }
}

/// What the simulator counts as the customer's turns, in their order.
fn customer_turns(call: &Conversation) -> impl Iterator<Item = &str> {
    let spoken = call.turns.iter().filter(|turn| turn.is_customer() && turn.has_words());
    spoken.map(|turn| turn.text.as_str())
}

/// How a push failed, and whether the service repeats it, as `docs/contracts.md` has it.
fn failure(status: Option<u16>) -> String {
    match status {
        None => "no answer, tried again".to_owned(),
        Some(status @ (401 | 429 | 500..)) => format!("answered {status}, tried again"),
        Some(status) => format!("answered {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_as_they_are_printed() {
        let shown = |figures: Figures| -> Vec<String> {
            figures.to_string().lines().map(|line| line[23..].to_owned()).collect()
        };
        assert_eq!(shown(Figures::default()), ["0", "0", "0", "-", "0"]);
        let times = [30, 10, 20, 40].map(Duration::from_millis).to_vec();
        let figures = Figures { calls: 3, cards: 5, silent_calls: 2, times, violations: 1 };
        assert_eq!(shown(figures), ["3", "5", "2", "20 ms", "1"]);
    }

    #[test]
    fn only_a_push_that_is_repeated_is_said_to_be() {
        for (status, expected) in [
            (None, "no answer, tried again"),
            (Some(429), "answered 429, tried again"),
            (Some(503), "answered 503, tried again"),
            (Some(400), "answered 400"),
        ] {
            assert_eq!(failure(status), expected);
        }
    }
}
