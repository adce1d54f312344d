//! The commands that the pages name are there, with those options; so are the packages.
#![forbid(unsafe_code)]

use std::{collections::BTreeSet, ffi::OsString, fs, path::Path};

use clap::{CommandFactory, Parser};
use xtask::{
    cli::{Cli, with_default_command},
    setup::{packages, paths},
};

use super::{
    page,
    page::{Block, Page},
    pages,
};

/// The packages of the workspace.
fn members() -> BTreeSet<String> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(paths::project().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("the workspace");
    metadata.packages.iter().map(|package| package.name.to_string()).collect()
}

/// All that a page shows to be typed: lines of its blocks, without prompt, variables and remarks, and
/// its code.
fn typed(page: &Page) -> Vec<String> {
    let lines = page.blocks.iter().flat_map(lines);
    lines.chain(page.spans.iter().cloned()).filter(|line| is_ours(line)).collect()
}

fn is_ours(line: &str) -> bool {
    ["cargo ", "apt-get "].iter().any(|start| line.starts_with(start))
}

fn lines(block: &Block) -> Vec<String> {
    let text = block.lines.join("\n").replace(" \\\n", " ");
    let line = |line: &str| {
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let line = line.split("  #").next().unwrap_or(line).trim();
        let is_variable = |word: &&str| word.split_once('=').is_some_and(|(name, _)| is_name(name));
        line.split(' ').skip_while(is_variable).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect()
}

/// Whether a word stands for another one: it is in capitals.
fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// The words of a command; what may be left out is there, and names are something that fits.
fn words(line: &str) -> Vec<String> {
    let word = |word: &str| match word.trim_matches(['[', ']']) {
        "…" => "x".to_owned(),
        "M" => "pc".to_owned(),
        name if is_name(name) => "1".to_owned(),
        other => other.to_owned(),
    };
    // Where the input comes from is the shell's.
    let line = line.split(" <").next().unwrap_or(line);
    // What stands in quotes is one word as it is.
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(place, part)| match place % 2 {
        0 => part.split_whitespace().filter(|word| *word != "[options]").map(word).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// What is wrong with a command, if anything is.
fn fault(line: &str, members: &BTreeSet<String>) -> Option<String> {
    let words = words(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["cargo", "run", "--release"] | ["cargo", "run"] => None,
        ["cargo", "run", "--", options @ ..] => parse(options),
        ["cargo", "xtask", options @ ..] => parse(options),
        ["cargo", "test", options @ ..] => cargo_s(options, &["--no-fail-fast"], members),
        ["cargo", "doc", options @ ..] => cargo_s(options, &["--workspace", "--no-deps"], members),
        ["apt-get", "update"] => None,
        ["apt-get", "install", options @ ..] => apt_s(options),
        _ => Some("no command that the test knows".to_owned()),
    }
}

fn parse(options: &[&str]) -> Option<String> {
    let words = ["xtask"].iter().chain(options).map(OsString::from);
    match Cli::try_parse_from(with_default_command(words)) {
        Err(error) if error.use_stderr() => Some(error.to_string()),
        _ => None,
    }
}

/// Options of cargo's own, up to those for the programs that it runs.
fn cargo_s(options: &[&str], known: &[&str], members: &BTreeSet<String>) -> Option<String> {
    let mut options = options.iter().take_while(|option| **option != "--");
    while let Some(option) = options.next() {
        let is_right = match *option {
            "-p" => options.next().is_some_and(|package| members.contains(*package)),
            other => known.contains(&other),
        };
        if !is_right {
            return Some(format!("{option}: no such option or package"));
        }
    }
    None
}

fn apt_s(options: &[&str]) -> Option<String> {
    const OPTIONS: [&str; 4] =
        ["-y", "--no-install-recommends", "--no-remove", "--allow-downgrades"];
    let is_known = |word: &str| OPTIONS.contains(&word) || packages::all().contains(&word);
    let wrong = options.iter().find(|word| !is_known(word))?;
    Some(format!("{wrong}: no option that is used, and no package that is installed"))
}

#[test]
fn what_pages_say_to_type_is_right() {
    let members = members();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (file, page) in pages() {
        for line in typed(&page) {
            count += 1;
            if let Some(fault) = fault(&line, &members) {
                wrong.push(format!("{}: {line}: {fault}", file.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(count > 50, "{count} are too few: are they found?");
}

#[test]
fn wrong_commands_are_found() {
    let members = members();
    for line in [
        "cargo run -- --smp",
        "cargo run -- --cpus 4",
        "cargo run --smp 4",
        "cargo xtask soak [NAME] [--cpus N]",
        "cargo xtask fly",
        "cargo test -p orbital",
        "cargo test --quick",
        "cargo fly",
        "apt-get install -y qemu",
        "apt-get remove qemu-system-x86",
    ] {
        assert!(fault(line, &members).is_some(), "{line}");
    }
}

#[test]
fn lines_of_blocks_are_what_is_typed() {
    let text = "$ cargo run -- \\\n    --smp 3\nout\n$ A=1 B_C=x cargo test   # all\n";
    let block = Block { info: String::new(), lines: text.lines().map(str::to_owned).collect() };
    let lines: Vec<_> = lines(&block).into_iter().filter(|line| is_ours(line)).collect();
    assert_eq!(lines, ["cargo run --     --smp 3", "cargo test"]);
}

/// Every command and option that there is stands on the page about running.
#[test]
fn each_option_is_explained() {
    let page = page(Path::new("docs/running.md"));
    let spans = page.spans.join("\n");
    let command = Cli::command();
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        assert!(name == "run" || spans.contains(&format!("cargo xtask {name}")), "{name}");
        for option in sub.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(spans.contains(&format!("--{option}")), "{name} --{option}");
        }
    }
}

/// The list of packages on that page is the list of what is installed.
#[test]
fn the_packages_are_those_that_are_installed() {
    let text = fs::read_to_string(paths::project().join("docs/running.md")).unwrap();
    let (_, table) = text.split_once("| for | packages |\n").expect("the list");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(2));
    let named: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(named, packages::all().into_iter().collect());
}

#[test]
fn the_script_for_machines_is_as_pages_say() {
    let script = fs::read_to_string(paths::project().join(".ci/run")).unwrap();
    let commands: Vec<_> = script.lines().filter(|line| line.starts_with("cargo ")).collect();
    assert_eq!(commands, ["cargo xtask tidy", "cargo test --no-fail-fast"]);
    let running = fs::read_to_string(paths::project().join("docs/running.md")).unwrap();
    let row = "| `.ci/run` | `cargo xtask tidy`, then `cargo test --no-fail-fast` |";
    assert!(running.contains(row));
}
