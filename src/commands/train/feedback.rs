//! Learns from what agents did with the cards that they saw, as the ledger has it.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::str::FromStr;

use cuecard_actors::engine::evaluation::Judged;
use cuecard_actors::engine::knowledge::{ContentHash, Index};
use cuecard_actors::engine::ranking::QuestionSigns;
use cuecard_actors::engine::ranking::conversation::Evidence;
use cuecard_actors::engine::ranking::model::{Model, Source};
use cuecard_actors::ledger::{Impression, JudgedCard, JudgedDelivery, judged_deliveries};
use cuecard_trainer::{Example, Lessons, PositionBias, ShownCard, ShownCards, data_hash, gains, right_at};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{HELD_BACK, first_of};
use crate::cli::{TrainArgs, Unbiasing};
use crate::commands::knowledge::{self, OpenEngine};
use crate::commands::progress::Progress;

/// The URL of a ledger, which may hold a password.
#[derive(Debug, Clone)]
pub struct LedgerPlace(SecretString);

impl FromStr for LedgerPlace {
    type Err = Infallible;

    /// From a URL, or the path of a file.
    fn from_str(named: &str) -> Result<Self, Infallible> {
        let is_url = ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| named.starts_with(scheme));
        let url = if is_url { named.to_owned() } else { format!("sqlite:{named}") };
        Ok(Self(url.into()))
    }
}

/// A model of the feedback on one profile's cards.
pub(super) fn learn(
    arguments: &TrainArgs,
    ledger: &LedgerPlace,
    open: &OpenEngine,
    against: Option<&Model>,
) -> anyhow::Result<Model> {
    let profile = arguments.profile.as_deref().unwrap_or_default();
    let progress = Progress::waiting("reading the feedback");
    let deliveries = knowledge::block_on(judged_deliveries(ledger.0.expose_secret(), profile))??;
    anyhow::ensure!(!deliveries.is_empty(), "the ledger has no feedback on cards of profile `{profile}`");
    let index = open.index.current();
    let read: Vec<_> = deliveries.iter().filter_map(|delivery| Some((delivery, shown(delivery, &index)?))).collect();
    anyhow::ensure!(
        !read.is_empty(),
        "none of the {} judged pushes has what the ranker `conversation` went by: they are older than that is kept, or came \
         by another ranker",
        deliveries.len()
    );
    let all: Vec<ShownCards> = read.iter().map(|(_, shown)| shown.clone()).collect();
    let gone = Gone::of(&read);
    anyhow::ensure!(
        all.iter().flat_map(|shown| &shown.cards).any(|card| card.is_known),
        "the index holds none of the articles that the feedback is on: {}; give the index of profile `{profile}`",
        gone.names()
    );
    let bias = position_bias(arguments, &all)?;
    let accepted = read.iter().filter(|(_, shown)| shown.cards.iter().any(|card| card.is_known && card.is_accepted));
    let pushes: Vec<Push> = accepted.map(|(delivery, shown)| Push::of(delivery, shown, bias.as_ref())).collect();
    anyhow::ensure!(
        !pushes.is_empty(),
        "no card of the {} judged pushes was accepted of which the index holds the article",
        read.len()
    );
    anyhow::ensure!(
        pushes.iter().any(|push| push.example.teaches_order()),
        "no push with an accepted card shows another beside it, so there is no order to learn; let the profile show more cards"
    );
    let has_vectors = all.iter().any(|shown| shown.vector.is_some());
    anyhow::ensure!(
        has_vectors || against.is_none_or(|running| running.adapter.is_none()),
        "the running model has an adapter, and no vectors of questions were kept to compare it by; set keep_question_vectors"
    );

    progress.begin("learning");
    let model = open.engine.encoder().model();
    let book = Book { pushes, encoder: model.identity(), dimensions: model.dimensions, is_weighted: bias.is_some() };
    let mut model = book.model(against)?;
    model.trained.data = data_hash(read.iter().map(|(delivery, shown)| row(delivery, shown)))?;
    model.trained.left_out = left_out(&all, deliveries.len());
    model.trained.left_out.extend(gone.said());
    if let Some(running) = against {
        model.take_over_gate(running);
    }
    Ok(model)
}

/// How much agents look at each place, where inverse propensity is wanted and can be had.
fn position_bias(arguments: &TrainArgs, all: &[ShownCards]) -> anyhow::Result<Option<PositionBias>> {
    let bias = match arguments.unbias {
        Some(Unbiasing::Place) => return Ok(None),
        Some(Unbiasing::Propensity) | None => PositionBias::of(all),
    };
    anyhow::ensure!(
        bias.is_some() || arguments.unbias.is_none(),
        "no inverse propensity: there are no accepted cards whose places were swapped, or too few at one of the places; let \
         a profile swap some with explore = 0.05, or learn with --unbias place"
    );
    Ok(bias)
}

