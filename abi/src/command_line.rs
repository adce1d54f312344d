//! Command lines: words separated by blanks, most of them `key=value`. A value with blanks is quoted: `exec="a; b"`. GRUB
//! moves the quote before the word (`"exec=a; b"`), so that means the same.

/// The words, each without its quotes: key, and value if there is one.
pub fn words(line: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = line;
    core::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let (word, after) = split_word(rest);
        rest = after;
        Some(match word.split_once('=') {
            Some((key, value)) => (key.trim_matches('"'), Some(value.trim_matches('"'))),
            None => (word.trim_matches('"'), None),
        })
    })
}

/// The value of the last word with this key.
pub fn get<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    words(line).filter(|(word, _)| *word == key).last().and_then(|(_, value)| value)
}

/// The first word, with its quotes, and what is behind it.
fn split_word(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => return text.split_at(at),
            _ => {}
        }
    }
    (text, "")
}
