#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::CallKind::{Feedback, Push, Ranking, Read, Token};
use super::CallOutcome::{Answered, Failed, Unusable};
use super::*;

const FOUR_SECONDS: Option<Duration> = Some(Duration::from_secs(4));

/// Jitter of one half, a push's deadline, the first attempt.
fn attempt(kind: CallKind, outcome: CallOutcome) -> Attempt {
    Attempt {
        kind,
        outcome,
        retry_after: None,
        number: 1,
        num_renewals: 0,
        max_attempts: None,
        time_left: if matches!(kind, Feedback | Token) { None } else { FOUR_SECONDS },
        jitter: 0.5,
    }
}

fn decide(attempt: Attempt) -> NextStep {
    RetryPolicy::default().next_step(&attempt)
}

fn retry(milliseconds: u64) -> NextStep {
    NextStep::RetryAfter { wait: Duration::from_millis(milliseconds), holds_endpoint: false, ambiguous: false }
}

fn hold(milliseconds: u64) -> NextStep {
    NextStep::RetryAfter { wait: Duration::from_millis(milliseconds), holds_endpoint: true, ambiguous: false }
}

fn repeat(milliseconds: u64) -> NextStep {
    NextStep::RetryAfter { wait: Duration::from_millis(milliseconds), holds_endpoint: false, ambiguous: true }
}

fn refused(milliseconds: u64) -> NextStep {
    NextStep::CredentialsRefused { wait: Duration::from_millis(milliseconds) }
}

const RENEW_AT_ONCE: NextStep = NextStep::RenewToken { wait: Duration::ZERO };
const LATE: NextStep = NextStep::GiveUp(GiveUpReason::Late);

/// What every outcome means at the first attempt, for every kind of call.
#[test]
fn the_table_of_answers() {
    use GiveUpReason as R;
    let give_up = NextStep::GiveUp;
    let too_large = |status| Failed(TransportFailure::BodyTooLarge { status });
    let done = NextStep::Done;
    let not_sendable = give_up(R::NotSendable);
    let table = [
        // outcome, push, read, feedback, token
        (Answered(200), done, done, done, done),
        (Answered(201), done, done, done, done),
        (Answered(202), done, done, done, done),
        (Answered(204), done, done, done, done),
        (Answered(206), done, done, done, done),
        (Answered(302), give_up(R::Unexpected(302)), give_up(R::Unexpected(302)), retry(250), retry(500)),
        (Answered(304), give_up(R::Unexpected(304)), done, retry(250), retry(500)),
        (Answered(400), give_up(R::BadRequest), give_up(R::BadRequest), give_up(R::BadRequest), refused(1000)),
        (Answered(401), RENEW_AT_ONCE, RENEW_AT_ONCE, RENEW_AT_ONCE, refused(1000)),
        (Answered(403), give_up(R::Forbidden), give_up(R::Forbidden), retry(250), refused(1000)),
        (Answered(404), give_up(R::NotFound), give_up(R::NotFound), give_up(R::NotFound), retry(500)),
        (Answered(408), give_up(R::Rejected(408)), give_up(R::Rejected(408)), retry(250), retry(500)),
        (Answered(409), give_up(R::Rejected(409)), give_up(R::Rejected(409)), retry(250), retry(500)),
        (Answered(422), give_up(R::Rejected(422)), give_up(R::Rejected(422)), give_up(R::Rejected(422)), retry(500)),
        (Answered(425), give_up(R::Rejected(425)), give_up(R::Rejected(425)), retry(250), retry(500)),
        (Answered(429), hold(500), hold(500), hold(250), hold(500)),
        (Answered(500), retry(500), retry(500), retry(250), retry(500)),
        (Answered(503), retry(500), retry(500), retry(250), retry(500)),
        (Answered(599), retry(500), retry(500), retry(250), retry(500)),
        (Answered(999), give_up(R::Unexpected(999)), give_up(R::Unexpected(999)), retry(250), retry(500)),
        (Unusable, give_up(R::WebPage), give_up(R::WebPage), retry(250), retry(500)),
        (Failed(TransportFailure::Refused), retry(500), retry(500), retry(250), retry(500)),
        (Failed(TransportFailure::Tls), retry(500), retry(500), retry(250), retry(500)),
        (Failed(TransportFailure::Cut), repeat(500), retry(500), repeat(250), repeat(500)),
        (Failed(TransportFailure::TimedOut), repeat(500), retry(500), repeat(250), repeat(500)),
        (Failed(TransportFailure::Garbled), repeat(500), retry(500), repeat(250), repeat(500)),
        (Failed(TransportFailure::NotSendable), not_sendable, not_sendable, not_sendable, not_sendable),
        (too_large(200), done, give_up(R::TooLarge), done, retry(500)),
        (too_large(404), give_up(R::NotFound), give_up(R::NotFound), give_up(R::NotFound), retry(500)),
        (too_large(500), retry(500), retry(500), retry(250), retry(500)),
    ];
    for (outcome, push, read, feedback, token) in table {
        // A ranking is a push in all but these.
        let ranking = match outcome {
            Answered(409) => NextStep::AwaitUnlock,
            Failed(TransportFailure::BodyTooLarge { status: 200 }) => give_up(R::TooLarge),
            _ => push,
        };
        for (kind, expected) in [(Push, push), (Ranking, ranking), (Read, read), (Feedback, feedback), (Token, token)] {
            assert_eq!(decide(attempt(kind, outcome)), expected, "{kind:?} {outcome:?}");
        }
        assert!(CallOutcome::LABELS.contains(&outcome.label()), "{outcome:?}");
    }
}

