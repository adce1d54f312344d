//! `cargo xtask fuzz`: one machine full of random calls.
#![forbid(unsafe_code)]

use crate::support::{Ran, run};

fn fuzz(options: &[&str]) -> Ran {
    run(&[&["fuzz"], options].concat())
}

#[test]
fn so_many_calls_are_made_with_a_seed_and_the_status_is_0() {
    let ran = fuzz(&["--iterations", "3000", "--seed", "77", "--smp", "2"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let said = ran.stdout.lines().find(|line| line.contains(" calls with seed 77 in "));
    let (_, said) =
        said.and_then(|line| line.split_once("init: ")).unwrap_or_else(|| panic!("{ran:?}"));
    let made: u64 = said.split(' ').next().unwrap().parse().unwrap();
    assert!(made >= 3000, "{ran:?}");
    let pass = "init: test calls_from_all_sides_do_no_harm: pass";
    assert!(ran.stdout.lines().any(|line| line.ends_with(pass)), "{ran:?}");
    assert!(ran.stdout.contains("cpu1 online") && !ran.stdout.contains("cpu2 online"), "{ran:?}");
    // The serial port alone.
    assert!(ran.stdout.starts_with("Orbital kernel starting..."), "{ran:?}");
    assert!(ran.stderr.lines().all(|line| line.starts_with("xtask: ")), "{ran:?}");
}

#[test]
fn wrong_options_are_one_line_and_status_2() {
    for words in [
        &["--iterations", "0"][..],
        &["--iterations", "many"],
        &["--seed", "x"],
        &["--smp", "0"],
        &["stray"],
    ] {
        let ran = fuzz(words);
        assert_eq!((ran.status, ran.stderr.lines().count()), (2, 1), "{words:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{words:?}: {ran:?}");
    }
}
