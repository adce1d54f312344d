//! The command line, as users and loaders write it.
#![forbid(unsafe_code)]

use proptest::prelude::*;

use crate::boot::{CommandLine, command_line::MAX_BYTES};

fn words(text: &str) -> Vec<(String, Option<String>)> {
    let line = CommandLine::new(text);
    line.words().map(|(key, value)| (key.into(), value.map(Into::into))).collect()
}

#[test]
fn words_have_a_key_and_perhaps_a_value() {
    let line = CommandLine::new("  quiet log=info,ipc=trace\ttest=  a=b=c ");
    let expected =
        [("quiet", None), ("log", Some("info,ipc=trace")), ("test", Some("")), ("a", Some("b=c"))];
    assert_eq!(line.words().collect::<Vec<_>>(), expected);
    assert_eq!(line.get("log"), Some("info,ipc=trace"));
    assert_eq!((line.get("test"), line.get("quiet"), line.get("lo")), (Some(""), None, None));
}

#[test]
fn a_value_with_blanks_is_quoted_as_the_user_or_as_grub_writes_it() {
    for text in [r#"exec="a; b  c" log=off"#, r#""exec=a; b  c" log=off"#] {
        let line = CommandLine::new(text);
        assert_eq!(line.get("exec"), Some("a; b  c"), "{text}");
        assert_eq!(line.get("log"), Some("off"), "{text}");
        assert_eq!(line.words().count(), 2, "{text}");
    }
}

#[test]
fn the_last_word_with_a_key_counts() {
    assert_eq!(CommandLine::new("log=info log=trace").get("log"), Some("trace"));
    assert_eq!(CommandLine::new("log=info log").get("log"), None, "it takes the value back");
}

#[test]
fn a_quote_that_is_never_closed_reaches_to_the_end() {
    let line = CommandLine::new(r#"a=1 exec="b c"#);
    assert_eq!((line.get("a"), line.get("exec")), (Some("1"), Some("b c")));
}

#[test]
fn nothing_and_blanks_have_no_words() {
    assert_eq!(words(""), []);
    assert_eq!(words(" \t\n "), []);
    assert_eq!(words("\u{a0}"), [], "blanks of other alphabets are blanks");
}

#[test]
fn a_line_that_is_too_long_is_cut_at_a_character() {
    let text = "ä".repeat(MAX_BYTES);
    let line = CommandLine::new(&text);
    assert_eq!(line.as_str(), &text[..MAX_BYTES]);
    let line = CommandLine::new(&format!("x{text}"));
    assert_eq!(line.as_str().len(), MAX_BYTES - 1, "no half character");
}

proptest! {
    #[test]
    fn any_text_has_words_that_can_be_found(text in any::<String>()) {
        let line = CommandLine::new(&text);
        for (key, _) in line.words() {
            let last = line.words().filter(|(other, _)| *other == key).last().unwrap();
            prop_assert_eq!(line.get(key), last.1);
        }
    }

    #[test]
    fn what_was_quoted_comes_back(
        key in "[a-z]{1,8}",
        value in "[ -!#-~]{0,40}",
        other in "[a-z]{9,12}",
    ) {
        for text in [format!(r#"{key}="{value}" {other}=1"#), format!(r#""{key}={value}" {other}=1"#)] {
            let line = CommandLine::new(&text);
            prop_assert_eq!(line.get(&key), Some(value.as_str()), "{}", text);
            prop_assert_eq!(line.get(&other), Some("1"), "{}", text);
        }
    }
}
