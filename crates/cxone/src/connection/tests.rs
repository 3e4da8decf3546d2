#![allow(clippy::unwrap_used)]

use strum::VariantArray;

use super::*;
use crate::contract::Contract;
use crate::stream::StreamKind;

fn settings(base_url: &str) -> ConnectionSettings {
    let mut settings = ConnectionSettings::for_contract(Contract::Insights, "client", "s3cret&=+".into());
    base_url.clone_into(&mut settings.base_url);
    settings
}

fn id(text: &str) -> InteractionId {
    text.parse().unwrap()
}

/// The addresses that a contract alone gives: token, stream, push; the push over any one dialect goes to the same host.
#[test]
fn the_contract_alone_gives_the_documents_addresses() {
    let of = |contract, base_url: &str| {
        let mut settings = ConnectionSettings::for_contract(contract, "client", "secret".into());
        if settings.base_url.is_empty() {
            base_url.clone_into(&mut settings.base_url);
        }
        let connection = Connection::new(settings).unwrap();
        let push = connection.push_url(contract.defaults().dialect, &id("call-1"));
        let stream = connection.stream_url().map(Url::to_string);
        (connection.token_url().to_string(), stream, push.to_string())
    };
    let (token, stream, push) = of(Contract::Rag, "");
    assert_eq!(token, "https://platform.niceincontact.com/oauth/token");
    assert_eq!(stream, None);
    assert_eq!(push, "https://platform.niceincontact.com/api/v2/assist/agentassists");
    let (token, stream, push) = of(Contract::Snippets, "https://acme.cxone.com");
    assert_eq!(token, "https://acme.cxone.com/oauth/token");
    assert_eq!(stream.as_deref(), Some("wss://acme.cxone.com/api/v2/interactions/events"));
    assert_eq!(push, "https://acme.cxone.com/api/v2/interactions/call-1/assist");
    let (token, stream, push) = of(Contract::Graph, "https://api.eu-1.my.site.nice-incontact.com");
    assert_eq!(token, "https://api.eu-1.my.site.nice-incontact.com/oauth2/token");
    assert_eq!(stream, None);
    let content = "https://api.eu-1.my.site.nice-incontact.com/api/v2/agentassist/interactions/call-1/content";
    assert_eq!(push, content);
    let (token, stream, push) = of(Contract::Insights, "");
    assert_eq!(token, "https://api.niceincontact.com/oauth/token");
    assert_eq!(stream.as_deref(), Some("wss://api.niceincontact.com/cxoneapi/v2/agentassist/stream"));
    assert_eq!(push, "https://api.niceincontact.com/api/v2/agentassist/insights");
    let (token, stream, push) = of(Contract::Ranking, "");
    assert_eq!(token, "https://api.mypurecloud.com/api/v2/oauth/token");
    assert_eq!(stream, None);
    let ranking = "https://mypurecloud.janus.api.cxone.com/api/v2/agentassist/sessions/call-1/snippets/ranking";
    assert_eq!(push, ranking);
}

#[test]
fn the_other_endpoints_stand_below_the_base() {
    let connection = Connection::new(settings("https://host/tenant")).unwrap();
    let feedback = connection.feedback_url();
    assert_eq!(feedback.as_str(), "https://host/tenant/api/v2/ai/training/feedback");
    assert_eq!(connection.articles_url().as_str(), "https://host/tenant/api/v2/knowledge/articles");
    let page = connection.articles_page_url(3, Some(200));
    assert_eq!(page.as_str(), "https://host/tenant/api/v2/knowledge/articles?page=3&pageSize=200");
    let page = connection.articles_page_url(2, None);
    assert_eq!(page.as_str(), "https://host/tenant/api/v2/knowledge/articles?page=2");
    let session = connection.session_url(&id("s~1"));
    assert_eq!(session.as_str(), "https://host/tenant/api/v2/agentassist/sessions/s~1");
    assert_eq!(connection.refresh_margin(), Duration::from_mins(5));
}

#[test]
fn a_search_asks_for_the_profiles_language() {
    let connection = Connection::new(settings("https://host")).unwrap();
    for (language, asked) in [(None, "en-US"), (Some("en"), "en-US"), (Some("pt"), "pt")] {
        let url = connection.search_url("x", language, 5);
        assert_eq!(url.query_pairs().find(|(name, _)| name == "language").unwrap().1, asked);
    }
}

