//! Settings that are read again: what is taken up, what waits for a restart, and what changes nothing.

use cuecard_actors::engine::ranking::{Selectivity, SilenceRule};

use super::*;
use crate::settings::LogLevel;
use crate::settings::reload::{LIVE, is_live};

/// A settings file that can be written anew.
struct File {
    place: TempDir,
}

impl File {
    fn new(text: &str) -> (Self, Settings) {
        let file = Self { place: TempDir::new().unwrap() };
        file.write(text);
        let settings = Settings::load(Some(&file.path()), variables(&TENANT)).unwrap();
        (file, settings)
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("cuecard.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }
}

#[test]
fn every_key_that_is_taken_up_exists() {
    let keys = keys();
    for live in LIVE {
        let stands = |key: &String| if live.ends_with('.') { key.starts_with(live) } else { key == live };
        assert!(keys.iter().any(stands), "{live}");
    }
    assert!(is_live("profiles.acme.ranker") && is_live("access.keys.one.rights") && !is_live("profiles.acme.base_url"));
}

#[test]
fn what_can_change_is_taken_up_and_the_rest_is_named_and_stays() {
    let (file, settings) = File::new("[profile]\ncards = 2\n[buffer]\nmax_turns = 10\n");
    file.write(
        "[profile]\ncards = 3\nselectivity = 'high'\nbase_url = 'https://elsewhere.example'\n[buffer]\nmax_turns = 20\n\
         [log]\nlevel = 'debug'\n[access.keys.one]\nkey = 'long-enough-for-a-key'\nrights = ['operate']\n",
    );
    let reread = settings.reread().unwrap();
    assert_eq!(reread.changed, ["access.keys.one", "log.level", "profile.cards", "profile.selectivity"]);
    assert_eq!(reread.needs_restart, ["buffer.max_turns", "profile.base_url"]);
    let now = &reread.settings;
    let plan = &now.profiles[0].plan;
    assert_eq!((plan.cards, now.log.level, now.access.keys.len()), (3, LogLevel::Debug, 1));
    assert_eq!(
        (now.buffer.max_turns, now.profiles[0].connection.base_url().host_str()),
        (10, Some("api.niceincontact.com"))
    );
    assert_eq!(now.in_force.shown()["buffer.max_turns"]["value"], 10);
    // What waits for a restart is told each time, and what is in force once.
    let again = now.reread().unwrap();
    assert_eq!((again.changed.len(), again.needs_restart), (0, reread.needs_restart));
    file.write("");
    let back = now.reread().unwrap();
    assert_eq!(back.changed, reread.changed);
    assert!(
        back.settings.profiles[0].plan.silence == settings.profiles[0].plan.silence
            && back.settings.access.keys.is_empty()
    );
}

#[test]
fn settings_that_can_not_be_used_are_refused_as_at_a_start() {
    let (file, settings) = File::new("[profile]\ncards = 2\n");
    for text in [
        "[profile]\ncards = 99\n",
        "[profile]\nselectivity = 'highest'\n",
        "[profile]\ncard = 3\n",
        "[profile\n",
        "[pipeline]\nlexical_only_after = '1ms'\n",
        // Of no use before the next start, at which it would be refused.
        "[buffer]\nmax_turns = 0\n",
    ] {
        file.write(text);
        let at_start = Settings::load(Some(&file.path()), variables(&TENANT)).unwrap_err().to_string();
        let refused = settings.reread().map(|_| text).unwrap_err().to_string();
        assert_eq!(refused, at_start, "{text}");
    }
    std::fs::remove_file(file.path()).unwrap();
    assert!(settings.reread().is_err());
}

/// What is taken up must fit what is in force, not what will be after a restart.
#[test]
fn what_fits_only_after_a_restart_is_refused_now() {
    let (file, settings) = File::new("[pipeline]\nin_flight = 8\n[profile]\nbackends = 'search'\n");
    file.write("[profile]\nbackends = 'index'\nshadow_ranker = 'bm25'\n");
    let reread = settings.reread().unwrap();
    assert_eq!(reread.needs_restart, ["pipeline.in_flight", "profile.backends", "profile.shadow_ranker"]);
    file.write(
        "[profile]\nbackends = 'index'\ncontract = 'graph'\ngraph = 'graph.jsonl'\nsilence = 'on'\npush = 'on'\n",
    );
    let reread = settings.reread().unwrap();
    assert_eq!(reread.settings.profiles[0].contract, settings.profiles[0].contract);
}

#[test]
fn a_profile_that_comes_or_goes_waits_for_a_restart() {
    let north = "[profiles.north]\ncards = 2\n";
    let (file, settings) = File::new(north);
    file.write("[profiles.north]\ncards = 3\n[profiles.south]\ncards = 4\n");
    let reread = settings.reread().unwrap();
    assert_eq!(
        (reread.changed, reread.needs_restart),
        (vec!["profiles.north.cards".into()], vec!["profiles.south".into()])
    );
    assert_eq!(reread.settings.profiles.len(), 1);
    file.write("[profiles.south]\ncards = 4\n");
    let reread = settings.reread().unwrap();
    assert_eq!(reread.needs_restart, ["profiles.north", "profiles.south"]);
    assert_eq!(reread.settings.profiles[0].plan.cards, 2);
}

#[test]
fn a_key_of_a_profile_that_is_not_there_yet_waits_with_it_and_the_rest_is_taken_up() {
    let key = |name: &str, profile: &str| {
        format!(
            "[access.keys.{name}]\nkey = '{name}-long-enough-for-a-key'\nrights = ['query']\nprofiles = ['{profile}']\n"
        )
    };
    let (file, settings) = File::new(&format!("[profiles.north]\n{}", key("one", "north")));
    let (one, two) = (key("one", "north"), key("two", "south"));
    file.write(&format!("[profiles.north]\ncards = 3\n[profiles.south]\n{one}{two}"));
    let reread = settings.reread().unwrap();
    assert_eq!(reread.changed, ["profiles.north.cards"]);
    assert_eq!(reread.needs_restart, ["access.keys.two", "profiles.south"]);
    assert_eq!(reread.settings.access.keys.keys().collect::<Vec<_>>(), ["one"]);
}

#[test]
fn a_shared_key_counts_for_each_profile_that_does_not_say_otherwise() {
    let (file, settings) = File::new("[profiles.north]\n[profiles.south]\nselectivity = 'low'\n");
    file.write("[profile]\nselectivity = 'high'\n[profiles.north]\n[profiles.south]\nselectivity = 'low'\n");
    let reread = settings.reread().unwrap();
    assert_eq!(reread.changed, ["profiles.north.selectivity"]);
    let silence = |profile: usize| reread.settings.profiles[profile].plan.silence;
    let by = |selectivity| Some(SilenceRule::Selectivity(selectivity));
    assert_eq!((silence(0), silence(1)), (by(Selectivity::High), by(Selectivity::Low)));
}

#[test]
fn a_secret_that_changes_in_its_file_is_seen() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("keys");
    std::fs::write(&path, "one-key\n").unwrap();
    let path_text = path.to_str().unwrap();
    let settings = load(None, &[&TENANT[..], &[("CUECARD_API_KEYS_FILE", path_text)]].concat()).unwrap();
    std::fs::write(&path, "one-key, another-key\n").unwrap();
    let reread = settings.reread().unwrap();
    assert_eq!((reread.changed, reread.settings.api.accepted_keys().len()), (vec!["api.keys".to_owned()], 2));
}
