//! A product that is merely mentioned is no question: statements, greetings and closings that name one, judged at the default
//! selectivity by the real model, beside questions about the same products.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use cuecard_engine::conversation::{FlushReason, Speaker, Turn, Utterance};
use cuecard_engine::encoder::{Encoder, EncoderSettings};
use cuecard_engine::knowledge::{Article, Completeness, IndexHandle, Update, build};
use cuecard_engine::ranking::{Formula, Selectivity, SilenceRule};
use cuecard_engine::{BulkEncoder, Engine, Plan, Ranking, SearchPool, why};
use tempfile::TempDir;

use Speaker::{Agent, Customer};

/// Id, what it is about, title, body.
const ARTICLES: [[&str; 4]; 14] = [
    [
        "harbour-price",
        "Harbour 300",
        "What does Harbour 300 cost?",
        "Harbour 300 is 39 euros a month in the first year and 44 euros after that. The router is included.",
    ],
    [
        "harbour-cancel",
        "Harbour 300",
        "How do I cancel Harbour 300?",
        "The contract ends a month after you cancel it, in writing or in the app under Contracts. Before the end of the term the remaining months are due.",
    ],
    [
        "harbour-move",
        "Harbour 300",
        "Can I take Harbour 300 along when I move?",
        "Tell us the new address two weeks before. The line is moved free of charge where there is fibre in the house.",
    ],
    [
        "cliff-data",
        "Cliff 50",
        "How much data does Cliff 50 have?",
        "Cliff 50 has 50 gigabytes a month. What is left over goes into the next month once.",
    ],
    [
        "cliff-return",
        "Cliff 50",
        "Can I give back the phone of Cliff 50?",
        "A phone that came with Cliff 50 can be given back within fourteen days, with its box and its cable.",
    ],
    [
        "shingle-roaming",
        "Shingle 60",
        "Can I use Shingle 60 abroad?",
        "In Europe Shingle 60 works as at home, up to 25 gigabytes a month. Elsewhere a day costs 5 euros.",
    ],
    [
        "shingle-price",
        "Shingle 60",
        "What does Shingle 60 cost?",
        "Shingle 60 is 15 euros a month without a phone, and can be cancelled every month.",
    ],
    [
        "router-place",
        "Shorebox",
        "Where should the Shorebox stand?",
        "Put the Shorebox upright and in the open, away from the microwave and from metal.",
    ],
    [
        "router-light",
        "Shorebox",
        "Why does the Shorebox blink red?",
        "A red light means that the line is down. Unplug the Shorebox for ten seconds; if it stays red, the line is checked from our side.",
    ],
    [
        "pass-book",
        "Travel Pass",
        "How do I book the Travel Pass?",
        "Book the Travel Pass in the app under Abroad. It starts with the first use and lasts seven days.",
    ],
    [
        "pass-where",
        "Travel Pass",
        "Where does the Travel Pass work?",
        "In Switzerland, Turkey, the United States and forty other countries.",
    ],
    [
        "sim-lost",
        "",
        "What do I do when my SIM card is lost?",
        "Bar the SIM card at once in the app under Security. A new one arrives within two days.",
    ],
    [
        "bill",
        "",
        "When does the bill come?",
        "The bill comes on the fifth of each month by e-mail, and is debited a week later.",
    ],
    ["voicemail", "", "How do I switch the voicemail off?", "Dial ##002# and press the call key."],
];

/// Who says a product's name and asks nothing: a statement in the middle of a call, a greeting, a closing.
const MENTIONS: [(&str, &[(Speaker, &str)]); 30] = [
    ("statement", &[(Agent, "How can I help?"), (Customer, "I have Harbour 300 at home and Cliff 50 on my phone.")]),
    ("statement", &[(Agent, "Which router is it?"), (Customer, "It's the Shorebox, the white one.")]),
    (
        "statement",
        &[
            (Agent, "Since when have you been with us?"),
            (Customer, "I signed up for Harbour 300 two years ago, in your shop in town."),
        ],
    ),
    ("statement", &[(Agent, "And the others in the family?"), (Customer, "My daughter has Shingle 60 as well.")]),
    ("statement", &[(Agent, "One moment, please."), (Customer, "I'm sitting right next to the Shorebox now.")]),
    ("statement", &[(Agent, "Which tariff is that?"), (Customer, "That would be Cliff 50, with the phone.")]),
    (
        "statement",
        &[
            (Agent, "How did you hear of us?"),
            (Customer, "My neighbour told me about Harbour 300, she is very happy with it."),
        ],
    ),
    (
        "statement",
        &[(Agent, "I'm looking at your account."), (Customer, "The contract is in my husband's name, Harbour 300.")],
    ),
    (
        "statement",
        &[
            (Agent, "Were you abroad last year?"),
            (Customer, "We had the Travel Pass for a week in Turkey, that was lovely."),
        ],
    ),
    (
        "statement",
        &[(Agent, "And what happened then?"), (Customer, "Then the man came and put the Shorebox in the hall.")],
    ),
    ("statement", &[(Agent, "I see a second line here."), (Customer, "Yes, that's the Shingle 60 of my son.")]),
    (
        "statement",
        &[(Agent, "Did the SIM card arrive?"), (Customer, "The SIM card came on Tuesday and it's in the phone now.")],
    ),
    ("greeting", &[(Customer, "Hi, I'm calling about my Harbour 300.")]),
    ("greeting", &[(Customer, "Good morning, it's about the Shorebox.")]),
    ("greeting", &[(Customer, "Hello, I'm a customer of yours with Cliff 50.")]),
    ("greeting", &[(Customer, "Hi there, Maria Lopez here, I've got Shingle 60.")]),
    ("greeting", &[(Customer, "Good evening, this is about the Travel Pass that I booked.")]),
    ("greeting", &[(Customer, "Hello, yes, I rang yesterday about the SIM card.")]),
    ("greeting", &[(Customer, "Hey, I just got a letter from you about Harbour 300.")]),
    ("greeting", &[(Customer, "Good afternoon, my name is Peter Bell and I've been with Cliff 50 since May.")]),
    ("closing", &[(Agent, "Then it stays as it is."), (Customer, "Great, thank you, then I'll keep Harbour 300.")]),
    ("closing", &[(Agent, "That should do it."), (Customer, "Okay, I'll plug the Shorebox in tonight. Thanks, bye.")]),
    ("closing", &[(Agent, "Anything else?"), (Customer, "No, I'm happy with Shingle 60, thank you.")]),
    ("closing", &[(Agent, "It's on its way."), (Customer, "All right, then I'll wait for the SIM card. Goodbye.")]),
    (
        "closing",
        &[(Agent, "It starts with the first use."), (Customer, "Perfect, then I'm all set with the Travel Pass.")],
    ),
    ("closing", &[(Agent, "You are welcome."), (Customer, "That's all I wanted to know about Cliff 50, thanks.")]),
    ("closing", &[(Agent, "Done."), (Customer, "Lovely, so the Shorebox is sorted. Have a nice day.")]),
    ("closing", &[(Agent, "Both are booked."), (Customer, "Fine, Harbour 300 and Cliff 50 together then.")]),
    ("closing", &[(Agent, "I've sent you the form."), (Customer, "Got it, the one for Harbour 300. Cheers.")]),
    ("closing", &[(Agent, "Is it back on?"), (Customer, "Yes, the Shorebox is green again, brilliant.")]),
];

