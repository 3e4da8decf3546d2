//! Calls leave their thread, and need no socket in tests.

use cuecard_cxone::http::Answer;
use tokio::sync::oneshot;

use super::*;

fn scripted(http: HttpClient) -> CxoneCallsDeps {
    let mut settings = ConnectionSettings::for_contract(Contract::Insights, "client", "s3cret".into());
    settings.base_url = "https://tenant.example".to_owned();
    let profile = ProfileName::new("acme");
    let metrics = Metrics::new(std::slice::from_ref(&profile), Vec::new()).unwrap();
    CxoneCallsDeps {
        http,
        connection: Connection::new(settings).unwrap(),
        dialect: Dialect::Insights,
        policy: quick(),
        rate_limit: None,
        health: ProfileHealth::new(profile, &[], metrics.clone()),
        metrics,
    }
}

#[tokio::test(start_paused = true)]
async fn a_scripted_client_answers_without_a_socket_on_the_tests_own_clock() {
    let http = HttpClient::scripted(Limits::default(), |request| {
        let path = request.url.path().to_owned();
        async move {
            assert_eq!(path, TOKEN);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Answer::scripted(429, &[("retry-after", "7")], "busy"))
        }
    });
    let calls = Arc::new(CxoneCalls::new(scripted(http)));
    let start = Instant::now();
    let asking = Arc::clone(&calls);
    let no_token = tokio::spawn(async move { asking.request_token(1).await }).await.unwrap().unwrap_err();
    assert_eq!((no_token.ask_again_after, start.elapsed()), (Duration::from_secs(7), Duration::from_secs(1)));
}

/// Each kind of call is spawned, so that none of them keeps a thread to itself.
#[actix::test]
async fn every_call_may_be_spawned() {
    let fixture = fixture().await;
    fixture.cxone.script(SEARCH, [Reply::Status(200, r#"{"entities":[]}"#)]);
    let (calls, others) = (Arc::clone(&fixture.calls), Arc::clone(&fixture.calls));
    let (told, outcomes) = oneshot::channel();
    tokio::spawn(async move {
        let interaction: InteractionId = "c-1".parse().unwrap();
        let target = PushTarget { interaction: &interaction, agent_id: "agent-1" };
        let content = PushContent::Cards(vec![card()]);
        let order =
            PushOrder { target, content: &content, key: "d-1", deadline: four_seconds(), max_attempts: Some(1) };
        let pushed = calls.push(order).await;
        told.send((pushed, calls.search("x", None, 5, four_seconds()).await)).unwrap();
    });
    assert_eq!(outcomes.await.unwrap(), (delivered(), Ok(Vec::new())));
    let (interaction, arrived_at) = ("c-1".parse().unwrap(), Timestamp::UNIX_EPOCH);
    let call = FeedbackCall { interaction, insight: "kb-1".to_owned(), action: "ACCEPTED".into(), arrived_at };
    let forwarded = tokio::spawn(async move { others.forward(&call, 1).await }).await.unwrap();
    assert_eq!(forwarded, ForwardEnd::Forwarded);
}
