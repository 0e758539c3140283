use super::*;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::prelude::*;

fn accepts(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

fn strings_of(text: &str) -> Vec<String> {
    let mut reader = Reader::new(text);
    let (mut first, mut found) = (true, Vec::new());
    while reader.item(&mut first).unwrap() {
        found.push(
            reader.string().unwrap().text().map_or_else(|| "(half)".to_string(), |t| t.to_string()),
        );
    }
    reader.end().unwrap();
    found
}

#[test]
fn json_and_nothing_else_is_taken() {
    for good in [
        "null",
        " true\n",
        "-0.5e+10",
        "0",
        "[]",
        "{}",
        "[1,2]",
        r#"{"a":[{}],"b":{"c":null}}"#,
        r#""\u00e9\n\"""#,
        "\"\u{7f}\u{80}\"",
        r#"{"":1}"#,
        "1e5",
        r#""\ud800""#,
    ] {
        assert!(accepts(good), "{good}");
    }
    for bad in [
        "",
        " ",
        "nul",
        "nulll",
        "truex",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":1,}",
        "{,}",
        "{'a':1}",
        "{a:1}",
        "NaN",
        "Infinity",
        "-Infinity",
        "True",
        "[1",
        "{\"a\":1",
        "\"abc",
        "\"\n\"",
        r#""\x""#,
        r#""\u12g4""#,
        "[1]]",
        "{} {}",
        "\u{feff}{}",
        "[1,2}",
        "{\"a\":1]",
        "//x\n1",
        "1x",
    ] {
        assert!(!accepts(bad), "{bad}");
    }
}

#[test]
fn nesting_is_bounded_and_needs_no_stack() {
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert!(accepts(&nested(DEPTH_MAX)));
    assert!(!accepts(&nested(DEPTH_MAX + 2)));
    assert!(!accepts(&"[".repeat(1_000_000)));
    assert!(!accepts(&"{\"a\":".repeat(1_000_000)));
}

#[test]
fn escapes_are_resolved() {
    let text =
        r#"["plain","a\u0041\n\/","\ud83d\ude00","\ud83d","\ud83dx","\ude00","\ud83d\u0041"]"#;
    assert_eq!(strings_of(text), ["plain", "aA\n/", "😀", "(half)", "(half)", "(half)", "(half)"]);
    let mut reader = Reader::new(r#""mod\u0065l""#);
    let name = reader.string().unwrap();
    assert!(name.is("model") && !name.is("mode") && !name.is("models"));
    assert!(name.is_ignoring_case("MODEL") && !name.is_ignoring_case("MODELS"));
    assert_eq!(name.len_chars(), 5);
    assert_eq!(Reader::new(r#""\ud83d\ude00\ud83d\u0041é""#).string().unwrap().len_chars(), 4);
}

#[test]
fn a_fault_is_where_the_text_stops_being_json() {
    for (text, at) in
        [("[1,]", 3), ("{\"a\":1,}", 7), ("{'a':1}", 1), ("[nope]", 1), ("[1", 2), ("\"a\nb\"", 2)]
    {
        let mut reader = Reader::new(text);
        assert_eq!(reader.skip().unwrap_err().at, at, "{text}");
    }
}

#[test]
fn an_object_that_ends_at_its_brace_lacks_a_key() {
    for (text, wanted) in [("{", "a key in double quotes"), ("{\"a\":1", "`,` or `}`")] {
        assert_eq!(Reader::new(text).skip().unwrap_err().expected, wanted, "{text}");
    }
}

proptest! {
    #[test]
    fn the_same_texts_are_taken_as_by_serde_json(
        text in r#"[\[\]{}:,"0-9a-eE.+\-\\ntrufls \n\x00é]{0,24}"#,
    ) {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(accepts(&text), theirs, "{}", text);
        // With room behind it short strings are read another way.
        let roomy = text.clone() + &" ".repeat(32);
        prop_assert_eq!(accepts(&roomy), theirs, "{}", text);
    }

    #[test]
    fn keys_are_read_alike_with_blanks_and_without(
        pairs in prop::collection::vec((r#"[a-c"\\
é]{0,18}"#, 0_u32..3), 0..5), blank in "[ 
]{0,2}",
    ) {
        let object: Vec<String> = pairs
            .iter()
            .map(|(key, value)| serde_json::to_string(key).unwrap() + &blank + ":" + &blank + &value.to_string())
            .collect();
        let text = "{".to_string() + &blank + &object.join(&(blank.clone() + "," + &blank)) + &blank + "}";
        let (mut reader, mut first, mut found) = (Reader::new(&text), true, Vec::new());
        while let Some(key) = reader.key(&mut first).unwrap() {
            prop_assert_eq!(&text[key.at + 1..key.at + 1 + key.raw.len()], key.raw);
            found.push((key.text().unwrap().to_string(), reader.number().unwrap().parse().unwrap()));
        }
        prop_assert!(reader.end().is_ok());
        prop_assert_eq!(found, pairs);
        let mut whole = Reader::new(&text);
        prop_assert!(whole.skip().and_then(|()| whole.end()).is_ok());
    }

    #[test]
    fn a_string_means_what_serde_json_says(text in any::<String>(), pad in 0_usize..9) {
        let json = " ".repeat(pad) + &serde_json::to_string(&text).unwrap();
        let mut reader = Reader::new(&json);
        let read = reader.string().unwrap();
        prop_assert_eq!(read.text().unwrap(), text.as_str());
        prop_assert!(read.is(&text));
        prop_assert_eq!(read.len_chars(), text.chars().count());
        prop_assert!(reader.end().is_ok());
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        accepts(&text);
    }
}
