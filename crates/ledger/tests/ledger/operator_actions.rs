//! What operators decided about articles comes back after a restart, the newest action on each.

use cuecard_ledger::{ArticleAction, OperatorAction, newest_actions};

use crate::second;
use crate::stores::{Store, on_both};

fn action(profile: &str, article_id: &str, action: ArticleAction, at: i64) -> OperatorAction {
    OperatorAction {
        profile: profile.into(),
        article_id: article_id.into(),
        action,
        reason: "the shop is closed".into(),
        at: second(at),
        ends_at: (action == ArticleAction::Pin).then(|| second(at + 60)),
    }
}

on_both! {
    async fn the_newest_action_on_each_article_outlives_the_process(store: Store) {
        let ledger = store.open().await;
        let [pin, mute, other, release] = [
            action("main", "a", ArticleAction::Pin, 1),
            action("main", "b", ArticleAction::Mute, 2),
            action("other", "a", ArticleAction::Mute, 3),
            action("main", "b", ArticleAction::Release, 4),
        ];
        for action in [&pin, &mute, &other, &release] {
            ledger.operator_actions().record(action.clone()).await.unwrap();
        }
        let beside = newest_actions(&store.url, "main").await.unwrap();
        assert_eq!(beside, [release.clone(), pin.clone()], "beside whoever has it open");
        ledger.close().await;
        let actions = store.open().await.operator_actions();
        assert_eq!(actions.newest("main").await.unwrap(), [release, pin]);
        assert_eq!(actions.newest("other").await.unwrap(), [other]);
        assert!(actions.newest("nobody").await.unwrap().is_empty());
    }
}
