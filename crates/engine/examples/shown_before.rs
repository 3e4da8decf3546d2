//! What may count as shown before: plays every customer turn of each conversation under three rules and tells how
//! many cards they push and whether the right article is on the screen when the conversation ends.
//!
//! Run: `cargo run --release -p cuecard-engine --example shown_before -- INDEX CONVERSATIONS WINDOW MIN_COSINE`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cuecard_engine::conversation::WindowLimits;
use cuecard_engine::encoder::{Encoder, EncoderSettings};
use cuecard_engine::evaluation::{Conversation, read_conversations};
use cuecard_engine::knowledge::{ArticleFilter, IndexHandle};
use cuecard_engine::ranking::{Formula, Shown, SilenceRule};
use cuecard_engine::{BackendName, Engine, Plan, SearchPool};

const CARDS: usize = 5;
const REPEAT_AFTER: u64 = 6;

#[derive(Clone, Copy)]
enum Rule {
    Repeat,
    LeaveOutAllShown,
    SilentIfFirstWasFirst,
}

/// What one rule did to one conversation, then to all of them.
struct Screen {
    rule: Rule,
    shown: Shown,
    cards: Vec<String>,
    pushes: u32,
    right_first: u32,
    right_among: u32,
}

impl Screen {
    fn new(rule: Rule) -> Self {
        Self { rule, shown: Shown::default(), cards: Vec::new(), pushes: 0, right_first: 0, right_among: 0 }
    }

    fn hear(&mut self, order: &[String], utterance: u64) {
        let was_shown = |id: &str| self.shown.recently(id, utterance, REPEAT_AFTER);
        let cards: Vec<_> = match self.rule {
            Rule::SilentIfFirstWasFirst if was_shown(&order[0]) => Vec::new(),
            Rule::LeaveOutAllShown => order.iter().filter(|id| !was_shown(id)).take(CARDS).cloned().collect(),
            Rule::Repeat | Rule::SilentIfFirstWasFirst => order.iter().take(CARDS).cloned().collect(),
        };
        if cards.is_empty() {
            return;
        }
        let noted = if matches!(self.rule, Rule::SilentIfFirstWasFirst) { 1 } else { cards.len() };
        for id in &cards[..noted] {
            self.shown.note(id, utterance);
        }
        self.cards = cards;
        self.pushes += 1;
    }

    fn end(&mut self, conversation: &Conversation) {
        let cards = std::mem::take(&mut self.cards);
        self.right_first += u32::from(cards.first().is_some_and(|id| conversation.is_right(id)));
        self.right_among += u32::from(cards.iter().any(|id| conversation.is_right(id)));
        self.shown = Shown::default();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, index, conversations, window, min_cosine] = arguments.as_slice() else {
        return Err("give INDEX, CONVERSATIONS, WINDOW and MIN_COSINE".into());
    };
    let index = IndexHandle::open(Path::new(index), None)?;
    let engine = Engine::of_index(Encoder::load(&EncoderSettings::default())?, SearchPool::new(1)?, Arc::new(index));
    let plan = Arc::new(Plan {
        backends: vec![BackendName::Index],
        filter: ArticleFilter::default(),
        ranker: Formula::Snippets,
        window: window.parse()?,
        candidates: 20,
        min_keyword_cosine: 1.0,
        cards: CARDS,
        silence: Some(SilenceRule { min_cosine: min_cosine.parse()? }),
        repeat_after: 0,
        deadline: Duration::from_secs(4),
    });
    let mut screens = [Rule::Repeat, Rule::LeaveOutAllShown, Rule::SilentIfFirstWasFirst].map(Screen::new);
    let (mut turns, conversations) = (0, read_conversations(Path::new(conversations))?);
    for conversation in &conversations {
        for (utterance, number) in conversation.utterances(&WindowLimits::default()).zip(1..) {
            turns += 1;
            let ranking = engine.answer(&utterance, &plan).await?.ranking;
            if !ranking.cards().is_empty() {
                let order: Vec<_> = ranking.order.ranked.iter().map(|ranked| ranked.article().id.clone()).collect();
                for screen in &mut screens {
                    screen.hear(&order, number);
                }
            }
        }
        for screen in &mut screens {
            screen.end(conversation);
        }
    }
    println!("{} conversations, {turns} customer turns", conversations.len());
    println!("| rule | pushes | right article first at the end | among {CARDS} |\n|---|---|---|---|");
    for screen in &screens {
        let name = match screen.rule {
            Rule::Repeat => "repeats as they come",
            Rule::LeaveOutAllShown => "every card shown is left out",
            Rule::SilentIfFirstWasFirst => "silent where the best was first before",
        };
        println!("| {name} | {} | {} | {} |", screen.pushes, screen.right_first, screen.right_among);
    }
    Ok(())
}
