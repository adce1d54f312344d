//! Init's services: a manifest of the test's own, and programs that play services and sessions
//! (`tests/guests/src/bin/services`).
#![forbid(unsafe_code)]

use std::{path::PathBuf, sync::OnceLock};

use xtask::{
    build::cargo::{self, GUESTS, Goal, Profile},
    setup::toolchain::Toolchain,
};

use crate::support::{Ran, run};

/// The program that plays.
fn actor() -> &'static PathBuf {
    static ACTOR: OnceLock<PathBuf> = OnceLock::new();
    ACTOR.get_or_init(|| {
        let toolchain = Toolchain::ensure().expect("a toolchain");
        let programs = cargo::build(&toolchain, Goal::Programs(&[GUESTS]), Profile::Debug);
        programs.expect("test programs").remove("services").expect("the program that plays")
    })
}

/// Runs the services of `manifest`, with more options.
fn services(manifest: &str, options: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("manifest.toml");
    std::fs::write(&file, manifest).expect("a manifest");
    let actor = format!("{}=actor", actor().display());
    let words = ["--boot", "direct", "--module", file.to_str().unwrap(), "--module", &actor];
    run(&[&words, options].concat())
}

/// In place of the demo.
const EXEC: [&str; 2] = ["--append", "exec=\"a; b\""];

/// A session in this role.
fn session(role: &str, needs: &str) -> String {
    format!(
        r#"
[[service]]
name = "session"
program = "actor"
arguments = "role={role}"
serves = true
needs = [{needs}]
system = ["log"]
frames = 1024
kernel = "256K"
session = true
"#
    )
}

/// Another service in this role, with these keys.
fn other(name: &str, role: &str, keys: &str) -> String {
    format!(
        "[[service]]\nname = \"{name}\"\nprogram = \"actor\"\narguments = \"role={role}\"\n{keys}\n"
    )
}

#[track_caller]
fn succeeded(ran: &Ran) {
    assert_eq!(ran.status, 0, "{ran:?}");
}

/// What init says of this service, in order.
fn said<'a>(ran: &'a Ran, service: &str) -> Vec<&'a str> {
    let begin = format!(" init: {service}: ");
    ran.stdout.lines().filter_map(|line| Some(line.split_once(&begin)?.1)).collect()
}

#[test]
fn a_session_gets_what_it_is_to_run_and_the_system_ends_with_its_code() {
    let ran = services(&session("sees_nothing", ""), &EXEC);
    succeeded(&ran);
    assert!(ran.stdout.contains("session: arguments: role=sees_nothing exec=a; b\n"), "{ran:?}");
    assert!(!ran.stdout.contains("all checks passed"), "no demo: {ran:?}");
    // By way of GRUB, which writes the quote elsewhere: see the kernel's own tests.
    let ran = services(&session("sees_nothing", ""), &["--append", "shell=on"]);
    succeeded(&ran);
    assert!(ran.stdout.contains("session: arguments: role=sees_nothing\n"), "{ran:?}");
    assert!(ran.stdout.contains("all checks passed"), "the demo comes first: {ran:?}");
    for role in ["exits code=1", "exits code=9", "faults"] {
        assert_eq!(services(&session(role, ""), &EXEC).status, 1, "{role}");
    }
}

#[test]
fn a_service_runs_on_the_cpus_that_its_line_names() {
    let session = session("sees_its_cpu", "");
    succeeded(&services(&format!("{session}cpus = [1]\n"), &EXEC));
    assert_eq!(services(&session, &EXEC).status, 1, "it may run on all");
}

#[test]
fn without_a_word_there_are_no_services() {
    let ran = services(&session("exits code=1", ""), &[]);
    succeeded(&ran);
    assert!(!ran.stdout.contains("session: started"), "{ran:?}");
}

#[test]
fn a_wrong_manifest_is_one_line_with_its_number_and_status_1() {
    let good = session("sees_nothing", "");
    for (line, reason) in [
        ("needs = [\"nobody\"]", "manifest:3: there is no service \"nobody\""),
        ("program = \"nothing\"", "manifest:3: there is no program \"nothing\" in the archive"),
        ("system = [\"all\"]", "manifest:3: \"all\": no right on the system"),
        ("colour = 3", "manifest:3: unknown field `colour`"),
        ("ports = [\"0x64-0x60\"]", "manifest:3: \"0x64-0x60\": no range of ports"),
        ("this is no TOML", "manifest:3: "),
    ] {
        let ran = services(&format!("[[service]]\nname = \"names\"\n{line}\n{good}"), &EXEC);
        assert_eq!(ran.status, 1, "{line}: {ran:?}");
        let lines: Vec<_> = ran.stdout.lines().filter(|it| it.contains(" init: ")).collect();
        assert_eq!(lines.len(), 1, "{line}: {ran:?}");
        assert!(lines[0].contains(reason), "{line}: {lines:?}");
    }
}

