//! Feedback: one attempt, and how to go on.

use super::*;

#[actix::test]
async fn feedback_is_sent_once_and_its_answer_says_how_to_go_on() {
    let fixture = fixture().await;
    fixture.cxone.script(FEEDBACK, [Reply::Status(204, "")]);
    assert_eq!(fixture.forward(1).await, ForwardEnd::Forwarded);
    let body: serde_json::Value = serde_json::from_str(&fixture.cxone.asked(FEEDBACK)[0].body).unwrap();
    assert_eq!((&body["interactionId"], &body["insightId"]), (&"c-1".into(), &"kb-1".into()));

    fixture.cxone.script(FEEDBACK, [Reply::Status(500, ""), Reply::Cut]);
    for _ in 0..2 {
        assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }));
    }
    for status in [302, 408, 409, 425] {
        fixture.cxone.script(FEEDBACK, [Reply::Status(status, "")]);
        assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }), "{status}");
    }
    for status in [400, 404, 422] {
        fixture.cxone.script(FEEDBACK, [Reply::Status(status, "unknown insight")]);
        let ForwardEnd::SetAside { reason } = fixture.forward(1).await else { panic!("{status}") };
        assert!(reason.contains("unknown insight"), "{reason}");
    }

    fixture.cxone.script(FEEDBACK, [Reply::RetryAfter(429, "60")]);
    let ForwardEnd::Postponed { wait, .. } = fixture.forward(1).await else { panic!("429") };
    assert!(wait >= Duration::from_mins(1));
    assert!(matches!(fixture.forward(2).await, ForwardEnd::NotSent { .. }) && fixture.calls.is_feedback_held());
    assert_eq!(fixture.push("d-1").await, delivered(), "it holds no pushes");
}

/// Thousands of events may wait: one of them finds out whether the endpoint takes them again.
#[actix::test]
async fn a_refusal_that_any_event_would_meet_is_waited_out_once() {
    let fixture = fixture().await;
    fixture.cxone.script(FEEDBACK, [Reply::Status(403, ""), Reply::Status(403, "")]);
    let ForwardEnd::Postponed { reason, .. } = fixture.forward(1).await else { panic!("403") };
    assert!(reason.contains("ai:training:write"), "{reason}");
    let others = async || {
        for _ in 0..50 {
            assert!(matches!(fixture.forward(1).await, ForwardEnd::NotSent { .. }));
        }
    };
    assert!(fixture.calls.is_feedback_held());
    others().await;
    until("one may try", || !fixture.calls.is_feedback_held()).await;
    let (end, ()) = tokio::join!(fixture.forward(2), others());
    assert!(matches!(end, ForwardEnd::Postponed { .. }), "{end:?}");
    until("another may try", || !fixture.calls.is_feedback_held()).await;
    assert_eq!(fixture.forward(3).await, ForwardEnd::Forwarded);
    assert_eq!(fixture.forward(1).await, ForwardEnd::Forwarded, "and all go on");
    let asked = fixture.cxone.asked(FEEDBACK);
    assert_eq!((asked.len(), fixture.cxone.asked(TOKEN).len()), (4, 1));
    assert!(asked[1].at - asked[0].at >= Duration::from_millis(500));
    assert!(asked[2].at - asked[1].at >= Duration::from_secs(1), "longer each time");
}

#[actix::test]
async fn without_a_token_no_event_is_tried() {
    let fixture = fixture().await;
    fixture.cxone.script(TOKEN, [Reply::Status(401, "")]);
    assert!(matches!(fixture.forward(1).await, ForwardEnd::NotSent { .. }));
    assert!(fixture.calls.is_feedback_held() && fixture.cxone.asked(FEEDBACK).is_empty());
    until("it has a token", || fixture.health.state().0 == ProfileState::Ready).await;
    until("one may try", || !fixture.calls.is_feedback_held()).await;
    assert_eq!(fixture.forward(1).await, ForwardEnd::Forwarded);
}

/// Whatever attempt it is: the first refusal of a token says nothing about the next token.
#[actix::test]
async fn a_token_refused_for_feedback_is_replaced_once_and_at_once() {
    let fixture = fixture().await;
    fixture.cxone.script(FEEDBACK, [Reply::Status(500, ""), Reply::Status(401, ""), Reply::Status(201, "")]);
    assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }));
    assert_eq!(fixture.forward(2).await, ForwardEnd::Forwarded);
    assert_eq!(fixture.bearers(FEEDBACK), ["Bearer t1", "Bearer t1", "Bearer t2"]);

    fixture.cxone.script(FEEDBACK, [Reply::Status(401, ""), Reply::Status(401, "")]);
    let ForwardEnd::Postponed { .. } = fixture.forward(20).await else { panic!("401 twice") };
    assert_eq!(fixture.bearers(FEEDBACK)[3..], ["Bearer t2", "Bearer t3"]);
    until("one may try", || !fixture.calls.is_feedback_held()).await;
    assert_eq!(fixture.forward(21).await, ForwardEnd::Forwarded);
    assert_eq!(fixture.bearers(FEEDBACK)[5..], ["Bearer t4"], "the second refused token is not used again");
}

#[actix::test]
async fn an_endpoint_that_fails_five_times_in_a_row_is_left_alone_for_a_while() {
    let fixture = fixture().await;
    fixture.cxone.script(FEEDBACK, (0..5).map(|_| Reply::Status(503, "")));
    for number in 1..=5 {
        assert!(matches!(fixture.forward(number).await, ForwardEnd::Postponed { .. }));
    }
    assert_eq!(fixture.forward(6).await, ForwardEnd::Forwarded, "it waits for the probe");
    let asked = fixture.cxone.asked(FEEDBACK);
    assert!(asked[5].at - asked[4].at >= Duration::from_millis(990), "nothing is sent while the circuit is open");
}

#[actix::test]
async fn feedback_draws_on_the_profiles_rate_limit() {
    let one = std::num::NonZero::<u32>::MIN;
    let limit = RateLimit { per_second: one, burst: one };
    let fixture = with(Loopback::start().await, |deps| CxoneCallsDeps { rate_limit: Some(limit), ..deps });
    for number in 1..=2 {
        assert_eq!(fixture.forward(number).await, ForwardEnd::Forwarded);
    }
    let asked = fixture.cxone.asked(FEEDBACK);
    assert!(asked[1].at - asked[0].at >= Duration::from_millis(900), "one a second: {asked:?}");
}
