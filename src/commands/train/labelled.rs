//! Learns from conversations that carry labels, and evaluates what is learned by folds.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use cuecard_actors::engine::evaluation::{Conversation, Evaluation, Judged, beginnings};
use cuecard_actors::engine::knowledge::ContentHash;
use cuecard_actors::engine::ranking::model::{Model, Source};
use cuecard_actors::engine::{Effort, Plan};
use cuecard_trainer::{Example, Labelled, Lessons, collect, data_hash, fold_of, gains};

use super::{HELD_BACK, first_of};
use crate::cli::TrainArgs;
use crate::commands::knowledge::{self, OpenEngine};
use crate::commands::progress::Progress;
use crate::settings::ToolSettings;

/// A model of labelled conversations.
pub(super) fn learn(
    arguments: &TrainArgs,
    conversations: &Path,
    open: &OpenEngine,
    against: Option<Model>,
) -> anyhow::Result<Model> {
    let (seeking, quiet) = knowledge::conversations(conversations, arguments.quiet.as_deref())?;
    let settings = ToolSettings::of_environment()?;
    let plan = Arc::new(settings.profile.index_plan());
    expect_known(open, seeking.iter().chain(&quiet))?;
    let conversations = seeking.len() + quiet.len();
    let bar = Progress::counting([("asking", conversations), ("taking lessons", conversations)]);
    let progress = &|| bar.step();
    let evaluation = Evaluation {
        engine: &open.engine,
        plan: &plan,
        effort: Effort::Full,
        limits: settings.buffer.window_limits(),
        every_turn: false,
        progress,
    };
    knowledge::block_on(async {
        let lesson_book = LessonBook::read(&evaluation, &plan, &seeking, &quiet).await?;
        bar.begin("learning");
        lesson_book.expect_both_kinds(arguments)?;
        lesson_book.model(&evaluation, against.map(Arc::new), open.index.current().manifest().content).await
    })?
}

/// A gold article that no index holds would count as never found, whatever was learned.
fn expect_known<'a>(open: &OpenEngine, all: impl Iterator<Item = &'a Conversation>) -> anyhow::Result<()> {
    let index = open.index.current();
    let known: HashSet<&str> = (0..index.len()).map(|article| index.article(article).id.as_str()).collect();
    let mut missing = Vec::new();
    for conversation in all {
        let unknown = conversation.named_articles().filter(|id| !known.contains(id));
        missing.extend(unknown.map(|id| format!("`{id}` of {}", conversation.id)));
    }
    anyhow::ensure!(
        missing.is_empty(),
        "the index does not hold the right articles {}; index them, or mend the labels",
        first_of(&missing)
    );
    Ok(())
}

/// Hash of all that is learned from: the articles, and of each conversation its call, its words and its labels.
fn data(articles: ContentHash, conversations: &[Labelled<'_>]) -> serde_json::Result<String> {
    let rows = conversations.iter();
    data_hash(rows.map(|labelled| (articles, labelled.dialogue, labelled.is_quiet, labelled.conversation)))
}

/// Conversations with what the engine knows of their labelled turns.
struct LessonBook<'a> {
    conversations: Vec<Labelled<'a>>,
    /// Milliseconds that the last question of each took, before anything was learned.
    times: Vec<f64>,
    /// Of each conversation.
    examples: Vec<Vec<Example>>,
    /// For each conversation the place of the one that it goes on from.
    beginnings: Vec<usize>,
    encoder: String,
    dimensions: usize,
}

impl<'a> LessonBook<'a> {
    /// Asks the engine; what is usual is learned from the same turns, without their labels.
    async fn read(
        evaluation: &Evaluation<'_>,
        plan: &Plan,
        seeking: &'a [Conversation],
        quiet: &'a [Conversation],
    ) -> anyhow::Result<Self> {
        let all: Vec<&Conversation> = seeking.iter().chain(quiet).collect();
        let beginnings = beginnings(&all);
        let labelled = |(place, conversation): (usize, &&'a Conversation)| Labelled {
            conversation,
            is_quiet: place >= seeking.len(),
            dialogue: &all[beginnings[place]].id,
        };
        let conversations: Vec<_> = all.iter().enumerate().map(labelled).collect();
        let times = evaluation.listen(all.iter().copied()).await?;
        let examples = collect(evaluation.engine, plan, evaluation.limits, &conversations, evaluation.progress).await?;
        let model = evaluation.engine.encoder().model();
        let (encoder, dimensions) = (model.identity(), model.dimensions);
        Ok(Self { conversations, times, examples, beginnings, encoder, dimensions })
    }

    /// A gate can't be learned from turns that all want a card.
    fn expect_both_kinds(&self, arguments: &TrainArgs) -> anyhow::Result<()> {
        let all_want = self.examples.iter().flatten().all(|example| example.is_wanted);
        anyhow::ensure!(
            !all_want || arguments.order_only,
            "all labelled turns want a card, so that nothing tells when to be silent; give conversations that want none with \
             --quiet, label turns with an empty `gold`, or learn the order alone with --order-only"
        );
        Ok(())
    }