/// The same products, asked about.
const QUESTIONS: [(&str, &[(Speaker, &str)]); 8] = [
    ("harbour-price", &[(Customer, "What does Harbour 300 cost a month?")]),
    ("harbour-cancel", &[(Agent, "How can I help?"), (Customer, "How do I cancel Harbour 300?")]),
    ("harbour-move", &[(Agent, "Yes?"), (Customer, "Can I take Harbour 300 along when I move house?")]),
    ("cliff-data", &[(Agent, "Yes?"), (Customer, "How much data do I have with Cliff 50?")]),
    ("cliff-return", &[(Agent, "Yes?"), (Customer, "Can I give the phone back that came with Cliff 50?")]),
    ("shingle-roaming", &[(Agent, "Yes?"), (Customer, "Can I use Shingle 60 in Spain?")]),
    ("router-light", &[(Agent, "Yes?"), (Customer, "Why is the Shorebox blinking red?")]),
    ("pass-book", &[(Agent, "Yes?"), (Customer, "How do I book the Travel Pass?")]),
];

struct Shop {
    engine: Engine,
    plan: Arc<Plan>,
    _directory: TempDir,
}

impl Shop {
    fn new() -> Self {
        let (encoder, directory) = (Encoder::load(&EncoderSettings::default()).unwrap(), TempDir::new().unwrap());
        let article = |[id, entity, title, body]: [&str; 4]| Article {
            id: id.to_owned(),
            entity: (!entity.is_empty()).then(|| entity.to_owned()),
            title: title.to_owned(),
            body: body.to_owned(),
            ..Article::default()
        };
        let articles = ARTICLES.map(article).to_vec();
        let update = Update { source: "file:test".to_owned(), articles, completeness: Completeness::Full };
        build(directory.path(), update, &BulkEncoder::new(encoder.clone()), &()).unwrap();
        let index = Arc::new(IndexHandle::open(directory.path(), None).unwrap());
        let plan = Plan {
            cards: 3,
            silence: Some(SilenceRule::Selectivity(Selectivity::Medium)),
            ..Plan::of_index(Formula::Conversation)
        };
        // Each case is judged as the first call of a deployment.
        let engine = Engine::of_index(encoder, SearchPool::new(1).unwrap(), index).untaught();
        Self { engine, plan: Arc::new(plan), _directory: directory }
    }

    async fn judged(&self, said: &[(Speaker, &str)]) -> Ranking {
        let turns = said.iter().map(|(speaker, text)| Turn { speaker: *speaker, text: (*text).into() }).collect();
        let utterance = Utterance { turns, flushed: FlushReason::State };
        self.engine.answer(&utterance, &self.plan).await.unwrap().ranking
    }
}

/// What the default takes for a question all the same: it lies nearer to an article than turns usually do, and no word of it
/// says that nothing is asked.
const TAKEN_FOR_A_QUESTION: [&str; 1] = ["The SIM card came on Tuesday and it's in the phone now."];

#[tokio::test]
async fn a_product_that_is_merely_mentioned_brings_no_card_and_a_question_about_it_does() {
    let shop = Shop::new();
    let (mut pushed, mut reasons) = (Vec::new(), Vec::new());
    for (kind, said) in MENTIONS {
        let (ranking, text) = (shop.judged(said).await, said.last().unwrap().1);
        if ranking.verdict.silence().is_none() {
            pushed.push(text);
            reasons.push(format!("{kind}: {text}\n{}", why(&ranking).join("\n")));
        }
    }
    assert_eq!(pushed, TAKEN_FOR_A_QUESTION, "{}", reasons.join("\n\n"));
    for (expected, said) in QUESTIONS {
        let ranking = shop.judged(said).await;
        let shown = ranking.cards().first().map(|card| card.article().id.clone());
        assert_eq!(shown.as_deref(), Some(expected), "{}", why(&ranking).join("\n"));
    }
}
