#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;

fn key(name: &str, sent: &str, rights: &[Right], profiles: &[&str], rate_limit: u32) -> Key {
    let profiles = profiles.iter().map(|profile| (*profile).to_owned()).collect();
    Key::new(name.to_owned(), KeyHash::of(sent), rights.iter().copied().collect(), profiles, rate_limit)
}

fn access() -> Access {
    let keys = vec![
        key("desktop", "one", &[Right::Query], &["north"], 0),
        key("back-end", "two", &[Right::Query, Right::Feedback], &[], 0),
        key("operator", "three", &[Right::Operate], &[], 0),
        key("editor", "four", &[Right::Knowledge], &["south"], 0),
        key("slow", "five", &[Right::Query], &[], 1),
    ];
    Access::new(keys, true, true)
}

/// Key, rights of which one is needed, whose data, why it is refused.
type Row = (Option<&'static str>, &'static [Right], Whose<'static>, Option<TurnedAway>);

#[test]
fn a_key_opens_what_its_rights_and_profiles_say() {
    use TurnedAway::{NoKey, NoRight, OtherProfile, WrongKey};
    const QUERY: &[Right] = &[Right::Query];
    const SEE: &[Right] = &[Right::Knowledge, Right::Operate];
    let north = Whose::Profile("north");
    let table: [Row; 18] = [
        (None, QUERY, north, Some(NoKey)),
        (Some("zero"), QUERY, north, Some(WrongKey)),
        (Some(""), QUERY, north, Some(WrongKey)),
        (Some("onetwo"), QUERY, north, Some(WrongKey)),
        (Some("desktop"), QUERY, north, Some(WrongKey)),
        (Some("one"), QUERY, north, None),
        (Some("one"), QUERY, Whose::Profile("south"), Some(OtherProfile)),
        (Some("one"), QUERY, Whose::Nobody, None),
        (Some("one"), &[Right::Feedback], north, Some(NoRight)),
        (Some("one"), SEE, Whose::All, Some(NoRight)),
        (Some("two"), QUERY, Whose::Profile("south"), None),
        (Some("two"), &[Right::Feedback], north, None),
        (Some("two"), SEE, Whose::All, Some(NoRight)),
        (Some("three"), SEE, Whose::All, None),
        (Some("three"), QUERY, north, Some(NoRight)),
        (Some("four"), SEE, Whose::All, Some(OtherProfile)),
        (Some("four"), SEE, Whose::Profile("south"), None),
        (Some("two"), &[], Whose::Nobody, None),
    ];
    let access = access();
    for (sent, rights, whose, refused) in table {
        let decided = access.decide(Port::Api, sent, Needed { rights, whose });
        assert_eq!(decided.map_err(|refused| refused.reason()).err(), refused, "{sent:?} {rights:?} {whose:?}");
    }
}

#[test]
fn a_port_that_asks_nobody_lets_everybody_through_and_the_other_one_does_not() {
    let access = Access::new(access().keys, true, false);
    let needed = Needed { rights: &[Right::Operate], whose: Whose::All };
    for sent in [None, Some("zero"), Some("one")] {
        assert_eq!(access.decide(Port::Admin, sent, needed), Ok(()));
        assert!(access.decide(Port::Api, sent, needed).is_err());
    }
    assert!(Access::new(Vec::new(), true, true).decide(Port::Api, Some(""), needed).is_err(), "no key is no empty key");
}

#[test]
fn a_key_over_its_rate_is_told_how_long_to_wait_whatever_it_asks_for() {
    let (access, forbidden) = (access(), Needed { rights: &[Right::Operate], whose: Whose::All });
    assert_eq!(access.decide(Port::Api, Some("five"), forbidden).unwrap_err().reason(), TurnedAway::NoRight);
    let allowed = Needed { rights: &[Right::Query], whose: Whose::Nobody };
    let refused = access.decide(Port::Api, Some("five"), allowed).unwrap_err();
    let Refused::TooMany { key: "slow", retry_after } = refused else { panic!("{refused:?}") };
    assert!(!retry_after.is_zero() && retry_after <= Duration::from_secs(1), "{retry_after:?}");
    assert_eq!(access.decide(Port::Api, Some("two"), allowed), Ok(()), "another key has a rate of its own");
}

#[test]
fn a_refusal_names_the_key_by_its_name_and_what_it_lacks() {
    let access = access();
    let told =
        |sent, rights, whose| access.decide(Port::Api, Some(sent), Needed { rights, whose }).unwrap_err().to_string();
    let lacks = told("one", &[Right::Knowledge, Right::Operate], Whose::All);
    assert_eq!(lacks, "the key `desktop` does not have the right `knowledge` or `operate`");
    let other = told("one", &[Right::Query], Whose::Profile("south"));
    assert_eq!(other, "the key `desktop` is not for the profile `south`");
    assert!(!format!("{access:?}").contains("one\""), "{access:?}");
}

#[test]
fn a_new_key_is_long_and_never_the_same_and_its_hash_is_read_as_it_is_printed() {
    let keys: BTreeSet<_> = (0..100).map(|_| new_key().unwrap()).collect();
    assert_eq!(keys.len(), 100);
    for key in keys {
        assert!(key.len() > 64, "{key}");
        assert_eq!(KeyHash::of(&key).to_string().parse(), Ok(KeyHash::of(&key)));
    }
    assert!("abc".parse::<KeyHash>().is_err());
}
