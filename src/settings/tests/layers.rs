//! Defaults, file and environment, one over the other.

use std::time::Duration;

use cuecard_actors::cxone::Limits;
use cuecard_actors::cxone::stream::Roles;
use cuecard_actors::engine::conversation::WindowLimits;
use cuecard_actors::engine::encoder::EncoderSettings;
use cuecard_actors::engine::knowledge::{ArticleFilter, Audience};
use cuecard_actors::engine::ranking::{Formula, Selectivity, SilenceRule};
use cuecard_actors::supervision::RestartPolicy;
use secrecy::ExposeSecret;

use super::*;

/// A test or a tool that takes a room's default must get what a service has.
#[test]
fn what_was_set_before_is_read_or_told_and_what_to_set_in_its_place() {
    let old = [("CUECARD__PROFILE__MIN_COSINE", "0.4"), ("CUECARD__PROFILE__REPEAT_AFTER", "6")];
    let settings = load(None, &[&TENANT[..], &old].concat()).unwrap();
    assert_eq!(settings.profiles[0].plan.silence, Some(SilenceRule::MinCosine(0.4)));
    let [min_cosine, repeat_after] = settings.superseded.as_slice() else { panic!("{:?}", settings.superseded) };
    assert!(min_cosine.starts_with("profile `insights`: min_cosine") && min_cosine.contains("selectivity"));
    assert!(repeat_after.starts_with("profile `insights`: repeat_after") && repeat_after.contains("screen_time"));
    let settings = load(None, &TENANT).unwrap();
    assert_eq!(settings.profiles[0].plan.silence, Some(SilenceRule::Selectivity(Selectivity::Medium)));
    assert!(settings.superseded.is_empty());
}

#[test]
fn the_defaults_of_the_rooms_are_those_of_the_file() {
    let settings = load(None, &TENANT).unwrap();
    assert_eq!(settings.buffer.window_limits(), WindowLimits::default());
    assert_eq!(settings.supervision.restarts(), RestartPolicy::default());
    assert_eq!(*settings.profiles[0].connection.limits(), Limits::default());
    assert_eq!(settings.profiles[0].roles, Roles::default());
    let one_less = |cores: usize| cores.saturating_sub(1).max(1);
    let encoder = EncoderSettings { model_dir: "model".into(), ..EncoderSettings::default() };
    assert_eq!(settings.encoder.settings(Some(encoder.model_dir.clone()), one_less), encoder);
}

#[test]
fn how_long_a_list_of_articles_and_an_idle_connection_may_last_is_a_setting() {
    let file = "[cxone]\narticles_timeout = '20m'\nkeep_alive = '5s'\n";
    let limits = load(Some(file), &TENANT).unwrap().profiles[0].connection.limits().clone();
    assert_eq!((limits.articles_timeout, limits.keep_alive), (Duration::from_mins(20), Duration::from_secs(5)));
}

#[test]
fn the_environment_alone_is_enough() {
    let settings = load(None, &TENANT).unwrap();
    let [profile] = settings.profiles.as_slice() else { panic!("{:?}", settings.profiles) };
    assert_eq!(profile.name.as_str(), "insights");
    assert_eq!(profile.connection.base_url().as_str(), "https://api.niceincontact.com/");
    assert_eq!((profile.plan.cards, profile.plan.candidates), (5, 20));
    assert_eq!(profile.plan.deadline, Duration::from_secs(4));
    assert_eq!(settings.admin.addr.to_string(), "127.0.0.1:9100");
    assert_eq!(settings.buffer.pause_after_last, Duration::from_secs(3));
    assert_eq!(settings.buffer.pause_after_first, Duration::from_secs(10));
    assert_eq!((settings.buffer.max_turns, settings.buffer.max_bytes), (64, 16 * 1024));
    assert_eq!(settings.cxone.attempt_timeout, Duration::from_secs(2));
    assert_eq!(settings.cxone.max_message_bytes, 1024 * 1024);
    assert_eq!(settings.encoder.threads, Threads::Auto);
    assert_eq!(settings.data.ledger_url().expose_secret(), "sqlite:./data/ledger.db");
}

