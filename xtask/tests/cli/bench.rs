//! `cargo xtask bench`: boots one machine for each benchmark.
#![forbid(unsafe_code)]

use xtask::{
    bench::{protocol, table},
    build::{
        cargo::{self, Goal, Profile},
        system::take,
    },
    setup::toolchain::Toolchain,
};

use crate::support::{Ran, is_progress, run, xtask};

fn bench(options: &[&str]) -> Ran {
    run(&[&["bench"], options].concat())
}

/// The line of JSON that the benchmark `name` has in `ran`.
fn line<'a>(ran: &'a Ran, name: &str) -> &'a str {
    let start = format!(r#"{{"name":"{name}","value":"#);
    let mut lines = ran.stdout.lines().filter(|line| line.starts_with(&start));
    let line = lines.next().unwrap_or_else(|| panic!("{name}: {ran:?}"));
    assert_eq!(lines.next(), None, "{name}: {ran:?}");
    line
}

#[test]
fn every_benchmark_is_one_line_of_json_and_any_run_gives_the_same() {
    let all = bench(&["--json"]);
    assert_eq!(all.status, 0, "{all:?}");
    assert_eq!(all.stdout.lines().count(), table::ALL.len(), "{all:?}");
    for benchmark in table::ALL {
        let line = line(&all, benchmark.name);
        let end = format!(r#","unit":"{}"}}"#, benchmark.unit);
        assert!(line.ends_with(&end), "{line}");
        let keys = ["value", "min", "median", "max"].map(|key| format!(r#","{key}":"#));
        assert!(keys.iter().all(|key| line.matches(key.as_str()).count() == 1), "{line}");
    }
    let one = bench(&["--filter", "syscall_null", "--json"]);
    let other = bench(&["--json", "--filter", "syscall_null"]);
    assert_eq!((one.status, other.status), (0, 0), "{one:?} {other:?}");
    assert_eq!(one.stdout, other.stdout);
    assert_eq!(one.stdout.trim_end(), line(&all, "syscall_null"));
}

/// What a call and its reply take at this level of the trace, in instructions.
fn call_and_reply(program: &str, level: &str) -> u64 {
    const NAME: &str = "ipc_call_reply_0";
    let append = format!("bench={NAME} trace={level}");
    let machine = ["--boot", "direct", "--icount", "--release", "--init", program];
    let ran = run(&[&machine[..], &["--append", &append]].concat());
    let mut said = protocol::read(NAME, &ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran:?}"));
    said.samples.sort_unstable();
    (said.samples[said.samples.len() / 2] - said.overhead) / said.per
}

#[test]
fn the_trace_as_it_is_usually_takes_nothing_of_a_call() {
    let toolchain = Toolchain::ensure().unwrap();
    let goal = Goal::Programs(&[cargo::KERNEL, cargo::BENCH]);
    let mut programs = cargo::build(&toolchain, goal, Profile::Release).unwrap();
    let program = take(&mut programs, "bench").unwrap();
    let [off, usual] =
        ["off", "events"].map(|level| call_and_reply(program.to_str().unwrap(), level));
    assert!(off > 100 && usual.abs_diff(off) * 100 <= off * 2, "{off} without, {usual} with it");
}

#[test]
fn without_json_it_is_a_table_beside_the_figures_of_others() {
    let ran = bench(&["--filter", "syscall_null"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    for word in ["seL4", "Linux", "bar"] {
        assert!(lines[0].contains(word), "{ran:?}");
    }
    for word in ["syscall_null", " 89 ", " 309 ", " 60 "] {
        assert!(lines[1].contains(word), "{ran:?}");
    }
    // What is going on is no part of it.
    assert!(ran.stderr.lines().all(|line| line.starts_with("xtask: ")), "{ran:?}");
}

#[test]
fn a_filter_that_matches_nothing_is_one_line_and_status_2_before_anything_is_built() {
    for words in [&["--filter", "nonsense"][..], &["--json", "--filter", "syscall_null "]] {
        let ran = bench(words);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{ran:?}");
        assert!(!ran.stderr.lines().any(is_progress), "{ran:?}");
        assert!(ran.stderr.contains("matches no benchmark"), "{ran:?}");
    }
}

#[test]
fn wrong_options_are_one_line_and_status_2() {
    for words in [&["--filter"][..], &["--nonsense"], &["stray"], &["--release"]] {
        let ran = bench(words);
        assert_eq!((ran.status, ran.stderr.lines().count()), (2, 1), "{words:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{words:?}: {ran:?}");
    }
    assert_eq!(bench(&["--help"]).status, 0);
}

#[test]
fn a_missing_qemu_is_one_line_and_status_2() {
    let empty = tempfile::tempdir().unwrap();
    let output = xtask().arg("bench").env("PATH", empty.path()).output().unwrap();
    let ran = Ran::from(output);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stderr.contains("qemu-system-x86_64: not found"), "{ran:?}");
}
