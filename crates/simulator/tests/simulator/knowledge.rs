//! The article endpoints: conditions, pages, changes while a client polls, and the search.

use crate::client::{Client, answer, start};
use cuecard_simulator::{
    Article, ArticlesAnswer, Paging, Route, RunningSimulator, Simulator, SimulatorSettings, Verdict,
};
use serde_json::{Value, json};

fn article(id: &str, body: &str) -> Article {
    Article { id: id.into(), title: format!("About {id}"), body: body.into(), url: None }
}

fn with_articles(number: usize, paging: Paging) -> RunningSimulator {
    let articles = (0..number).map(|number| article(&format!("a{number}"), "text")).collect();
    Simulator::start(SimulatorSettings { articles, paging, ..SimulatorSettings::default() }).unwrap()
}

/// Status, `Last-Modified`, body.
async fn poll(client: &Client, token: &str, path: &str, since: Option<&str>) -> (u16, String, Value) {
    let mut request = client.http.get(client.url(path)).bearer_auth(token);
    if let Some(since) = since {
        request = request.insert_header(("if-modified-since", since));
    }
    let mut response = request.send().await.unwrap();
    let date = response.headers().get("last-modified").map_or("", |date| date.to_str().unwrap()).to_owned();
    let body = response.body().await.unwrap();
    (response.status().as_u16(), date, serde_json::from_slice(&body).unwrap_or_default())
}

const ARTICLES: &str = "/api/v2/knowledge/articles";

