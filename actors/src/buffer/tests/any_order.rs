//! Fragments, pauses, ends and lost connections in any order: no word is lost without being counted.

use proptest::prelude::*;

use super::*;

/// What may come to the Buffer, of two tenants with two interactions each. Every fragment is one word that no other has.
#[derive(Debug, Clone)]
enum Coming {
    Fragment { profile: usize, interaction: Option<usize> },
    Utterance { profile: usize, interaction: usize },
    TurnEnded { profile: usize, interaction: Option<usize> },
    Ended { profile: usize, interaction: usize },
    Connected { profile: usize },
    Silence(Duration),
}

const PROFILES: [&str; 2] = ["acme", "other"];
const INTERACTIONS: [&str; 2] = ["a", "b"];

fn coming() -> impl Strategy<Value = Vec<Coming>> {
    let (profile, interaction) = (0..2_usize, 0..2_usize);
    let event = prop_oneof![
        5 => (profile.clone(), prop::option::weighted(0.7, interaction.clone()))
            .prop_map(|(profile, interaction)| Coming::Fragment { profile, interaction }),
        1 => (profile.clone(), interaction.clone())
            .prop_map(|(profile, interaction)| Coming::Utterance { profile, interaction }),
        2 => (profile.clone(), prop::option::weighted(0.7, interaction.clone()))
            .prop_map(|(profile, interaction)| Coming::TurnEnded { profile, interaction }),
        1 => (profile.clone(), interaction).prop_map(|(profile, interaction)| Coming::Ended { profile, interaction }),
        1 => profile.prop_map(|profile| Coming::Connected { profile }),
        2 => (0..40_000_u64).prop_map(|milliseconds| Coming::Silence(Duration::from_millis(milliseconds))),
    ];
    prop::collection::vec(event, 1..60)
}

/// The words that came and where they went.
#[derive(Default)]
struct Words {
    num_heard: u64,
    num_lost: u64,
    /// Each by its conversation, in the order in which an utterance had it first.
    asked: RefCell<Vec<(String, String)>>,
    /// How many utterances a conversation gave since it began.
    utterances: RefCell<std::collections::HashMap<String, u64>>,
}

impl Words {
    /// A word that says whose it is.
    fn next(&mut self, profile: usize, interaction: Option<usize>) -> String {
        self.num_heard += 1;
        let interaction = interaction.map_or("any", |interaction| INTERACTIONS[interaction]);
        format!("{}-{interaction}-{}", PROFILES[profile], self.num_heard)
    }

    fn admit(&self, flushed: &Flushed<'_>) {
        let whose = flushed.key.to_string();
        let mut utterances = self.utterances.borrow_mut();
        let number = utterances.entry(whose.clone()).or_default();
        *number += 1;
        assert_eq!(flushed.utterance_number, *number, "{whose}");
        for word in flushed.utterance.turns.iter().flat_map(|turn| turn.text.verbatim().split(' ')) {
            let mut parts = word.split('-');
            assert_eq!(parts.next(), Some(flushed.key.profile.as_str()), "{word} of another tenant in {whose}");
            let interaction = parts.next().unwrap();
            assert!([flushed.key.interaction.as_str(), "any"].contains(&interaction), "{word} of another in {whose}");
            let asked = (whose.clone(), word.to_owned());
            if !self.asked.borrow().contains(&asked) {
                self.asked.borrow_mut().push(asked);
            }
        }
    }
}

fn word_of(coming: &Coming, words: &mut Words) -> Option<(usize, StreamWord)> {
    let id = |interaction: usize| INTERACTIONS[interaction].parse().unwrap();
    Some(match *coming {
        Coming::Fragment { profile, interaction } => {
            let text = words.next(profile, interaction).into();
            (profile, StreamWord::Fragment { interaction: interaction.map(id), speaker: Speaker::Customer, text })
        }
        Coming::Utterance { profile, interaction } => {
            let text = words.next(profile, Some(interaction)).into();
            (profile, StreamWord::Utterance { interaction: id(interaction), text })
        }
        Coming::TurnEnded { profile, interaction } => {
            (profile, StreamWord::TurnEnded { interaction: interaction.map(id) })
        }
        Coming::Ended { profile, interaction } => {
            words
                .utterances
                .borrow_mut()
                .remove(&crate::testing::key(PROFILES[profile], INTERACTIONS[interaction]).to_string());
            (profile, StreamWord::InteractionEnded { interaction: id(interaction) })
        }
        Coming::Connected { profile } => (profile, StreamWord::Connected),
        Coming::Silence(_) => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_word_is_asked_about_once_in_its_own_conversation_or_counted_as_lost(events in coming()) {
        let (mut conversations, mut words) = (Conversations::new(settings()), Words::default());
        let mut now = Instant::now();
        for event in &events {
            let word = word_of(event, &mut words);
            let lost = match (word, event) {
                (Some((profile, word)), _) => {
                    let heard = Heard { profile: ProfileName::new(PROFILES[profile]), received: now, word };
                    conversations.hear(heard, &|flushed| words.admit(&flushed))
                }
                (None, Coming::Silence(time)) => {
                    now += *time;
                    conversations.flush_due(now, &|flushed| words.admit(&flushed))
                }
                (None, _) => Vec::new(),
            };
            words.num_lost += lost.iter().map(|lost| lost.count).sum::<u64>();
            let is_overdue = matches!(event, Coming::Silence(_)) && conversations.next_alarm().is_some_and(|at| at <= now);
            prop_assert!(!is_overdue, "silence left something undone");
        }
        let num_waiting: u64 = conversations.unfinished().iter().map(|lost| lost.count).sum();
        let num_asked = words.asked.borrow().len() as u64;
        prop_assert_eq!(words.num_heard, num_asked + words.num_lost + num_waiting);
    }
}
