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

/// The tutorial's package, and then a block that is not as it should be.
fn follow_and(wrong: Block) {
    let mut page = tutorial();
    page.blocks.retain(|block| block.info != "console");
    page.blocks.push(wrong);
    Session::begin("wrong_output").follow(&page);
}

fn console(text: &str) -> Block {
    Block { info: "console".to_owned(), lines: text.lines().map(str::to_owned).collect() }
}

#[test]
#[should_panic(expected = "shown is")]
fn a_wrong_output_fails() {
    follow_and(console("$ cargo xtask build ../sums\nadder\nasker\nsums"));
}

#[test]
#[should_panic(expected = "does not compile")]
fn a_wrong_program_fails() {
    let mut page = tutorial();
    let lib = page.blocks.iter_mut().find(|block| block.info == "rust sums/src/lib.rs");
    lib.expect("the library").lines.push("missing!();".to_owned());
    Session::begin("wrong_program").follow(&page);
}