#[test]
fn a_second_401_ends_a_call_and_slows_a_feedback_down() {
    let second = |kind| Attempt { num_renewals: 1, number: 2, ..attempt(kind, Answered(401)) };
    for kind in [Push, Ranking, Read] {
        assert_eq!(decide(second(kind)), NextStep::GiveUp(GiveUpReason::Unauthorised), "{kind:?}");
    }
    assert_eq!(decide(second(Feedback)), NextStep::RenewToken { wait: Duration::from_millis(500) });
    let tenth = Attempt { num_renewals: 9, number: 10, jitter: 1.0, ..attempt(Feedback, Answered(401)) };
    assert_eq!(decide(tenth), NextStep::RenewToken { wait: Duration::from_secs(30) });
}

#[test]
fn waits_double_with_full_jitter() {
    let push = |number, jitter| decide(Attempt { number, jitter, time_left: None, ..attempt(Push, Answered(500)) });
    assert_eq!([push(1, 1.0), push(2, 1.0), push(3, 1.0)], [retry(1000), retry(2000), retry(4000)]);
    assert_eq!([push(1, 0.0), push(2, 0.25), push(9, 1.0)], [retry(0), retry(500), retry(10_000)]);
    let feedback = |number| decide(Attempt { number, jitter: 1.0, ..attempt(Feedback, Answered(500)) });
    assert_eq!(
        [feedback(1), feedback(2), feedback(7), feedback(99)],
        [retry(500), retry(1000), retry(30_000), retry(30_000)]
    );
    let credentials = |number| decide(Attempt { number, ..attempt(Token, Answered(401)) });
    assert_eq!(
        [credentials(1), credentials(2), credentials(7), credentials(99)],
        [refused(1000), refused(2000), refused(60_000), refused(60_000)]
    );
}

#[test]
fn what_the_server_asks_for_is_never_shortened() {
    let asked = |kind, status, milliseconds| {
        let retry_after = Some(Duration::from_millis(milliseconds));
        decide(Attempt { retry_after, jitter: 0.0, time_left: None, ..attempt(kind, Answered(status)) })
    };
    for milliseconds in [2500, 7_200_000] {
        assert_eq!(asked(Push, 429, milliseconds), hold(milliseconds));
        assert_eq!(asked(Push, 503, milliseconds), retry(milliseconds));
        assert_eq!(asked(Feedback, 429, milliseconds), hold(milliseconds));
        assert_eq!(asked(Token, 429, milliseconds), hold(milliseconds));
        assert_eq!(asked(Token, 403, milliseconds), refused(milliseconds));
    }
    assert_eq!(asked(Token, 403, 0), refused(1000));
    let zero = Attempt { retry_after: Some(Duration::ZERO), ..attempt(Push, Answered(429)) };
    assert_eq!(decide(zero), hold(500), "no wait asked for still backs off");
}

#[test]
fn a_wait_that_reaches_the_deadline_is_not_begun() {
    let left = |milliseconds| Some(Duration::from_millis(milliseconds));
    let base = Attempt { retry_after: FOUR_SECONDS, ..attempt(Push, Answered(429)) };
    assert_eq!(decide(Attempt { time_left: left(4000), ..base }), LATE);
    assert_eq!(decide(Attempt { time_left: left(4001), ..base }), hold(4000));
    assert_eq!(decide(Attempt { time_left: None, ..base }), hold(4000));
    let base = attempt(Push, Failed(TransportFailure::Refused));
    assert_eq!(decide(Attempt { time_left: left(500), ..base }), LATE);
    assert_eq!(decide(Attempt { time_left: left(501), ..base }), retry(500));
    let base = attempt(Push, Answered(401));
    assert_eq!(decide(Attempt { time_left: left(0), ..base }), LATE);
    let base = attempt(Push, Answered(200));
    assert_eq!(decide(Attempt { time_left: left(0), ..base }), NextStep::Done);
}

