#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

/// The expected texts were made with Python 3.11: `json.dumps(json.loads(answer), sort_keys=True)`.
const TABLE: &[(&str, &str)] = &[
    ("{}", "{}"),
    ("[]", "[]"),
    (" [ ] ", "[]"),
    ("null", "null"),
    ("true", "true"),
    ("false", "false"),
    ("7", "7"),
    (r#""a""#, r#""a""#),
    (r#"{"b":1,"a":2}"#, r#"{"a": 2, "b": 1}"#),
    (r#"{"a":{"d":1,"c":[1,2,{"z":0,"y":0}]}}"#, r#"{"a": {"c": [1, 2, {"y": 0, "z": 0}], "d": 1}}"#),
    ("[1,2,[3,[]]]", "[1, 2, [3, []]]"),
    (r#"{"a":1,"a":2}"#, r#"{"a": 2}"#),
    (r#"{"a":{"b":1},"a":{}}"#, r#"{"a": {}}"#),
    ("1.0", "1.0"),
    ("-0.0", "-0.0"),
    ("0.0", "0.0"),
    ("-0", "0"),
    ("0", "0"),
    ("0.1", "0.1"),
    ("1e-5", "1e-05"),
    ("0.00001", "1e-05"),
    ("0.0001", "0.0001"),
    ("0.00012", "0.00012"),
    ("1e16", "1e+16"),
    ("1e15", "1000000000000000.0"),
    ("123456789012345678", "123456789012345678"),
    ("1234567890123456.7", "1234567890123456.8"),
    ("12345678901234567.8", "1.2345678901234568e+16"),
    ("1e22", "1e+22"),
    ("1e21", "1e+21"),
    ("1.5e300", "1.5e+300"),
    ("5e-324", "5e-324"),
    ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ("1e400", "Infinity"),
    ("-1e400", "-Infinity"),
    ("2.5e-7", "2.5e-07"),
    ("1E+2", "100.0"),
    ("1e0", "1.0"),
    ("100.0", "100.0"),
    ("1.10", "1.1"),
    ("9007199254740993.0", "9007199254740992.0"),
    ("0.30000000000000004", "0.30000000000000004"),
    ("3.0e0", "3.0"),
    ("719058888941472.25", "719058888941472.2"),
    ("719058888941472.75", "719058888941472.8"),
    ("-5e-324", "-5e-324"),
    ("7.120236347223045e-307", "7.120236347223045e-307"),
    ("8.209073602596753e-289", "8.209073602596753e-289"),
    ("9007199254740992.0", "9007199254740992.0"),
    ("2.2250738585072014e-308", "2.2250738585072014e-308"),
    ("123456.0", "123456.0"),
    ("0.0012345", "0.0012345"),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("-98765432109876543210987654321098765432109876543210", "-98765432109876543210987654321098765432109876543210"),
    ("NaN", "NaN"),
    ("Infinity", "Infinity"),
    ("-Infinity", "-Infinity"),
    ("[NaN]", "[NaN]"),
    (r#""\u00e9""#, r#""\u00e9""#),
    (r#""é""#, r#""\u00e9""#),
    (r#""€""#, r#""\u20ac""#),
    (r#""🙂""#, r#""\ud83d\ude42""#),
    (r#""\ud83d\ude42""#, r#""\ud83d\ude42""#),
    (r#""\ud83d""#, r#""\ud83d""#),
    (r#""\ude42\ud83d""#, r#""\ude42\ud83d""#),
    (r#""\ud83d\u0041""#, r#""\ud83dA""#),
    (r#""\ud83dA""#, r#""\ud83dA""#),
    (r#""\uD83D\uDE42""#, r#""\ud83d\ude42""#),
    ("\"\u{7f}\"", r#""\u007f""#),
    (r#""\u007f""#, r#""\u007f""#),
    (r#""\u0000\u001f""#, r#""\u0000\u001f""#),
    (r#""\b\f\n\r\t\/\\\"""#, r#""\b\f\n\r\t/\\\"""#),
    (r#""</script>""#, r#""</script>""#),
    ("\"\u{2028}\u{2029}\u{80}\"", r#""\u2028\u2029\u0080""#),
    (
        r#"{"é":1,"z":2,"Z":3,"\ud83d\ude42":4,"\uffff":5,"\ud83d":6,"":7,"10":8,"9":9}"#,
        r#"{"": 7, "10": 8, "9": 9, "Z": 3, "z": 2, "\u00e9": 1, "\ud83d": 6, "\uffff": 5, "\ud83d\ude42": 4}"#,
    ),
    ("\t{\r\n\"a\" : [ 1 , 2 ] }\n", r#"{"a": [1, 2]}"#),
];

/// Python refuses them too.
const REFUSED: &[&str] = &[
    "",
    "{",
    "}",
    "[1,]",
    r#"{"a":1,}"#,
    "{a:1}",
    "{'a':1}",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "+1",
    "--1",
    "tru",
    "nul",
    "Nan",
    "-NaN",
    "\"\n\"",
    "\"\t\"",
    r#""a"#,
    r#""\x41""#,
    r#""\u12""#,
    r#""\u12g4""#,
    r#""\u+123""#,
    r#""\ud83d\u12""#,
    "1 2",
    "[1 2]",
    r#"{"a" 1}"#,
    r#"{"a":}"#,
    "[",
    "\u{a0}1",
    "\u{c}1",
    r#"{"a":1}x"#,
    "\u{feff}\u{feff}1",
];

#[test]
fn the_text_is_pythons_to_the_letter() {
    for (answer, expected) in TABLE {
        assert_eq!(sorted_dump(answer.as_bytes()).as_deref(), Ok(*expected), "{answer}");
        let with_mark = format!("\u{feff}{answer}");
        assert_eq!(sorted_dump(with_mark.as_bytes()).as_deref(), Ok(*expected), "{answer}");
    }
}

#[test]
fn what_python_cannot_read_is_refused() {
    for answer in REFUSED {
        assert!(matches!(sorted_dump(answer.as_bytes()), Err(NotPythonJson::Syntax(_))), "{answer}");
    }
    assert_eq!(sorted_dump(b"\"\xff\""), Err(NotPythonJson::NotUtf8));
    assert_eq!(sorted_dump(b"[1, x]"), Err(NotPythonJson::Syntax(4)));
}

#[test]
fn nesting_ends_in_an_error_and_not_in_the_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let on_a_small_stack = move || {
        assert!(sorted_dump(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(sorted_dump(nested(200_000).as_bytes()), Err(NotPythonJson::TooDeep));
        assert_eq!(sorted_dump("{\"a\":".repeat(200_000).as_bytes()), Err(NotPythonJson::TooDeep));
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(on_a_small_stack).unwrap().join().unwrap();
}

/// JSON as any sender may write it, with every spelling of numbers and letters.
fn any_json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<f64>()
            .prop_filter("json writes no such number", |number| number.is_finite())
            .prop_map(|n| format!("{n:e}")),
        (-400.0..400.0_f64).prop_map(|number| format!("{number:.3}")),
        any::<f32>()
            .prop_filter("json writes no such number", |number| number.is_finite())
            .prop_map(|n| format!("{n:?}")),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?",
    ];
    let letter = prop_oneof![
        any::<char>()
            .prop_filter("written escaped", |letter| *letter >= ' ' && !"\"\\".contains(*letter))
            .prop_map(String::from),
        "[ -!#-\\[\\]-~]",
        any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        (0xd7f0_u16..0xe010).prop_map(|unit| format!("\\u{unit:04X}")),
        "\\\\[\"\\\\/bfnrt]",
    ];
    let text = prop::collection::vec(letter, 0..8).prop_map(|letters| format!("\"{}\"", letters.concat()));
    let leaf = prop_oneof![number, text.clone(), "null|true|false|NaN|-?Infinity"];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        let entry = (text.clone(), inner.clone()).prop_map(|(key, value)| format!("{key} :{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..8).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(entry, 0..8).prop_map(|entries| format!("{{ {}\t}}", entries.join(",\n"))),
        ]
    })
}

/// Sound texts, and each of them again with one character taken out.
fn samples(num: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let strategy = (any_json(), any::<prop::sample::Index>());
    let draw = |_| {
        let (text, index) = strategy.new_tree(&mut runner).unwrap().current();
        let gap = index.index(text.chars().count());
        let broken = text.chars().enumerate().filter(|(place, _)| *place != gap).map(|(_, letter)| letter).collect();
        [text, broken]
    };
    (0..num).flat_map(draw).collect()
}

/// One line of hexadecimal digits for each text, both ways; an empty line for what Python refuses.
const PYTHON: &str = r"
import json, sys
for line in sys.stdin:
    try:
        print(json.dumps(json.loads(bytes.fromhex(line)), sort_keys=True).encode().hex())
    except ValueError:
        print()
";

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn python_itself_says_the_same() {
    let child = Command::new("python3").args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("skipped: no python3 here to compare with");
        return;
    };
    let samples = samples(3000);
    let lines: String = samples.iter().map(|text| hex(text) + "\n").collect();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), samples.len());
    let mut num_refused = 0;
    for (text, expected) in samples.iter().zip(answers.lines()) {
        let ours = sorted_dump(text.as_bytes()).unwrap_or_default();
        assert_eq!(hex(&ours), expected, "{text}\n{ours}");
        num_refused += usize::from(expected.is_empty());
    }
    assert!((500..5000).contains(&num_refused), "{num_refused} refused: the samples show one side only");
}

proptest! {
    #[test]
    fn any_bytes_are_written_or_refused(answer in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = sorted_dump(&answer);
    }

    #[test]
    fn what_was_written_is_written_the_same_again(answer in any_json()) {
        let once = sorted_dump(answer.as_bytes()).unwrap();
        prop_assert!(once.is_ascii());
        prop_assert_eq!(sorted_dump(once.as_bytes()), Ok(once));
    }
}
