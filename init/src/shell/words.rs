//! A command line as commands and their words.
//!
//! | in the line | what it does |
//! |---|---|
//! | blanks | part words |
//! | `'…'` | all of it stands for itself |
//! | `"…"` | the same, but for `\` before `"` and `\` |
//! | `\` | the next character stands for itself |
//! | `;` | ends a command |
//! | `&` | ends a command, which runs in the background |
#![forbid(unsafe_code)]

use alloc::{string::String, vec::Vec};
use core::{fmt, iter::Peekable, str::Chars};

/// A command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its words, at least one.
    pub words: Vec<String>,
    /// Whether the next one is begun before it ends.
    pub in_background: bool,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// A quote has no partner: this one.
    Unclosed(char),
    /// A `\` is the last character.
    NothingToQuote,
    /// An `&` has no command before it.
    NothingToRun,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed(quote) => write!(f, "{quote} is not closed"),
            Self::NothingToQuote => f.write_str("nothing follows the \\ at the end"),
            Self::NothingToRun => f.write_str("no command before &"),
        }
    }
}

/// The commands of a line; none for a blank one.
///
/// # Errors
/// A [`ParseError`]; then nothing of the line is to be run.
pub fn parse(line: &str) -> Result<Vec<Command>, ParseError> {
    let mut commands = Vec::new();
    let mut command = Command::default();
    let mut characters = line.chars().peekable();
    while let Some(next) = characters.peek() {
        match next {
            ';' | '&' => {
                command.in_background = *next == '&';
                let ended = core::mem::take(&mut command);
                match (ended.words.is_empty(), ended.in_background) {
                    (true, true) => return Err(ParseError::NothingToRun),
                    (true, false) => {}
                    (false, _) => commands.push(ended),
                }
                characters.next();
            }
            blank if blank.is_whitespace() => {
                characters.next();
            }
            _ => command.words.push(word(&mut characters)?),
        }
    }
    if !command.words.is_empty() {
        commands.push(command);
    }
    Ok(commands)
}

/// The word that begins here.
fn word(characters: &mut Peekable<Chars<'_>>) -> Result<String, ParseError> {
    let is_in_word = |c: &char| !c.is_whitespace() && !matches!(c, ';' | '&');
    let mut word = String::new();
    while let Some(character) = characters.next_if(is_in_word) {
        match character {
            '\'' | '"' => quoted(characters, character, &mut word)?,
            '\\' => word.push(characters.next().ok_or(ParseError::NothingToQuote)?),
            other => word.push(other),
        }
    }
    Ok(word)
}

/// What stands up to the next `quote`.
fn quoted(
    characters: &mut Peekable<Chars<'_>>,
    quote: char,
    word: &mut String,
) -> Result<(), ParseError> {
    loop {
        match characters.next().ok_or(ParseError::Unclosed(quote))? {
            end if end == quote => return Ok(()),
            '\\' if quote == '"' => {
                let is_meant = |c: &char| matches!(c, '"' | '\\');
                word.push(characters.next_if(is_meant).unwrap_or('\\'));
            }
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The commands as text: words in brackets, `&` behind those in the background.
    fn shown(line: &str) -> String {
        let command = |command: &Command| {
            let words: String = command.words.iter().map(|word| format!("[{word}]")).collect();
            words + if command.in_background { "&" } else { "" }
        };
        match parse(line) {
            Ok(commands) => commands.iter().map(command).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn words_and_commands() {
        for (line, expected) in [
            ("", ""),
            ("  \t ", ""),
            ("ps", "[ps]"),
            ("  run  spin  now ", "[run][spin][now]"),
            ("ps; caps;shutdown", "[ps] [caps] [shutdown]"),
            (";;ps;", "[ps]"),
            ("run a & run b", "[run][a]& [run][b]"),
            ("run a&", "[run][a]&"),
            ("run a & ; ps", "[run][a]& [ps]"),
        ] {
            assert_eq!(shown(line), expected, "{line:?}");
        }
    }

    #[test]
    fn quotes() {
        for (line, expected) in [
            (r#"echo "a b" 'c; d' e\ f"#, "[echo][a b][c; d][e f]"),
            (r#"echo a"b"'c'd"#, "[echo][abcd]"),
            (r#"echo "" ''"#, "[echo][][]"),
            (r#"echo "\"\\\n" '\'"#, r#"[echo]["\\n][\]"#),
            (r"echo \; \& \'", "[echo][;][&][']"),
        ] {
            assert_eq!(shown(line), expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_no_line() {
        for (line, expected) in [
            ("echo 'a", "' is not closed"),
            (r#"echo "a\""#, "\" is not closed"),
            ("echo \\", "nothing follows the \\ at the end"),
            ("& ps", "no command before &"),
            ("ps & &", "no command before &"),
            ("ps; &", "no command before &"),
        ] {
            assert_eq!(shown(line), expected, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_word_can_be_quoted(words in proptest::collection::vec("\\PC{0,12}", 1..5)) {
            let line: Vec<_> = words.iter().map(|word| {
                format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
            }).collect();
            let command = Command { words: words.clone(), in_background: false };
            prop_assert_eq!(parse(&line.join(" ")), Ok(vec![command]));
        }

        #[test]
        fn every_command_has_a_word(line in "[a-c '\"\\\\;&\t]{0,30}") {
            if let Ok(commands) = parse(&line) {
                prop_assert!(commands.iter().all(|command| !command.words.is_empty()));
            }
        }
    }
}
