//! A page that is done as it says. A block whose info names a file behind its language is that file;
//! one of the language `console` has commands, behind `$ `, and what each of them writes to stdout.
//!
//! In what is written there, `…` alone in a line stands for any lines; a log line's time and CPU are any.
#![forbid(unsafe_code)]

use std::{fs, path::PathBuf, process::Command};

use xtask::setup::paths;

use super::page::{Block, Page};
use crate::support::{Ran, folder, xtask};

const COMMAND: &str = "$ ";
const CONTINUED: &str = " \\";
const REST: &str = "…";

/// A command, and what it shall write.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    command: String,
    output: Vec<String>,
}

/// The folder that a page calls `..`: Orbital's own stands in it for the page alone.
pub struct Session {
    folder: PathBuf,
}

impl Session {
    /// In the folder for the test `name`.
    pub fn begin(name: &str) -> Self {
        Self { folder: folder(name) }
    }

    /// Writes the files of `page`, and does its commands.
    ///
    /// # Panics
    /// When one fails, or writes what is not shown.
    pub fn follow(&self, page: &Page) {
        for block in &page.blocks {
            if let Some(name) = file(block) {
                self.write(name, &block.lines);
            }
            if block.info == "console" {
                shown(&block.lines).iter().for_each(|shown| self.check(shown));
            }
        }
    }

    fn write(&self, name: &str, lines: &[String]) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the file's folder");
        let text = lines.join("\n") + "\n";
        let project = paths::project().to_str().expect("a path in UTF-8");
        fs::write(path, text.replace("../orbital", project)).expect("the file");
    }

    fn check(&self, Shown { command, output }: &Shown) {
        let ran = Ran::from(self.command(command).output().expect("the command"));
        assert_eq!(ran.status, 0, "{command}: {ran:?}");
        let built = paths::output().display().to_string();
        let wanted: Vec<_> = output
            .iter()
            .map(|line| line.replace("/home/you/orbital/target/orbital", &built))
            .collect();
        let found: Vec<_> = ran.stdout.lines().map(str::to_owned).collect();
        assert!(matches(&wanted, &found), "{command}: shown is\n{wanted:#?}\nand it is {ran:#?}");
    }

    fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = match (words.next(), words.next()) {
            (Some("cargo"), Some("xtask")) => xtask(),
            (Some("cargo"), Some("run")) => {
                assert!([None, Some("--")].contains(&words.next()), "{line}");
                xtask()
            }
            (Some("cc"), Some(first)) => {
                let mut compiler = Command::new("cc");
                compiler.arg(first);
                compiler
            }
            _ => panic!("{line}: no command that the test knows"),
        };
        command.current_dir(paths::project());
        command.args(words.map(|word| self.place(word)));
        command
    }

    /// A word of a command, with the places that it names here.
    fn place(&self, word: &str) -> PathBuf {
        if let Some(rest) = word.strip_prefix("../") {
            return self.folder.join(rest);
        }
        match word.strip_prefix("target/orbital/") {
            Some(rest) => paths::output().join(rest),
            None => word.into(),
        }
    }
}

/// The file that a block is.
fn file(block: &Block) -> Option<&str> {
    block.info.split_once(' ').map(|(_, name)| name)
}

/// The commands of a block of them.
fn shown(lines: &[String]) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut is_continued = false;
    for line in lines {
        let (text, goes_on) = match line.strip_suffix(CONTINUED) {
            Some(text) => (text, true),
            None => (line.as_str(), false),
        };
        match (text.strip_prefix(COMMAND), all.last_mut()) {
            (Some(command), _) => {
                all.push(Shown { command: command.to_owned(), output: Vec::new() });
            }
            (None, Some(last)) if is_continued => last.command.push_str(text),
            (None, Some(last)) => last.output.push(line.clone()),
            (None, None) => panic!("{line}: output before a command"),
        }
        is_continued = goes_on && (is_continued || text.starts_with(COMMAND));
    }
    all
}

/// Whether what was written is what is shown.
fn matches(shown: &[String], written: &[String]) -> bool {
    match (shown, written) {
        ([], []) => true,
        ([rest, shown @ ..], _) if rest == REST => {
            (0..=written.len()).any(|at| matches(shown, &written[at..]))
        }
        ([one, shown @ ..], [other, written @ ..]) => {
            timeless(one) == timeless(other) && matches(shown, written)
        }
        _ => false,
    }
}

/// A log line without its time and CPU.
fn timeless(line: &str) -> &str {
    let text = line.strip_prefix('[').and_then(|rest| rest.split_once("] cpu"));
    let Some((time, rest)) = text else { return line };
    if time.chars().any(|c| !(c.is_ascii_digit() || " .".contains(c))) {
        return line;
    }
    rest.trim_start_matches(|c: char| c.is_ascii_digit())
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn commands_have_their_output_and_can_go_over_lines() {
    let found = shown(&lines("$ a b\nx\n$ c \\\n    d \\\n    e\ny \\\nz"));
    let wanted = [("a b", "x"), ("c    d    e", "y \\\nz")]
        .map(|(command, output)| Shown { command: command.to_owned(), output: lines(output) });
    assert_eq!(found, wanted);
}

#[test]
fn what_differs_from_what_is_shown_is_found() {
    let does = |shown: &str, written: &str| matches(&lines(shown), &lines(written));
    assert!(does("a\n…\n[    0.1] cpu0 INFO  init: x", "a\nb\nc\n[   12.3] cpu15 INFO  init: x"));
    assert!(does("…\nb\n…", "b"));
    for (shown, written) in [
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("", "a"),
        ("…\nb", "b\nc"),
        ("a\n…\nc", "a\nb"),
        ("[    0.1] cpu0 INFO  init: x", "[    0.1] cpu0 INFO  init: y"),
        ("[    0.1] cpu0 INFO  init: x", "[    0.1] cpu0 ERROR init: x"),
        ("[x] cpu0 a", "[y] cpu0 a"),
    ] {
        assert!(!does(shown, written), "{shown:?} {written:?}");
    }
}

#[test]
fn only_a_block_that_names_a_file_is_one() {
    let block = |info: &str| Block { info: info.to_owned(), lines: Vec::new() };
    assert_eq!(file(&block("toml sums/Cargo.toml")), Some("sums/Cargo.toml"));
    assert_eq!((file(&block("toml")), file(&block(""))), (None, None));
}