/// What can't be learned from numbers alone.
fn left_out(all: &[ShownCards], num_judged: usize) -> Vec<String> {
    let mut left_out = vec![
        "the gate and the calibration: they are learned from the words of labelled turns (--conversations); feedback has none, \
         and those that keep_words keeps are not read for it"
            .to_owned(),
    ];
    if all.iter().all(|shown| shown.vector.is_none()) {
        left_out.push("the adapter: no vectors of questions were kept (keep_question_vectors)".to_owned());
    }
    if all.len() < num_judged {
        left_out.push(format!("{} judged pushes that another ranker or an older version made", num_judged - all.len()));
    }
    left_out
}

/// Cards of articles that the index does not hold any more, by the article.
struct Gone<'a>(BTreeMap<&'a str, usize>);

impl<'a> Gone<'a> {
    fn of(read: &[(&'a JudgedDelivery, ShownCards)]) -> Self {
        let mut gone = BTreeMap::new();
        for (delivery, shown) in read {
            for (judged, _) in delivery.cards.iter().zip(&shown.cards).filter(|(_, card)| !card.is_known) {
                *gone.entry(judged.impression.article_id.as_str()).or_default() += 1;
            }
        }
        Self(gone)
    }

    fn names(&self) -> String {
        let articles: Vec<String> = self.0.keys().map(|article| format!("`{article}`")).collect();
        first_of(&articles)
    }

    /// `None` where the index holds them all.
    fn said(&self) -> Option<String> {
        let cards: usize = self.0.values().sum();
        (cards > 0).then(|| format!("{cards} cards whose articles the index does not hold: {}", self.names()))
    }
}

/// All that is learned from of one delivery, for the hash of the data.
fn row<'a>(delivery: &'a JudgedDelivery, shown: &'a ShownCards) -> impl Serialize + 'a {
    let question = delivery.question.as_ref().map(|it| (it.num_words, it.num_turns, it.vector.as_deref()));
    let card = |(judged, shown): (&'a JudgedCard, &ShownCard)| {
        let Impression { article_id, content_hash, rank, propensity, features, .. } = &judged.impression;
        (article_id, content_hash, rank, propensity, features, judged.accepted, shown.is_known)
    };
    let cards: Vec<_> = delivery.cards.iter().zip(&shown.cards).map(card).collect();
    (delivery.id, &delivery.interaction, question, cards)
}

/// `None` where the record lacks what the ranker went by.
fn shown(delivery: &JudgedDelivery, index: &Index) -> Option<ShownCards> {
    let question = delivery.question.as_ref()?;
    let vector = question.vector.as_deref();
    let card = |judged: &JudgedCard| {
        Some(ShownCard {
            evidence: Evidence::of_features(&judged.impression.features).ok()?,
            embedding: vector.and_then(|vector| embedding(judged, vector, index)),
            is_known: index.position(&judged.impression.article_id).is_some(),
            propensity: judged.impression.propensity,
            is_accepted: judged.accepted == Some(true),
        })
    };
    let signs = QuestionSigns {
        num_words: question.num_words as usize,
        num_turns: question.num_turns as usize,
        phrase_reach: index.phrase_reach(),
    };
    Some(ShownCards {
        dialogue: delivery.interaction.clone(),
        question: signs,
        vector: question.vector.clone(),
        cards: delivery.cards.iter().map(card).collect::<Option<_>>()?,
    })
}

/// Of the passage that was nearest, where the article still says the same.
fn embedding(judged: &JudgedCard, vector: &[f32], index: &Index) -> Option<Vec<f32>> {
    let article = index.position(&judged.impression.article_id)?;
    let is_same = ContentHash::of_article(index.article(article)).begins_with(&judged.impression.content_hash);
    let hit = is_same.then(|| index.best_chunk(article, vector)).flatten()?;
    Some(index.embedding(article, hit.chunk)?.to_vec())
}

/// A push of which a card was accepted, as a turn to learn from.
struct Push {
    id: String,
    example: Example,
}

impl Push {
    fn of(delivery: &JudgedDelivery, shown: &ShownCards, bias: Option<&PositionBias>) -> Self {
        Self { id: delivery.id.to_string(), example: shown.example(bias) }
    }

    fn judged(&self, model: Option<&Model>) -> Judged {
        let right_at = right_at(model, &self.example);
        Judged {
            id: self.id.clone(),
            dialogue: Some(self.example.dialogue.clone()),
            quiet: false,
            right_at,
            wanted: None,
            best_score: None,
            card_probability: None,
            shown: true,
            first_card_right: right_at == Some(1),
            took_ms: 0.0,
            played: None,
        }
    }
}

/// Pushes in the order in which they were recorded.
struct Book {
    pushes: Vec<Push>,
    encoder: String,
    dimensions: usize,
    /// Whether accepted cards are weighted by how much their places are looked at.
    is_weighted: bool,
}

impl Book {
    fn lessons(&self, takes: impl Fn(&Push) -> bool) -> Lessons<'_> {
        let examples: Vec<&Example> = self.pushes.iter().filter(|push| takes(push)).map(|push| &push.example).collect();
        let source = if self.is_weighted { Source::InversePropensity } else { Source::PlaceAsFeature };
        Lessons { examples, encoder: self.encoder.clone(), dimensions: self.dimensions, source }
    }

    /// The model of all calls, and what one of the older ones gains on the newest.
    fn model(&self, against: Option<&Model>) -> anyhow::Result<Model> {
        let newest = self.newest();
        let is_new = |push: &Push| newest.contains(push.example.dialogue.as_str());
        let older = self.lessons(|push| !is_new(push)).learn()?;
        let held_back: Vec<&Push> = self.pushes.iter().filter(|push| is_new(push)).collect();
        let judged =
            |model: Option<&Model>| -> Vec<Judged> { held_back.iter().map(|push| push.judged(model)).collect() };
        let mut model = self.lessons(|_| true).learn()?;
        model.trained.compared_with = against.map(|model| model.version.clone());
        model.trained.gains = gains(&judged(against), &judged(Some(&older)));
        Ok(model)
    }

    /// The calls that came last.
    fn newest(&self) -> HashSet<&str> {
        let mut known = HashSet::new();
        let calls = self.pushes.iter().map(|push| push.example.dialogue.as_str());
        let mut calls: Vec<&str> = calls.filter(|call| known.insert(*call)).collect();

        let newest = calls.len() - calls.len() / HELD_BACK;
        calls.split_off(newest).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_actors::ledger::QuestionRecord;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn delivery(number: u128, articles: &[&str]) -> JudgedDelivery {
        let card = |(place, article): (usize, &&str)| JudgedCard {
            impression: Impression {
                article_id: (*article).to_owned(),
                content_hash: "0123456789abcdef".to_owned(),
                rank: place as u32 + 1,
                features: BTreeMap::from([("named".to_owned(), 0.5)]),
                ..Impression::default()
            },
            accepted: (place == 0).then_some(true),
        };
        JudgedDelivery {
            id: Uuid::from_u128(number),
            interaction: "call".to_owned(),
            delivered_at: Timestamp::UNIX_EPOCH,
            question: Some(QuestionRecord { num_words: 3, num_turns: 2, vector: None }),
            cards: articles.iter().enumerate().map(card).collect(),
        }
    }

    /// As it is read beside an index that holds these articles.
    fn shown(delivery: &JudgedDelivery, known: &[&str]) -> ShownCards {
        let card = |judged: &JudgedCard| ShownCard {
            evidence: Evidence::default(),
            embedding: None,
            is_known: known.contains(&judged.impression.article_id.as_str()),
            propensity: None,
            is_accepted: judged.accepted == Some(true),
        };
        ShownCards {
            dialogue: delivery.interaction.clone(),
            question: QuestionSigns::default(),
            vector: None,
            cards: delivery.cards.iter().map(card).collect(),
        }
    }

    #[test]
    fn pushes_of_one_call_are_judged_as_one() {
        let (one, other) = (delivery(1, &["a", "b"]), delivery(2, &["b", "a"]));
        let judged = [&one, &other].map(|it| Push::of(it, &shown(it, &["a", "b"]), None).judged(None));
        assert_ne!(judged[0].id, judged[1].id);
        assert!(judged.iter().all(|judged| judged.dialogue.as_deref() == Some("call")));
    }

    #[test]
    fn other_verdicts_features_or_articles_are_other_data() {
        let data =
            |delivery: &JudgedDelivery, known: &[&str]| data_hash([row(delivery, &shown(delivery, known))]).unwrap();
        let original = delivery(1, &["a", "b"]);
        let expected = data(&original, &["a", "b"]);
        assert_eq!(data(&original, &["a", "b"]), expected);
        assert_ne!(data(&original, &["a"]), expected, "what is gone is not learned from");
        let changes: [fn(&mut JudgedDelivery); 6] = [
            |it| it.cards[0].impression.article_id = "c".to_owned(),
            |it| it.cards[0].impression.content_hash = "fedcba9876543210".to_owned(),
            |it| it.cards[1].impression.features.extend([("named".to_owned(), 0.6)]),
            |it| it.cards[1].accepted = Some(true),
            |it| it.interaction = "another".to_owned(),
            |it| it.question = Some(QuestionRecord { num_words: 3, num_turns: 2, vector: Some(vec![0.5]) }),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = original.clone();
            change(&mut other);
            assert_ne!(data(&other, &["a", "b", "c"]), expected, "change {number}");
        }
    }

    #[test]
    fn cards_of_articles_that_are_gone_are_counted_and_the_articles_named() {
        let deliveries = [delivery(1, &["a", "x1", "x2"]), delivery(2, &["x1", "a"])];
        let read = |known: &[&str]| deliveries.iter().map(|it| (it, shown(it, known))).collect::<Vec<_>>();
        let said = Gone::of(&read(&["a"])).said().unwrap();
        assert_eq!(said, "3 cards whose articles the index does not hold: `x1`, `x2`");
        assert_eq!(Gone::of(&read(&["a", "x1", "x2"])).said(), None);
        let many: Vec<String> = (0..7).map(|number| format!("gone-{number}")).collect();
        let many = [delivery(1, &many.iter().map(String::as_str).collect::<Vec<_>>())];
        let read: Vec<_> = many.iter().map(|it| (it, shown(it, &[]))).collect();
        assert!(Gone::of(&read).said().unwrap().ends_with("`gone-4`, and 2 more"));
    }
}
