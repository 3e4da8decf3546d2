//! Feedback: one attempt, and how to go on.

use super::*;

#[actix::test]
async fn feedback_is_sent_once_and_its_answer_says_how_to_go_on() {
    let fixture = fixture().await;
    fixture.cxone.script(FEEDBACK, [Reply::Status(204, "")]);
    assert_eq!(fixture.forward(1).await, ForwardEnd::Forwarded);
    let body: serde_json::Value = serde_json::from_str(&fixture.cxone.asked(FEEDBACK)[0].body).unwrap();
    assert_eq!((&body["interactionId"], &body["insightId"]), (&"c-1".into(), &"kb-1".into()));

    fixture.cxone.script(FEEDBACK, [Reply::Status(403, ""), Reply::Status(500, ""), Reply::Cut]);
    let ForwardEnd::Postponed { reason, .. } = fixture.forward(1).await else { panic!("403") };
    assert!(reason.contains("ai:training:write"), "{reason}");
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
    assert!(held_off(fixture.push("d-1").await) > Duration::from_secs(50), "it holds the pushes too");
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