#[test]
fn what_may_have_succeeded_is_repeated_only_where_that_is_allowed() {
    let strict = RetryPolicy { retry_ambiguous: false, ..RetryPolicy::default() };
    for failure in [TransportFailure::Cut, TransportFailure::TimedOut, TransportFailure::Garbled] {
        for kind in [Push, Ranking] {
            let push = attempt(kind, Failed(failure));
            assert_eq!(strict.next_step(&push), NextStep::GiveUp(GiveUpReason::Ambiguous), "{kind:?} {failure:?}");
        }
        let read = attempt(Read, Failed(failure));
        assert_eq!(strict.next_step(&read), retry(500), "asking again changes nothing: {failure:?}");
        let feedback = attempt(Feedback, Failed(failure));
        assert_eq!(strict.next_step(&feedback), repeat(250), "a verdict is never lost: {failure:?}");
    }
    for outcome in [Failed(TransportFailure::Refused), Answered(500)] {
        assert_eq!(strict.next_step(&attempt(Push, outcome)), retry(500), "{outcome:?}");
    }
}

#[test]
fn labels_are_a_closed_set_for_every_status() {
    for status in 0..=1000 {
        assert!(CallOutcome::LABELS.contains(&Answered(status).label()), "{status}");
    }
}

#[test]
fn a_caller_over_http_has_three_attempts_in_all() {
    let third = |outcome| Attempt { number: 3, max_attempts: Some(3), time_left: None, ..attempt(Push, outcome) };
    let exhausted = NextStep::GiveUp(GiveUpReason::Exhausted);
    for outcome in [Answered(429), Answered(500), Failed(TransportFailure::Cut)] {
        assert_eq!(decide(third(outcome)), exhausted, "{outcome:?}");
        let second = Attempt { number: 2, ..third(outcome) };
        assert!(matches!(decide(second), NextStep::RetryAfter { .. }), "{outcome:?}");
        let renewed = Attempt { num_renewals: 1, ..third(outcome) };
        assert!(matches!(decide(renewed), NextStep::RetryAfter { .. }), "one attempt only cost a token: {outcome:?}");
        let unbounded = Attempt { number: 99, max_attempts: None, ..third(outcome) };
        assert!(matches!(decide(unbounded), NextStep::RetryAfter { .. }), "{outcome:?}");
    }
    assert_eq!(decide(third(Answered(200))), NextStep::Done);
    assert_eq!(decide(third(Answered(401))), RENEW_AT_ONCE);
    assert_eq!(decide(third(Answered(403))), NextStep::GiveUp(GiveUpReason::Forbidden));
}

#[test]
fn a_ranking_that_ends_on_a_5xx_names_the_setting_that_may_help() {
    let last = |status| Attempt { number: 3, max_attempts: Some(3), ..attempt(Ranking, Answered(status)) };
    for status in [500, 503] {
        assert_eq!(decide(last(status)), NextStep::GiveUp(GiveUpReason::RankingFailed(status)));
        let late = Attempt { time_left: Some(Duration::ZERO), ..attempt(Ranking, Answered(status)) };
        assert_eq!(decide(late), NextStep::GiveUp(GiveUpReason::RankingFailed(status)));
    }
    assert_eq!(decide(last(429)), NextStep::GiveUp(GiveUpReason::Exhausted));
    let text = GiveUpReason::RankingFailed(500).to_string();
    assert!(text.contains("500") && text.contains("normalise") && text.contains("boosts"), "{text}");
}

