//! The reference has every system call, error and right, with its number.
#![forbid(unsafe_code)]

use std::fs;

use orbital_abi::{Error, Rights, Syscall};
use xtask::setup::paths;

#[test]
fn the_reference_has_all_calls_errors_and_rights() {
    let text = fs::read_to_string(paths::project().join("docs/syscall-abi.md")).unwrap();
    let calls = Syscall::ALL.iter().map(|call| {
        let (name, number) = (format!("{call:?}"), *call as u64);
        [format!("| `{name}` | {number} |"), format!("`{name}` ({number})")]
    });
    let errors = Error::ALL.iter().map(|error| {
        let row = format!("| {} | `{error:?}` |", error.code());
        [row.clone(), row]
    });
    let rights = Rights::all().iter_names().map(|(name, right)| {
        let row = format!("| `{name}` | {} |", right.bits().trailing_zeros());
        [row.clone(), row]
    });
    let all: Vec<_> = calls.chain(errors).chain(rights).collect();
    let is_there = |ways: &[String; 2]| ways.iter().any(|way| text.contains(way));
    let missing: Vec<_> = all.iter().filter(|ways| !is_there(ways)).map(|ways| &ways[0]).collect();
    assert_eq!(missing, Vec::<&String>::new());
    assert!(all.len() > 70, "{} are too few", all.len());
}
