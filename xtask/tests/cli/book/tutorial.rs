//! The tutorial, done as it says.
#![forbid(unsafe_code)]

use std::path::Path;

use super::{
    page,
    page::{Block, Page},
    session::Session,
};

fn tutorial() -> Page {
    page(Path::new("docs/tutorial.md"))
}

#[test]
fn the_tutorial_is_what_happens() {
    Session::begin("tutorial").follow(&tutorial());
}

/// Follows the tutorial with one line replaced in a file of it.
fn follow_with(session: &str, file: &str, line: &str, by: &str) {
    let mut page = tutorial();
    let is_file = |block: &&mut Block| block.info.ends_with(file);
    let block = page.blocks.iter_mut().find(is_file).expect("the file");
    let changed = block.lines.iter_mut().find(|other| other.contains(line)).expect("the line");
    *changed = changed.replace(line, by);
    Session::begin(session).follow(&page);
}

#[test]
#[should_panic(expected = "shown is")]
fn a_wrong_output_fails() {
    follow_with("wrong_output", "sums/src/bin/asker.rs", "vec![1, 2, 3]", "vec![1, 2, 4]");
}

#[test]
#[should_panic(expected = "does not compile")]
fn a_wrong_program_fails() {
    follow_with("wrong_program", "sums/src/lib.rs", "pub enum Question", "enum Question");
}

/// What the tutorial says of a client with another right.
#[test]
#[should_panic(
    expected = "user.asker: error: the capability lacks a right that the operation needs"
)]
fn a_client_without_the_right_fails() {
    follow_with("no_right", "sums/src/main.rs", "Rights::SEND", "Rights::RECEIVE");
}