#[test]
fn a_locked_session_is_awaited_until_the_deadline() {
    let conflict = Attempt { number: 3, max_attempts: Some(3), ..attempt(Ranking, Answered(409)) };
    assert_eq!(decide(conflict), NextStep::AwaitUnlock);
    assert_eq!(decide(Attempt { time_left: None, ..conflict }), NextStep::AwaitUnlock);
    assert_eq!(decide(Attempt { time_left: Some(Duration::ZERO), ..conflict }), LATE);
    for (answer, locked) in [
        (r#"{"state":"locked"}"#, true),
        (r#"{"id":"s-1","state":"locked","since":1}"#, true),
        (r#"{"state":"active"}"#, false),
        (r#"{"state":"LOCKED"}"#, false),
        (r#"{"state":true}"#, false),
        (r#"{"session":{"state":"locked"}}"#, false),
        (r#"["locked"]"#, false),
        ("locked", false),
        ("", false),
    ] {
        assert_eq!(session_is_locked(answer.as_bytes()), locked, "{answer}");
    }
}

fn any_outcome() -> impl Strategy<Value = CallOutcome> {
    let failure = prop_oneof![
        Just(TransportFailure::Refused),
        Just(TransportFailure::Tls),
        Just(TransportFailure::Cut),
        Just(TransportFailure::TimedOut),
        Just(TransportFailure::Garbled),
        (0..1000_u16).prop_map(|status| TransportFailure::BodyTooLarge { status }),
        Just(TransportFailure::NotSendable),
    ];
    prop_oneof![
        4 => (0..1000_u16).prop_map(Answered),
        // Those that mean something of their own.
        2 => prop::sample::select(vec![200, 304, 401, 403, 409, 429, 500, 503]).prop_map(Answered),
        1 => Just(Unusable),
        2 => failure.prop_map(Failed),
    ]
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    let wait = || prop::option::of((0..u64::MAX).prop_map(Duration::from_nanos));
    let kind = prop::sample::select(vec![Push, Ranking, Read, Feedback, Token]);
    let counts = (any::<u32>(), 0..4_u32, prop::option::of(any::<u32>()));
    let short_wait = prop::option::of((0..20_000_u64).prop_map(Duration::from_millis));
    (
        kind,
        any_outcome(),
        prop_oneof![wait(), short_wait.clone()],
        counts,
        prop_oneof![wait(), short_wait],
        any::<f64>(),
    )
        .prop_map(|(kind, outcome, retry_after, (number, num_renewals, max_attempts), time_left, jitter)| {
            Attempt { kind, outcome, retry_after, number, num_renewals, max_attempts, time_left, jitter }
        })
}

/// How long the next step waits; none where nothing is sent again.
fn wait_of(step: NextStep) -> Option<Duration> {
    match step {
        NextStep::RenewToken { wait } | NextStep::RetryAfter { wait, .. } | NextStep::CredentialsRefused { wait } => {
            Some(wait)
        }
        NextStep::AwaitUnlock => Some(Duration::ZERO),
        NextStep::Done | NextStep::GiveUp(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_attempt_came_to_the_next_one_keeps_what_was_asked_and_what_is_left(
        attempt in any_attempt(),
        retry_ambiguous in any::<bool>(),
    ) {
        let policy = RetryPolicy { retry_ambiguous, ..RetryPolicy::default() };
        let step = policy.next_step(&attempt);
        let asked = attempt.retry_after.unwrap_or_default();
        if let (Some(wait), false) = (wait_of(step), matches!(step, NextStep::CredentialsRefused { .. })) {
            prop_assert!(attempt.time_left.is_none_or(|left| wait < left), "{step:?} comes too late");
        }
        match step {
            NextStep::RetryAfter { wait, holds_endpoint, ambiguous } => {
                prop_assert!(wait >= asked, "sooner than asked: {step:?}");
                prop_assert!(asked > Duration::ZERO || wait <= Duration::from_secs(30), "nobody asked for {wait:?}");
                let too_many = Failed(TransportFailure::BodyTooLarge { status: 429 });
                prop_assert_eq!(holds_endpoint, [Answered(429), too_many].contains(&attempt.outcome));
                let may_repeat = retry_ambiguous || !matches!(attempt.kind, Push | Ranking);
                prop_assert!(!ambiguous || may_repeat, "a push that may be on the screen is sent again: {step:?}");
                let counted = attempt.number.saturating_sub(attempt.num_renewals);
                prop_assert!(attempt.max_attempts.is_none_or(|most| counted < most), "one attempt too many");
            }
            NextStep::CredentialsRefused { wait } => {
                prop_assert!(attempt.kind == Token && wait >= asked.max(Duration::from_secs(1)));
            }
            NextStep::GiveUp(_) => {
                let may_be_late = attempt.time_left.is_some() || attempt.max_attempts.is_some();
                let is_for_good = matches!(attempt.outcome, Failed(TransportFailure::NotSendable));
                prop_assert!(attempt.kind != Token || may_be_late || is_for_good, "without a token nothing works");
            }
            NextStep::AwaitUnlock => prop_assert_eq!(attempt.kind, Ranking),
            NextStep::Done | NextStep::RenewToken { .. } => {}
        }
    }
}