#[test]
fn a_search_escapes_its_text_and_keeps_the_end_of_a_long_one() {
    let connection = Connection::new(settings("https://host")).unwrap();
    let searched = connection.search_url("fees & refunds? #1 é", None, 5);
    let expected = concat!(
        "https://host/api/v2/knowledge/articles/search",
        "?q=fees+%26+refunds%3F+%231+%C3%A9&language=en-US&page=1&pageSize=5"
    );
    assert_eq!(searched.as_str(), expected);
    for (text, kept) in [
        (format!("old {}", "x".repeat(2000)), "x".repeat(2000)),
        (format!("old {}", "é".repeat(1000)), "é".repeat(1000)),
        ("é".repeat(1000), "é".repeat(1000)),
        (format!("old {}", "退".repeat(1000)), "退".repeat(666)),
        ("🙂".repeat(1000), "🙂".repeat(500)),
        (String::new(), String::new()),
    ] {
        let url = connection.search_url(&text, None, 5);
        let query = url.query_pairs().find(|(name, _)| name == "q").unwrap().1.into_owned();
        assert_eq!(query, kept, "{text}");
        assert!(url.as_str().len() < 8192, "{}", url.as_str().len());
    }
}

#[test]
fn a_link_is_followed_only_within_the_tenants_origin() {
    let connection = Connection::new(settings("https://host:8443/tenant")).unwrap();
    let articles = "https://host:8443/tenant/api/v2/knowledge/articles";
    for (link, expected) in [
        ("?page=2", Some(format!("{articles}?page=2"))),
        ("articles?cursor=a%2Fb#top", Some(format!("{articles}?cursor=a%2Fb"))),
        ("/other/path?page=2", Some("https://host:8443/other/path?page=2".to_owned())),
        ("https://host:8443/api?p=2", Some("https://host:8443/api?p=2".to_owned())),
        ("//host:8443/api", Some("https://host:8443/api".to_owned())),
        ("https://host/api", None),
        ("http://host:8443/api", None),
        ("https://evil.example:8443/api", None),
        ("//evil.example/api", None),
        ("\\\\evil.example\\api", None),
        ("https://host:8443@evil.example/api", None),
        ("https://me:pass@host:8443/api", None),
        ("file:///etc/passwd", None),
        ("data:text/plain,x", None),
        ("https://", None),
    ] {
        let resolved = connection.resolve_same_origin(link).map(String::from);
        assert_eq!(resolved, expected, "{link}");
    }
    assert_eq!(connection.resolve_same_origin(&format!("?{}", "x".repeat(5000))), None);
}

#[test]
fn a_base_with_port_and_path_keeps_both_and_http_gives_ws() {
    for base in ["http://127.0.0.1:8123/tenant/a", "http://127.0.0.1:8123/tenant/a/"] {
        let connection = Connection::new(settings(base)).unwrap();
        assert_eq!(connection.token_url().as_str(), "http://127.0.0.1:8123/tenant/a/oauth/token");
        let stream = "ws://127.0.0.1:8123/tenant/a/cxoneapi/v2/agentassist/stream";
        assert_eq!(connection.stream_url().unwrap().as_str(), stream);
    }
}

#[test]
fn plain_http_stays_on_this_machine_unless_allowed() {
    for base in ["http://localhost:1", "http://127.8.9.1", "http://[::1]:9"] {
        assert!(Connection::new(settings(base)).is_ok(), "{base}");
    }
    for base in ["http://cxone.example", "http://10.0.0.1", "http://localhost.example", "http://[::2]"] {
        let error = Connection::new(settings(base)).unwrap_err();
        assert!(matches!(error, ConnectionError::PlainHttp { .. }), "{base}");
        assert!(error.to_string().contains("allow_plain_http"));
        let allowed = ConnectionSettings { allow_plain_http: true, ..settings(base) };
        assert!(Connection::new(allowed).is_ok(), "{base}");
    }
}