#[test]
fn services_start_behind_those_that_they_need() {
    let manifest = session("sees_nothing", r#""a", "b""#)
        + &other("a", "spins", "serves = true\nneeds = [\"b\", \"c\"]")
        + &other("b", "spins", "serves = true")
        + &other("c", "spins", "serves = true\nneeds = [\"b\"]");
    let ran = services(&manifest, &EXEC);
    succeeded(&ran);
    let started = ran
        .stdout
        .lines()
        .filter_map(|line| line.split_once(" init: ")?.1.strip_suffix(": started"));
    assert_eq!(started.collect::<Vec<_>>(), ["b", "c", "a", "session"], "{ran:?}");
}

#[test]
fn services_are_started_anew_as_the_manifest_says_and_wait_longer_each_time() {
    let manifest = other("always", "exits", "restart = \"always\"\nbackoff = \"1ms\"")
        + &other("failing", "exits code=3", "backoff = \"2ms\"")
        + &other("content", "exits", "")
        + &other("once", "exits code=3", "restart = \"never\"")
        + &session("sees_restarts", r#""supervisor:list""#);
    let ran = services(&manifest, &[&EXEC[..], &["--icount"]].concat());
    succeeded(&ran);
    let waits = |name, reason: &str| -> Vec<String> {
        let ends = said(&ran, name).into_iter().filter(|line| *line != "started");
        let begin = format!("{reason}; again in ");
        ends.map(|line| line.strip_prefix(&begin).expect(line).to_owned()).collect()
    };
    let doubled = [1, 2, 4, 8, 16, 32, 64, 100, 100].map(|wait| format!("{wait} ms"));
    assert_eq!(waits("always", "exited with code 0")[..9], doubled, "{ran:?}");
    let doubled = [2, 4, 8, 16].map(|wait| format!("{wait} ms"));
    assert_eq!(waits("failing", "exited with code 3")[..4], doubled, "{ran:?}");
    assert_eq!(said(&ran, "content"), ["started", "exited with code 0"], "{ran:?}");
    assert_eq!(said(&ran, "once"), ["started", "exited with code 3"], "{ran:?}");
    // By the machine's own clock, which counts instructions.
    let time = |line: &str| -> u64 {
        let digits: String = line[1..13].chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{line}"))
    };
    let lines = ran.stdout.lines().filter(|line| line.contains(" init: always: "));
    let lines: Vec<_> = lines.collect();
    for pair in lines.windows(2) {
        if let Some((_, wait)) = pair[0].split_once("again in ") {
            let wait: u64 = wait.trim_end_matches(" ms").parse().unwrap();
            assert!(time(pair[1]) - time(pair[0]) >= wait * 1000 - 1, "{pair:?}");
        }
    }
}

#[test]
fn a_driver_gets_its_ports_and_interrupts_again() {
    let manifest = other("always", "exits", "restart = \"always\"\nbackoff = \"1ms\"")
        + &other(
            "failing",
            "drives code=3",
            "ports = [\"0x80\"]\ninterrupts = [11]\nbackoff = \"2ms\"\nsystem = [\"log\"]",
        )
        + &other("content", "exits", "")
        + &other("once", "exits code=3", "restart = \"never\"")
        + &session("sees_restarts", r#""supervisor:list""#);
    let ran = services(&manifest, &EXEC);
    succeeded(&ran);
    let ends = said(&ran, "failing").into_iter().filter(|line| *line != "started");
    assert!(ends.clone().count() >= 4, "{ran:?}");
    assert!(ends.into_iter().all(|line| line.starts_with("exited with code 3; ")), "{ran:?}");
}

/// A driver of the keyboard's port that reads another one by the processor's instruction, as does any other.
#[test]
fn a_driver_that_touches_another_port_ends_by_that() {
    for port in ["0x60", "0x70"] {
        let number = u16::from_str_radix(&port[2..], 16).unwrap();
        let manifest = format!(
            "[[service]]\nname = \"driver\"\nprogram = \"peeks\"\narguments = \"{number}\"\n\
             ports = [\"0x60\"]\nsession = true\n"
        );
        let ran = services(&manifest, &["--append", "shell=on"]);
        assert_eq!(ran.status, 1, "{ran:?}");
        // Its own it reads by its capability: no instruction reaches any.
        let said = said(&ran, "driver");
        assert!(
            said.iter().any(|line| line.starts_with("faulted: general protection")),
            "{port}: {ran:?}"
        );
    }
}

#[test]
fn no_client_hangs_while_a_service_ends_a_hundred_times() {
    let caller = "needs = [\"echo\", \"session\"]\nsystem = [\"log\"]";
    let manifest = other(
        "echo",
        "dies_now_and_then",
        "serves = true\nbackoff = \"0ms\"\nrestart = \"always\"",
    ) + &other("over", "exits", "serves = true")
        + &other("caller-1", "calls_often", caller)
        + &other("caller-2", "calls_often", caller)
        + &session("sees_a_storm", r#""supervisor:list+control", "echo", "over""#);
    let ran = services(&manifest, &EXEC);
    succeeded(&ran);
    let ends = said(&ran, "echo").into_iter().filter(|line| *line != "started").count();
    assert!(ends >= 100, "{ends}: {ran:?}");
}

#[test]
fn starts_by_the_thousand_leave_nothing() {
    let watches = session("sees_no_leak", r#""supervisor:list""#);
    let watches = watches.replace("[\"log\"]", "[\"log\", \"statistics\"]");
    let lives = other("always", "exits", "restart = \"always\"\nbackoff = \"0ms\"");
    succeeded(&services(&(watches + &lives), &["--append", "exec=\"a; b\" log=init=warn"]));
}

#[test]
fn a_service_that_can_t_be_started_is_told_and_tried_again() {
    let manifest = other("greedy", "spins", "frames = 100000000\nbackoff = \"1ms\"")
        + &other("elsewhere", "spins", "cpus = [63]\nrestart = \"never\"")
        + &other("lively", "exits", "restart = \"always\"\nbackoff = \"1ms\"")
        + "[[service]]\nname = \"kernel.symbols\"\n";
    // A name that no process can have is refused before: a program that is none is needed.
    let manifest = manifest.replace("kernel.symbols\"", "text\"\nprogram = \"manifest.toml\"")
        + &other("always", "exits", "restart = \"always\"\nbackoff = \"1ms\"")
        + &other("failing", "exits code=3", "backoff = \"2ms\"")
        + &other("content", "exits", "")
        + &other("once", "exits code=3", "restart = \"never\"")
        + &session("sees_restarts", r#""supervisor:list""#);
    let ran = services(&manifest, &[&EXEC[..], &["--icount"]].concat());
    succeeded(&ran);
    let greedy = said(&ran, "greedy");
    assert_eq!(greedy[0], "can't be started: the quota is used up; again in 10 ms", "{ran:?}");
    assert!(greedy.len() > 3, "{ran:?}");
    assert_eq!(said(&ran, "elsewhere").len(), 1, "{ran:?}");
    assert!(said(&ran, "text")[0].starts_with("can't be started: not an ELF"), "{ran:?}");
}

/// What the manifest of a service names that tries everything.
fn tries_everything(keys: &str) -> Ran {
    let manifest = format!(
        r#"
[[service]]
name = "session"
program = "actor"
arguments = "role=tries_everything"
serves = true
needs = ["names:register"]
ports = ["0x80"]
system = ["log"]
session = true
{keys}

[[service]]
name = "names"
serves = true
"#
    );
    services(&manifest, &EXEC)
}

#[test]
fn a_service_has_what_its_lines_name_and_nothing_else() {
    let ran = tries_everything("");
    succeeded(&ran);
    assert!(ran.stdout.contains("has: Endpoint SEND | GRANT badge 257"), "{ran:?}");
}

#[test]
fn with_one_line_more_it_has_more() {
    for keys in ["archive = true", "interrupts = [11]"] {
        let ran = tries_everything(keys);
        assert_eq!(ran.status, 1, "{keys}: {ran:?}");
    }
}

#[test]
fn init_answers_who_may_ask() {
    succeeded(&services(&session("sees_init_s_answers", r#""supervisor:list""#), &EXEC));
    for (code, status) in [(0, 0), (5, 1)] {
        let role = format!("asks_for_the_end code={code}");
        let ran = services(&session(&role, r#""supervisor:control""#), &EXEC);
        assert_eq!(ran.status, status, "{ran:?}");
    }
}

/// As the project's manifest has it.
const PROCESSES: &str = r#"
[[service]]
name = "processes"
serves = true
archive = true
system = ["log", "grant"]
frames = "50%"
kernel = "50%"
priority = 130
restart = "always"
"#;

#[test]
fn the_process_server_starts_programs_and_comes_back() {
    let weak = "needs = [\"processes:start\", \"session\"]\nsystem = [\"log\"]";
    let needs = r#""processes:start+kill+list", "supervisor:list+control""#;
    let manifest =
        session("sees_programs", needs) + PROCESSES + &other("weak", "starts_only", weak);
    succeeded(&services(&manifest, &EXEC));
}

#[test]
fn log_lines_arrive_at_who_reads_them() {
    let log = "[[service]]\nname = \"log\"\nserves = true\nsystem = [\"log-read\"]\nframes = 2048\nkernel = \"512K\"\n";
    let ran = services(&(session("sees_the_log", r#""log:read""#) + log), &EXEC);
    succeeded(&ran);
}
