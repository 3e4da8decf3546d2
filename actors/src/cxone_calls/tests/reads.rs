//! Searches: asked twice at most, and held where CXone asks to wait.

use super::*;

#[actix::test]
async fn a_search_is_asked_twice_at_most_and_its_circuit_shows() {
    let fixture = fixture().await;
    let hits = r#"{"entities":[{"id":"kb-1","title":"Returns","score":0.5,"body":"Within 30 days."}]}"#;
    fixture.cxone.script(SEARCH, [Reply::Status(401, ""), Reply::Status(200, hits)]);
    let found = fixture.calls.search("may I return it?", None, 5, four_seconds()).await.unwrap();
    assert_eq!((found.len(), found[0].id.as_str(), found[0].score), (1, "kb-1", 0.5));
    assert_eq!(fixture.bearers(SEARCH), ["Bearer t1", "Bearer t2"]);
    fixture.cxone.script(SEARCH, (0..6).map(|_| Reply::Status(500, "oops")));
    for _ in 0..2 {
        let error = fixture.calls.search("x", None, 5, four_seconds()).await.unwrap_err().to_string();
        assert!(error.contains("status ###") || error.contains("500"), "{error}");
    }
    assert_eq!(fixture.cxone.asked(SEARCH).len(), 6);
    assert!(fixture.calls.search("x", None, 5, four_seconds()).await.is_err());
    until("the circuit is open", || fixture.health.state().0 == ProfileState::Degraded).await;
    assert!(fixture.health.state().1.contains("search"), "{:?}", fixture.health.state());
    assert_eq!(fixture.push("d-1").await, delivered(), "pushes have a circuit of their own");
}

#[actix::test]
async fn a_forbidden_search_names_the_scope() {
    let fixture = fixture().await;
    fixture.cxone.script(SEARCH, [Reply::Status(403, "no")]);
    let error = fixture.calls.search("x", None, 5, four_seconds()).await.unwrap_err().to_string();
    assert!(error.contains("knowledge:read"), "{error}");
    assert_eq!(fixture.cxone.asked(SEARCH).len(), 1);
}

#[actix::test]
async fn a_search_that_is_told_to_wait_holds_all_searches_also_where_it_gives_up() {
    let longer_than_there_is_time = [Reply::RetryAfter(429, "200")];
    let for_the_last_time = [Reply::RetryAfter(429, "1"), Reply::RetryAfter(429, "200")];
    for replies in [longer_than_there_is_time.to_vec(), for_the_last_time.to_vec()] {
        let (fixture, expected) = (fixture().await, replies.len());
        fixture.cxone.script(SEARCH, replies);
        for _ in 0..2 {
            assert!(fixture.calls.search("x", None, 5, four_seconds()).await.is_err());
            assert_eq!(fixture.cxone.asked(SEARCH).len(), expected);
        }
        assert_eq!(fixture.push("d-1").await, delivered());
    }
}

#[actix::test]
async fn a_read_that_opens_the_circuit_itself_says_what_cxone_answered() {
    let fixture = fixture().await;
    fixture.cxone.script(ARTICLES, (0..5).map(|_| Reply::Status(503, "oops")));
    let asked = ArticlesRead { url: fixture.calls.connection().articles_url(), last_modified: None };
    let error = fixture.calls.read_articles(&asked, Duration::from_millis(900)).await.unwrap_err().to_string();
    assert!(error.contains("circuit is open") && error.contains("status 503"), "{error}");
}
