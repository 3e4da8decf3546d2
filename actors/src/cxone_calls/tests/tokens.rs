//! What calls do while there is no token.

use super::*;

#[actix::test]
async fn refused_credentials_end_a_push_at_once() {
    let fixture = fixture().await;
    fixture.cxone.script(TOKEN, [Reply::Status(401, "no")]);
    let reason = refusal(fixture.push("d-1").await);
    assert!(reason.contains("CXONE_CLIENT_ID") && reason.contains("401"), "{reason}");
    assert!(fixture.cxone.asked(PUSH).is_empty());
    assert_eq!(fixture.health.state().0, ProfileState::Waiting);
    until("it is asked again", || fixture.cxone.asked(TOKEN).len() == 2).await;
    let asked = fixture.cxone.asked(TOKEN);
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
    assert!(asked[0].body.contains("grant_type=client_credentials") && asked[0].body.contains("s3cret"));
    until("it has a token", || fixture.health.state().0 == ProfileState::Ready).await;
    assert_eq!(fixture.push("d-2").await, delivered());
}

#[actix::test]
async fn an_error_under_a_200_is_a_refusal_too() {
    let fixture = fixture().await;
    fixture.cxone.script(TOKEN, [Reply::Status(200, r#"{"error":"invalid_client"}"#)]);
    let start = Instant::now();
    let reason = refusal(fixture.push("d-1").await);
    assert!(reason.contains("invalid_client") && reason.contains("CXONE_CLIENT_ID"), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(1), "at once");
}

#[actix::test]
async fn a_lifetime_written_as_a_text_is_read() {
    let fixture = fixture().await;
    fixture.cxone.script(TOKEN, [Reply::Status(200, r#"{"access_token":"t1","expires_in":"3600"}"#)]);
    assert_eq!(fixture.push("d-1").await, delivered());
    assert_eq!(fixture.cxone.asked(TOKEN).len(), 1);
}

#[actix::test]
async fn a_token_endpoint_that_fails_is_waited_for_while_a_card_is_still_of_use() {
    let fixture = fixture().await;
    fixture.cxone.script(TOKEN, [Reply::Status(503, "oops"), Reply::Status(200, "<html>"), Reply::Cut]);
    assert_eq!(fixture.push("d-1").await, delivered());
    assert_eq!(fixture.cxone.asked(TOKEN).len(), 4);
}

#[actix::test]
async fn a_read_waits_for_a_token_as_a_push_does() {
    let fixture = fixture().await;
    fixture.cxone.script(TOKEN, [Reply::Status(503, "oops")]);
    fixture.cxone.script(SEARCH, [Reply::Status(200, r#"{"entities":[]}"#)]);
    assert_eq!(fixture.calls.search("x", None, 5, four_seconds()).await, Ok(Vec::new()));
    assert_eq!(fixture.cxone.asked(TOKEN).len(), 2);
}

#[actix::test]
async fn what_the_token_endpoint_says_becomes_an_error_and_a_wait() {
    let fixture = fixture().await;
    until("the TokenActor has its token", || fixture.health.state().0 == ProfileState::Ready).await;
    let ask = async |reply| {
        fixture.cxone.script(TOKEN, [reply]);
        fixture.calls.request_token(3).await.unwrap_err()
    };
    let no_token = ask(Reply::Status(400, "invalid_client")).await;
    let refused = |reason: &str| TokenError::Refused { reason: reason.to_owned() };
    assert_eq!(no_token.error, refused("status 400: invalid_client"));
    assert_eq!(no_token.ask_again_after, Duration::from_secs(4), "the third step");
    let named = r#"{"error":"invalid_scope","error_description":"no such scope"}"#;
    let no_token = ask(Reply::Status(401, named)).await;
    assert_eq!(no_token.error, refused("status 401: invalid_scope: no such scope"));
    let no_token = ask(Reply::Status(200, named)).await;
    assert_eq!(no_token.error, refused("the token endpoint answered invalid_scope: no such scope"));
    assert_eq!(no_token.ask_again_after, Duration::from_secs(4), "as for refused credentials");
    let no_token = ask(Reply::Status(200, r#"{"error":"temporarily_unavailable"}"#)).await;
    assert!(matches!(no_token.error, TokenError::Unreachable { .. }), "{:?}", no_token.error);
    for status in [400, 401, 503] {
        let busy = r#"{"error":"temporarily_unavailable","error_description":"come back"}"#;
        let no_token = ask(Reply::Status(status, busy)).await;
        assert!(matches!(no_token.error, TokenError::Unreachable { .. }), "{status}: {:?}", no_token.error);
    }
    let echo = "\u{feff}{\"error\":\"invalid_client\",\"error_description\":\"secret 's3cret' is wrong\"}";
    let no_token = ask(Reply::Status(401, echo)).await;
    assert_eq!(no_token.error, refused("status 401: invalid_client: secret '***' is wrong"));
    let no_token = ask(Reply::Redirect(301, "/oauth2/token?client_secret=s3cret")).await;
    let reason = no_token.error.to_string();
    assert!(reason.contains("301") && reason.contains("/oauth2/token") && !reason.contains("s3cret"), "{reason}");
    let no_token = ask(Reply::RetryAfter(503, "7")).await;
    assert!(matches!(no_token.error, TokenError::Unreachable { .. }));
    assert!(no_token.ask_again_after >= Duration::from_secs(7));
    let no_token = ask(Reply::Status(200, r#"{"access_token":"","expires_in":"secret-thing"}"#)).await;
    assert!(!no_token.error.to_string().contains("secret-thing"), "{}", no_token.error);
}

#[actix::test]
async fn without_a_token_actor_nothing_is_sent() {
    let fixture = fixture().await;
    *fixture.calls.tokens.lock().unwrap() = None;
    let deadline = Instant::now() + Duration::from_millis(100);
    assert_eq!(fixture.push_before("d-1", deadline).await, Outcome::Failed(Failure::Unreachable));
    assert!(matches!(fixture.forward(1).await, ForwardEnd::NotSent { .. }));
    assert!(fixture.cxone.asked(PUSH).is_empty() && fixture.cxone.asked(FEEDBACK).is_empty());
}

#[actix::test]
async fn a_push_that_waits_for_its_token_until_the_deadline_is_late() {
    let fixture = fixture().await;
    let late = Reply::Slowly(Duration::from_millis(500), Box::new(Reply::Status(503, "oops")));
    fixture.cxone.script(TOKEN, [late]);
    let deadline = Instant::now() + Duration::from_millis(100);
    assert_eq!(fixture.push_before("d-1", deadline).await, Outcome::Expired(Stage::Inject));
    assert!(fixture.cxone.asked(PUSH).is_empty());
}