#[test]
fn a_profile_shows_everything_or_what_is_for_its_readers_and_in_its_language() {
    let filter =
        |pairs: &[(&str, &str)]| load(None, &[&TENANT[..], pairs].concat()).unwrap().profiles[0].plan.filter.clone();
    assert_eq!(filter(&[]), ArticleFilter::default());
    let found = filter(&[("CUECARD__PROFILE__AUDIENCE", " agent "), ("CUECARD__PROFILE__LANGUAGE", "pt-BR")]);
    assert_eq!((found.audience, found.language.unwrap().as_str()), (Some(Audience::Agent), "pt"));
    let refused = complaint(None, &[&TENANT[..], &[("CUECARD__PROFILE__AUDIENCE", "agents")]].concat());
    for part in ["profile.audience", "`agents`", "there are agent, customer"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}

#[test]
fn the_environment_beats_the_file_and_the_file_the_defaults() {
    let file =
        "[buffer]\nmax_turns = 10\nmax_bytes = 1000\n[profile]\nranker = \"bm25\"\nsilence = \"off\"\ncards = 2\n";
    let pairs =
        [("CUECARD__BUFFER__MAX_BYTES", "2000"), ("CUECARD_RANKER", "snippets"), ("CUECARD__PROFILE__CARDS", "3")];
    let settings = load(Some(file), &[&TENANT[..], &pairs].concat()).unwrap();
    let plan = &settings.profiles[0].plan;
    assert_eq!((settings.buffer.max_turns, settings.buffer.max_bytes), (10, 2000));
    assert_eq!((plan.ranker, plan.cards, plan.silence), (Formula::Snippets, 3, None));
    assert_eq!(settings.buffer.conversations, 20_000, "a default");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let pairs = [("CUECARD_RANKER", ""), ("CUECARD_ADMIN_ADDR", ""), ("DATABASE_URL", ""), ("CUECARD_INDEX", "")];
    let settings = load(None, &[&TENANT[..], &pairs].concat()).unwrap();
    assert_eq!(settings.profiles[0].knowledge.index, Some(std::path::absolute("data/index").unwrap()));
    assert_eq!(settings.data.ledger_url().expose_secret(), "sqlite:./data/ledger.db");
}

#[test]
fn several_profiles_inherit_what_they_do_not_say() {
    let file = "
        [profile]
        contract = 'insights'
        client_secret = 'shared'
        cards = 2
        [profiles.north]
        client_id = 'n'
        base_url = 'https://north.example'
        [profiles.south]
        client_id = 's'
        cards = 4
        deadline = '2s'
    ";
    let pairs = [("CUECARD_SILENCE", "off"), ("CUECARD__PROFILES__SOUTH__RANKER", "bm25")];
    let settings = load(Some(file), &pairs).unwrap();
    let seen: Vec<_> = settings
        .profiles
        .iter()
        .map(|profile| {
            let plan = &profile.plan;
            (
                profile.name.as_str(),
                profile.connection.base_url().as_str(),
                plan.cards,
                plan.deadline.as_secs(),
                plan.silence,
            )
        })
        .collect();
    let expected =
        [("north", "https://north.example/", 2, 4, None), ("south", "https://api.niceincontact.com/", 4, 2, None)];
    assert_eq!(seen, expected);
    assert_eq!(settings.profiles[1].plan.ranker, Formula::Bm25);
    assert_ne!(settings.profiles[0].plan.ranker, Formula::Bm25);
}

#[test]
fn profiles_can_be_made_by_the_environment_alone() {
    let pairs = [
        ("CUECARD__PROFILES__NORTH__CLIENT_ID", "n"),
        ("CUECARD__PROFILES__SOUTH__CLIENT_ID", "s"),
        ("CXONE_CLIENT_SECRET", "shared"),
        ("CXONE_CONTRACT", "insights"),
    ];
    let settings = load(None, &pairs).unwrap();
    let names: Vec<_> = settings.profiles.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["north", "south"]);
}

/// Keys that belong together may share the comment above the first of them.
#[test]
fn every_default_is_explained() {
    let mut explained = false;
    for line in DEFAULTS.lines().map(str::trim) {
        match line.chars().next() {
            Some('#') => explained = true,
            Some('[') | None => explained = false,
            Some(_) => assert!(explained, "{line}"),
        }
    }
}

#[test]
fn every_default_can_be_written_into_a_file_as_it_stands() {
    let settings = load(Some(DEFAULTS), &TENANT).unwrap();
    assert_eq!(settings.profiles[0].name.as_str(), "insights");
}