    fn lessons(&self, takes: impl Fn(usize) -> bool) -> Lessons<'_> {
        let of_conversations = self.examples.iter().enumerate().filter(|(place, _)| takes(*place));
        let examples: Vec<&Example> = of_conversations.flat_map(|(_, examples)| examples).collect();
        Lessons { examples, encoder: self.encoder.clone(), dimensions: self.dimensions, source: Source::Labels }
    }

    /// The model of all conversations, and what one of the older ones gains on the newest.
    async fn model(
        &self,
        evaluation: &Evaluation<'_>,
        against: Option<Arc<Model>>,
        articles: ContentHash,
    ) -> anyhow::Result<Model> {
        let held_back = self.newest();
        let older = self.lessons(|place| !held_back.contains(&place)).learn()?;
        let before = self.judged(evaluation, against.clone(), &held_back).await?;
        let after = self.judged(evaluation, Some(Arc::new(older)), &held_back).await?;
        let mut model = self.lessons(|_| true).learn()?;
        model.trained.data = data(articles, &self.conversations)?;
        model.trained.compared_with = against.map(|model| model.version.clone());
        model.trained.gains = gains(&before, &after);
        Ok(model)
    }

    /// The newest of those that want a card and of those that want none, with all that belongs to them.
    fn newest(&self) -> HashSet<usize> {
        let seeking = self.conversations.iter().filter(|labelled| !labelled.is_quiet).count();
        let all = self.conversations.len();
        let newest = |of: std::ops::Range<usize>| of.end - of.len() / HELD_BACK..of.end;
        let newest: HashSet<usize> =
            newest(0..seeking).chain(newest(seeking..all)).map(|place| self.beginnings[place]).collect();
        (0..all).filter(|place| newest.contains(&self.beginnings[*place])).collect()
    }

    async fn judged(
        &self,
        evaluation: &Evaluation<'_>,
        model: Option<Arc<Model>>,
        places: &HashSet<usize>,
    ) -> anyhow::Result<Vec<Judged>> {
        evaluation.engine.use_model(model);
        let mut judged = Vec::new();
        for (place, labelled) in self.conversations.iter().enumerate().filter(|(place, _)| places.contains(place)) {
            let of_conversation = evaluation.judge(labelled.conversation, labelled.dialogue, labelled.is_quiet).await?;
            judged.push(Judged { took_ms: self.times[place], ..of_conversation });
        }
        evaluation.engine.use_model(None);
        Ok(judged)
    }
}

/// Judges each part of the conversations by a model of the others; what belongs to one dialogue is in one part.
pub async fn folded(
    evaluation: &Evaluation<'_>,
    plan: &Plan,
    seeking: &[Conversation],
    quiet: &[Conversation],
    folds: usize,
) -> anyhow::Result<Vec<Judged>> {
    let lesson_book = LessonBook::read(evaluation, plan, seeking, quiet).await?;
    let fold_of = fold_of(lesson_book.conversations.len(), folds);
    let fold = |place: usize| fold_of[lesson_book.beginnings[place]];
    let mut judged: Vec<Judged> = Vec::new();
    for part in 0..folds {
        let model = lesson_book.lessons(|place| fold(place) != part).learn()?;
        let places = (0..fold_of.len()).filter(|place| fold(*place) == part).collect();
        judged.extend(lesson_book.judged(evaluation, Some(Arc::new(model)), &places).await?);
        (evaluation.progress)();
    }
    Ok(judged)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_actors::engine::evaluation::read_conversations;

    use super::*;

    /// What the data of a single conversation are called that is written so.
    fn data_of(line: &str, articles: &str, is_quiet: bool) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
        let conversation = read_conversations(file.path()).unwrap().remove(0);
        let labelled = Labelled { conversation: &conversation, is_quiet, dialogue: "call" };
        data(ContentHash::of_bytes(articles.as_bytes()), &[labelled]).unwrap()
    }

    #[test]
    fn other_words_labels_or_articles_are_other_data() {
        let line = |id: &str, text: &str, of_turn: &str, gold: &str| {
            format!(
                r#"{{"id":"{id}","turns":[{{"speaker":"customer","text":"{text}","gold":["{of_turn}"]}}],"gold":["{gold}"]}}"#
            )
        };
        let original = line("a", "where is it", "kb-1", "kb-1");
        let expected = data_of(&original, "articles", false);
        assert_eq!(data_of(&original, "articles", false), expected);
        for other in [
            line("b", "where is it", "kb-1", "kb-1"),
            line("a", "where was it", "kb-1", "kb-1"),
            line("a", "where is it", "kb-2", "kb-1"),
            line("a", "where is it", "kb-1", "kb-2"),
        ] {
            assert_ne!(data_of(&other, "articles", false), expected, "{other}");
        }
        assert_ne!(data_of(&original, "other articles", false), expected);
        assert_ne!(data_of(&original, "articles", true), expected);
    }
}
