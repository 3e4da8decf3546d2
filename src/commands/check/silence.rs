//! Whether silence is set so that it would swallow most of what customers ask.
//!
//! The titles of some articles are asked as a customer might; each wants a card, its own article's if nothing else. Nothing that
//! is heard so changes what is usual for the deployment.

use cuecard_actors::engine::JobPanicked;
use cuecard_actors::engine::conversation::Utterance;
use cuecard_actors::tenant::Tenant;

/// Titles that are asked: enough to tell most from few, and less than a second's work.
const SAMPLE: usize = 20;

/// How many titles were asked, and how many of them brought no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sampled {
    asked: usize,
    silent: usize,
}

/// Asks a sample; nothing where a tenant is never silent, or has no article to ask about.
pub(super) async fn sample(tenant: &Tenant) -> Result<Option<Sampled>, JobPanicked> {
    let plan = &tenant.profile.plan;
    let index = tenant.knowledge.index.as_ref().map(|index| index.current());
    let (Some(index), Some(_)) = (index, plan.silence) else { return Ok(None) };
    let engine = tenant.engine.untaught();
    let every = index.len().div_ceil(SAMPLE).max(1);
    let mut sampled = Sampled { asked: 0, silent: 0 };
    for place in (0..index.len()).step_by(every) {
        let article = index.article(place);
        if article.title.trim().is_empty() {
            continue;
        }
        let answer = engine.answer(&Utterance::question(article.title.as_str()), plan).await?;
        sampled.asked += 1;
        sampled.silent += usize::from(answer.ranking.cards().is_empty());
    }
    Ok((sampled.asked > 0).then_some(sampled))
}

impl Sampled {
    /// Whether more than half brought nothing.
    pub(super) fn is_swallowed(self) -> bool {
        2 * self.silent > self.asked
    }

    /// What came of it, and what to do.
    pub(super) fn told(self) -> String {
        let Self { asked, silent } = self;
        if self.is_swallowed() {
            return format!(
                "{silent} of {asked} questions made of article titles would end in silence; set `selectivity` to \"low\", take \
                 `precision` and `min_cosine` out, or see with `cuecard eval --quiet` what your conversations need"
            );
        }
        format!("{} of {asked} questions made of article titles would bring a card", asked - silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_is_more_than_half() {
        for (asked, silent, is_swallowed) in [(40, 20, false), (40, 21, true), (1, 1, true), (1, 0, false)] {
            let sampled = Sampled { asked, silent };
            assert_eq!(sampled.is_swallowed(), is_swallowed);
            assert_eq!(sampled.told().contains("selectivity"), is_swallowed, "{}", sampled.told());
        }
    }
}