fn ids(body: &Value) -> Vec<&str> {
    body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn an_unchanged_list_is_not_sent_again() {
    let simulator = with_articles(2, Paging::Whole);
    let client = Client::of(&simulator);
    let token = client.token().await;
    let (status, first, body) = poll(&client, &token, ARTICLES, None).await;
    assert_eq!((status, ids(&body)), (200, vec!["a0", "a1"]));
    assert_eq!(body["items"][0], json!({"id": "a0", "title": "About a0", "content": "text"}));
    let (status, date, body) = poll(&client, &token, ARTICLES, Some(&first)).await;
    assert_eq!((status, date.as_str(), body), (304, first.as_str(), Value::Null));
    simulator.put_article(article("a1", "another text"));
    let (status, second, body) = poll(&client, &token, ARTICLES, Some(&first)).await;
    assert_eq!((status, &body["items"][1]["content"]), (200, &json!("another text")));
    simulator.put_article(article("a2", "text"));
    let (status, third, body) = poll(&client, &token, ARTICLES, Some(&second)).await;
    assert_eq!((status, ids(&body).len()), (200, 3));
    assert!(first != second && second != third, "two changes in one second have dates of their own");
    assert!(simulator.delete_article("a0") && !simulator.delete_article("a0"));
    let (status, fourth, body) = poll(&client, &token, ARTICLES, Some(&third)).await;
    assert_eq!((status, ids(&body)), (200, vec!["a1", "a2"]));
    assert_eq!(poll(&client, &token, ARTICLES, Some(&fourth)).await.0, 304);
    let polls = simulator.received_on(Route::Articles);
    assert_eq!(polls[1].if_modified_since, Some(first));
    assert!(polls.iter().all(|poll| poll.verdict == Verdict::Accepted));
    assert_eq!(simulator.num_articles(), 2);
}

#[actix_web::test]
async fn answers_that_hold_less_than_there_is() {
    let simulator = with_articles(4, Paging::Whole);
    let client = Client::of(&simulator);
    let token = client.token().await;
    let (_, mut date, _) = poll(&client, &token, ARTICLES, None).await;
    simulator.put_article(article("a3", "changed"));
    let table = [
        (ArticlesAnswer::Empty, 200, vec![]),
        (ArticlesAnswer::Half, 200, vec!["a0", "a1"]),
        (ArticlesAnswer::Whole, 200, vec!["a0", "a1", "a2", "a3"]),
    ];
    for (answer, expected, articles) in table {
        simulator.answer_articles(answer);
        let (status, now, body) = poll(&client, &token, ARTICLES, Some(&date)).await;
        assert_eq!((status, ids(&body)), (expected, articles), "{answer:?}");
        assert_eq!(poll(&client, &token, ARTICLES, Some(&now)).await.0, 304, "{answer:?}");
        date = now;
    }
    simulator.answer_articles(ArticlesAnswer::Partial);
    simulator.put_article(article("a2", "changed"));
    let (status, _, body) = poll(&client, &token, ARTICLES, Some(&date)).await;
    assert_eq!((status, ids(&body)), (206, vec!["a2"]));
    simulator.replace_articles(vec![article("a2", "changed"), article("b", "new")]);
    let (status, _, body) = poll(&client, &token, ARTICLES, None).await;
    assert_eq!((status, ids(&body)), (206, vec!["a2", "b"]));
}

#[actix_web::test]
async fn lists_are_paged_by_link_or_by_number() {
    let simulator = with_articles(5, Paging::NextLink(2));
    let client = Client::of(&simulator);
    let token = client.token().await;
    let mut path = Some(ARTICLES.to_owned());
    let mut seen = Vec::new();
    while let Some(next) = path {
        let (status, date, body) = poll(&client, &token, &next, None).await;
        assert!(status == 200 && !date.is_empty());
        seen.extend(ids(&body).into_iter().map(str::to_owned));
        path = body["nextPage"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, ["a0", "a1", "a2", "a3", "a4"]);

    let simulator = with_articles(4, Paging::PageNumber(2));
    let client = Client::of(&simulator);
    let token = client.token().await;
    let (_, date, body) = poll(&client, &token, ARTICLES, None).await;
    assert_eq!((ids(&body), &body["page"], &body["pageSize"]), (vec!["a0", "a1"], &json!(1), &json!(2)));
    let pages = [("page=2&pageSize=2", vec!["a2", "a3"]), ("page=3&pageSize=2", vec![])];
    for (query, expected) in pages {
        // A condition belongs to the first page only.
        let (status, _, body) = poll(&client, &token, &format!("{ARTICLES}?{query}"), Some(&date)).await;
        assert_eq!((status, ids(&body)), (200, expected), "{query}");
    }
    assert_eq!(poll(&client, &token, ARTICLES, Some(&date)).await.0, 304);
    assert_eq!(simulator.received_on(Route::Articles)[1].query.as_deref(), Some("page=2&pageSize=2"));
}

/// Later pages are asked for without the condition of the first.
#[actix_web::test]
async fn all_pages_are_of_one_list() {
    let simulator = with_articles(4, Paging::NextLink(1));
    let client = Client::of(&simulator);
    let token = client.token().await;
    let (_, date, _) = poll(&client, &token, ARTICLES, None).await;
    simulator.answer_articles(ArticlesAnswer::Partial);
    for id in ["a2", "a3"] {
        simulator.put_article(article(id, "changed"));
    }
    let mut pages = vec![poll(&client, &token, ARTICLES, Some(&date)).await];
    while let Some(next) = pages.last().and_then(|(_, _, body)| body["nextPage"].as_str().map(str::to_owned)) {
        pages.push(poll(&client, &token, &next, None).await);
    }
    let seen: Vec<_> = pages.iter().map(|(status, _, body)| (*status, ids(body))).collect();
    assert_eq!(seen, [(206, vec!["a2"]), (206, vec!["a3"])]);
}

#[actix_web::test]
async fn polls_that_are_not_the_contract_s() {
    let simulator = with_articles(1, Paging::Whole);
    let client = Client::of(&simulator);
    let token = client.token().await;
    for query in ["?page=1", "?since=yesterday", "?cursor=0"] {
        assert_eq!(poll(&client, &token, &format!("{ARTICLES}{query}"), None).await.0, 400, "{query}");
    }
    assert_eq!(poll(&client, &token, ARTICLES, Some("yesterday")).await.0, 400);
    assert_eq!(simulator.num_violations(), 4);
}

#[actix_web::test]
async fn the_search_answers_from_the_articles() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let search = async |query: &str| client.get(&token, &format!("{ARTICLES}/search?{query}")).await;
    assert_eq!(search("q=late+parcels&language=en-US&page=1&pageSize=5").await, (200, json!({"entities": []})));
    simulator.replace_articles(vec![article("a", "lost parcels"), article("b", "late parcels and lost ones")]);
    let (_, page) = search("q=late+parcels&language=en-US&page=1&pageSize=5").await;
    let entity =
        json!({"id": "b", "title": "About b", "score": 1.0, "url": null, "body": "late parcels and lost ones"});
    assert_eq!(page["entities"][0], entity);
    assert_eq!(page["entities"][1]["id"], "a");
    let wrong = [
        "q=x",
        "q=x&language=german%20please&page=1&pageSize=5",
        "q=x&language=en-US&page=1&pageSize=5&sort=up",
        "q=x&language=en-US&page=0&pageSize=5",
        "q=x&language=en-US&page=1&pageSize=101",
    ];
    for query in wrong {
        assert_eq!(search(query).await.0, 400, "{query}");
    }
    assert_eq!(simulator.num_violations(), wrong.len() as u64);
}

#[actix_web::test]
async fn articles_are_changed_by_control_calls() {
    let simulator = with_articles(2, Paging::Whole);
    let client = Client::of(&simulator);
    let call = async |method: &str, path: &str, body: Value| {
        let url = client.url(&format!("/_sim/articles{path}"));
        let method = awc::http::Method::from_bytes(method.as_bytes()).unwrap();
        answer(client.http.request(method, url).send_json(&body).await.unwrap()).await.0
    };
    assert_eq!(call("PUT", "/docs/with/slashes", json!({"title": "t", "body": "b"})).await, 204);
    assert_eq!(simulator.num_articles(), 3);
    assert_eq!(call("DELETE", "/docs/with/slashes", json!({})).await, 204);
    assert_eq!(call("DELETE", "/docs/with/slashes", json!({})).await, 404);
    assert_eq!(call("PUT", "", json!([{"id": "x", "title": "t", "body": "b", "tags": []}])).await, 204);
    assert_eq!(simulator.num_articles(), 1);
    assert_eq!(call("POST", "", json!({"answer": "empty"})).await, 204);
    assert_eq!(call("POST", "", json!({"answer": "nothing"})).await, 400);
    assert_eq!(call("PUT", "/x", json!({"title": "t"})).await, 400);
    let token = client.token().await;
    assert_eq!(ids(&poll(&client, &token, ARTICLES, None).await.2), Vec::<&str>::new());
}
