//! What operators decide about articles while the service runs: written down first, then in effect at once.

use std::sync::Arc;

use cuecard_engine::{Mark, Marks};
use cuecard_ledger::{ArticleAction, LedgerError, OperatorAction, OperatorActions};
use tokio::sync::Mutex;

use super::{Tenant, Tenants};
use crate::messages::ProfileName;

/// See the module.
pub struct ArticleMarks {
    tenants: Tenants,
    actions: OperatorActions,
    /// One action at a time, so that what is in effect is what was written last.
    turn: Mutex<()>,
}

/// Why an action did not come to anything.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The settings name no such profile.
    #[error("there is no profile {profile}; /readyz lists the profiles")]
    UnknownProfile {
        /// Which.
        profile: String,
    },
    /// The profile shows no articles.
    #[error("profile {profile} puts its callers' own snippets in order and shows no articles")]
    NoArticles {
        /// Which.
        profile: String,
    },
    /// The profile's index has no such article.
    #[error("the index of {profile} has no article with the id `{article_id}`")]
    UnknownArticle {
        /// Which profile.
        profile: String,
        /// Which article.
        article_id: String,
    },
    /// It could not be written down, so it is not in effect.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl ArticleMarks {
    /// Puts into effect what was decided in earlier lives of the service.
    pub async fn restored(tenants: Tenants, actions: OperatorActions) -> Result<Self, LedgerError> {
        let marks = Self { tenants, actions, turn: Mutex::default() };
        for tenant in marks.tenants.iter() {
            marks.put_into_effect(&tenant).await?;
        }
        Ok(marks)
    }

    /// Returns once the action is on disk and in effect.
    pub async fn record(&self, action: OperatorAction) -> Result<(), MarkError> {
        let tenant = self.tenant(&action.profile)?;
        if tenant.profile.plan.backends.is_empty() {
            return Err(MarkError::NoArticles { profile: action.profile });
        }
        let is_unknown = tenant.knowledge.index.as_ref().is_some_and(|index| {
            let index = index.current();
            tenant.profile.plan.backends.len() == 1 && index.position(&action.article_id).is_none()
        });
        // Only what is there may be marked; a mark may be taken from what is gone.
        if is_unknown && action.action != ArticleAction::Release {
            let OperatorAction { profile, article_id, .. } = action;
            return Err(MarkError::UnknownArticle { profile, article_id });
        }
        let _turn = self.turn.lock().await;
        self.actions.record(action.clone()).await?;
        // From the action itself: what is on disk must be in effect, also where the ledger can't be read.
        let mark = mark(&action).map(|mark| (mark, action.ends_at));
        tenant.engine.use_marks(tenant.engine.marks().changed(action.article_id, mark));
        Ok(())
    }

    /// The newest action on each article of a profile, newest first, also where it has ended.
    pub async fn newest(&self, profile: &str) -> Result<Vec<OperatorAction>, MarkError> {
        self.tenant(profile)?;
        Ok(self.actions.newest(profile).await?)
    }

    fn tenant(&self, profile: &str) -> Result<Arc<Tenant>, MarkError> {
        let unknown = || MarkError::UnknownProfile { profile: profile.to_owned() };
        self.tenants.get(&ProfileName::new(profile)).ok_or_else(unknown)
    }

    async fn put_into_effect(&self, tenant: &Tenant) -> Result<(), LedgerError> {
        tenant.engine.use_marks(marks(self.actions.newest(tenant.name().as_str()).await?));
        Ok(())
    }
}

/// What the newest action on each article comes to.
pub(super) fn marks(newest: Vec<OperatorAction>) -> Marks {
    let marks = newest.into_iter().filter_map(|action| Some((mark(&action)?, action)));
    marks.map(|(mark, action)| (action.article_id, mark, action.ends_at)).collect()
}

fn mark(action: &OperatorAction) -> Option<Mark> {
    match action.action {
        ArticleAction::Pin => Some(Mark::Pinned),
        ArticleAction::Mute => Some(Mark::Muted),
        ArticleAction::Release => None,
    }
}