#[test]
fn a_url_that_is_no_clean_https_url_is_refused_with_its_setting() {
    use ConnectionError as E;
    let base = |text: &str| Connection::new(settings(text)).unwrap_err();
    let token = |text: &str| {
        Connection::new(ConnectionSettings { token_url: Some(text.into()), ..settings("https://host") }).unwrap_err()
    };
    for (setting, refused) in [("base_url", &base as &dyn Fn(&str) -> E), ("token_url", &token)] {
        assert_eq!(refused(" "), E::Empty(setting));
        assert!(matches!(refused("api.example.com"), E::Url { .. }));
        assert!(matches!(refused("https://"), E::Url { .. }));
        assert_eq!(refused("ftp://host"), E::Scheme { setting, scheme: "ftp".into() });
        assert_eq!(refused("file:///etc"), E::Scheme { setting, scheme: "file".into() });
        assert_eq!(refused("https://host/?a=b"), E::QueryOrFragment { setting });
        assert_eq!(refused("https://host/#a"), E::QueryOrFragment { setting });
        assert_eq!(refused("https://host/a//b"), E::Path { setting, path: "/a//b".into() });
        assert_eq!(refused("https://host/a%2Fb"), E::Path { setting, path: "/a%2Fb".into() });
        assert_eq!(refused("http://host"), E::PlainHttp { setting, host: "host".into() });
        let with_password = refused("https://me:hunter2@host");
        assert_eq!(with_password, E::Credentials { setting });
        assert!(!format!("{with_password} {with_password:?}").contains("hunter2"));
        assert!(with_password.to_string().starts_with(setting) && with_password.setting() == setting);
    }
}

#[test]
fn a_contract_without_a_host_of_its_own_asks_for_the_base_url() {
    for contract in [Contract::Snippets, Contract::Graph] {
        let settings = ConnectionSettings::for_contract(contract, "client", "secret".into());
        assert_eq!(Connection::new(settings).unwrap_err(), ConnectionError::Empty("base_url"), "{contract}");
    }
}

#[test]
fn a_whole_token_url_beats_the_base_and_the_path() {
    let token_url = Some("https://login.example/realm/token".to_owned());
    let connection = Connection::new(ConnectionSettings { token_url, ..settings("https://host") }).unwrap();
    assert_eq!(connection.token_url().as_str(), "https://login.example/realm/token");
    assert_eq!(connection.feedback_url().host_str(), Some("host"));
}

#[test]
fn any_stream_may_be_listened_to_or_none() {
    for &stream in StreamKind::VARIANTS {
        let settings = ConnectionSettings { stream: Some(stream), ..settings("https://host/tenant") };
        let url = Connection::new(settings).unwrap().stream_url().unwrap().to_string();
        assert_eq!(url, format!("wss://host/tenant{}", stream.path()));
    }
    let settings = ConnectionSettings { stream: None, ..settings("https://host") };
    assert_eq!(Connection::new(settings).unwrap().stream_url(), None);
}

#[test]
fn a_path_that_could_lead_elsewhere_is_refused() {
    for path in ["", "/", "oauth", "//evil.example", "/a/../b", "/a/./b", "/a?b", "/a#b", "/a b", "/%2e%2e", "/a\\b"] {
        let token = ConnectionSettings { token_path: path.into(), ..settings("https://host") };
        let error = Connection::new(token).unwrap_err();
        assert_eq!(error, ConnectionError::Path { setting: "token_path", path: path.into() });
    }
}

#[test]
fn missing_credentials_are_named() {
    let no_id = ConnectionSettings { client_id: " ".into(), ..settings("https://host") };
    assert_eq!(Connection::new(no_id).unwrap_err().to_string(), "client_id is empty");
    let no_secret = ConnectionSettings { client_secret: "".into(), ..settings("https://host") };
    assert_eq!(Connection::new(no_secret).unwrap_err().to_string(), "client_secret is empty");
}

#[test]
fn the_token_form_escapes_its_values_and_sends_scopes_only_when_there_are_some() {
    let form = Connection::new(settings("https://host")).unwrap().token_form();
    let expected = "grant_type=client_credentials&client_id=client&client_secret=s3cret%26%3D%2B";
    assert_eq!(form.expose_secret(), expected);
    let scoped = ConnectionSettings { scopes: vec!["a:b".into(), "c".into()], ..settings("https://host") };
    let form = Connection::new(scoped).unwrap().token_form();
    assert_eq!(form.expose_secret(), format!("{expected}&scope=a%3Ab+c"));
}

#[test]
fn debug_shows_no_secret() {
    let connection = Connection::new(settings("https://host")).unwrap();
    assert!(!format!("{connection:?} {:?}", settings("https://host")).contains("s3cret"));
}
