//! Articles that are known by an exact code, among others whose codes are nearly the same: the right one is first, however the
//! code is written or said.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::run;

/// Codes of a boiler, each beside one that differs in a digit or in their order, and what they mean.
const CODES: [(&str, &str); 16] = [
    ("E-4711", "the flame went out; turn the gas tap on and press reset"),
    ("E-4171", "the flue is blocked; let a chimney sweep look at it"),
    ("E-4712", "the water pressure is too low; fill water up to the green mark"),
    ("E-4117", "the outdoor sensor has no contact; the house is heated by the clock meanwhile"),
    ("E-7411", "the pump is stuck; unscrew the cap and turn its shaft"),
    ("E-4811", "the fan turns too slowly; clean the grille"),
    ("F-4711", "the filter is full; rinse it under the tap"),
    ("E-2030", "the exhaust is too hot; let the boiler cool for ten minutes"),
    ("E-2003", "the hot water sensor is broken; order the part from us"),
    ("E-3020", "the gas valve does not open; call our service"),
    ("E-2031", "the ignition failed three times; wait a minute and press reset"),
    ("E-909", "the display has no contact; switch the boiler off and on"),
    ("E-990", "the clock has stopped; set it in the menu under Time"),
    ("E-99", "the boiler is due for its yearly check; book it online"),
    ("KX 200", "a clicking noise of this model comes from the valve and is harmless"),
    ("KX 210", "a humming noise of this model comes from the pump and is harmless"),
];

/// How customers put a code, `CODE` in its place.
const PHRASINGS: [&str; 3] = [
    "what does CODE mean",
    "the boiler is cold and its display says CODE, what do I do",
    "we have had CODE since this morning and it won't go away",
];

fn articles() -> String {
    let article = |(code, means): &(&str, &str)| {
        let (title, body) = (format!("Boiler: {code}"), format!("{code} means that {means}."));
        json!({"id": code, "title": title, "body": body}).to_string() + "\n"
    };
    CODES.iter().map(article).collect()
}

/// A code as it is written or said by others: `E-4711`, `e 4711`, `error E.4711`, `E4711`, "e four seven one one", "e forty-seven
/// eleven".
fn told(code: &str) -> [(&'static str, String); 6] {
    let parts: Vec<_> = code.split(['-', ' ']).collect();
    let (letters, digits) = (parts[0].to_lowercase(), parts[1]);
    let one_by_one: Vec<_> = digits.bytes().map(|digit| words_of(usize::from(digit - b'0'))).collect();
    [
        ("as it is", code.to_owned()),
        ("with a space, in small letters", parts.join(" ").to_lowercase()),
        ("as an error", format!("error {}", parts.join("."))),
        ("in one word", parts.concat()),
        ("digit by digit", format!("{letters} {}", one_by_one.join(" "))),
        ("in pairs", format!("{letters} {}", in_pairs(digits))),
    ]
}

/// As people say it: "forty-seven eleven", "nine oh nine".
fn in_pairs(digits: &str) -> String {
    let (first, second) = digits.split_at(digits.len() / 2);
    let said = |part: &str| match part.strip_prefix('0') {
        Some(rest) => format!("oh {}", words_of(rest.parse().unwrap())),
        None => words_of(part.parse().unwrap()),
    };
    format!("{} {}", said(first), said(second))
}

/// A number below a hundred in words.
fn words_of(number: usize) -> String {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    match number {
        0..20 => SMALL[number].to_owned(),
        _ if number.is_multiple_of(10) => TENS[number / 10 - 2].to_owned(),
        _ => format!("{}-{}", TENS[number / 10 - 2], SMALL[number % 10]),
    }
}

/// For each way of telling, the share of questions whose right article is first.
fn recalls(rows: &[Value]) -> BTreeMap<String, (usize, usize)> {
    let mut by_way = BTreeMap::new();
    for row in rows {
        let way = row["id"].as_str().unwrap().split(':').next().unwrap().to_owned();
        let (right, all) = by_way.entry(way).or_insert((0, 0));
        *right += usize::from(row["right_at"] == 1);
        *all += 1;
    }
    by_way
}

#[test]
fn an_exact_code_is_found_among_near_ones_however_it_is_told() {
    let place = TempDir::new().unwrap();
    let file = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (articles_file, conversations, rows) =
        (file("articles.jsonl"), file("conversations.jsonl"), file("rows.jsonl"));
    fs::write(&articles_file, articles()).unwrap();
    let mut asked = String::new();
    for (code, _) in CODES {
        for (way, told) in told(code) {
            for (number, phrasing) in PHRASINGS.iter().enumerate() {
                let turns = json!([{"speaker": "customer", "text": phrasing.replace("CODE", &told)}]);
                let call = json!({"id": format!("{way}:{code}:{number}"), "turns": turns, "gold": [code]});
                asked += &(call.to_string() + "\n");
            }
        }
    }
    fs::write(&conversations, asked).unwrap();
    let arguments = ["eval", "--articles", &articles_file, "--conversations", &conversations, "--out", &rows, "--json"];
    let ended = run(&arguments, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows: Vec<Value> =
        fs::read_to_string(&rows).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let recalls = recalls(&rows);
    assert_eq!(recalls.values().map(|(_, all)| all).sum::<usize>(), 6 * CODES.len() * PHRASINGS.len());
    let wrong: Vec<_> = rows.iter().filter(|row| row["right_at"] != 1).map(|row| row["id"].to_string()).collect();
    for (way, (right, all)) in &recalls {
        assert!(*right as f64 >= 0.97 * *all as f64, "{way}: {right} of {all}; {wrong:#?}\n{recalls:?}");
    }
}
