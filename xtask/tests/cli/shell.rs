//! The shell as a person sees it, and as a script uses it.
#![forbid(unsafe_code)]

use std::{fs, time::Instant};

use tempfile::TempDir;

use crate::support::{Ran, person::Person, run, xtask};

/// The row of a prompt without a line.
const EMPTY: &str = "orbital>";
/// Seconds that a machine may run: for what never comes.
const TIMEOUT: &str = "600";

/// A person at a shell's first prompt.
fn person(options: &[&str]) -> Person {
    let mut command = xtask();
    command.args(["--boot", "direct", "--timeout", TIMEOUT]).args(options);
    let mut person = Person::at(command);
    person.sees("Type help for the commands.");
    person.sees_row(EMPTY);
    person
}

fn exec(commands: &str) -> Ran {
    run(&["--boot", "direct", "--append", &format!("exec=\"{commands}\"")])
}

/// What came behind the boot's own lines, and behind the CAN by which the console begins.
fn lines(ran: &Ran) -> Vec<&str> {
    let is_log = |line: &&str| line.starts_with('[') && line.contains("] cpu");
    let lines = ran.stdout.lines().skip(1).map(|line| line.trim_start_matches('\x18'));
    lines.filter(|line| !is_log(line) && !line.is_empty()).collect()
}

#[test]
fn a_person_edits_lines_and_runs_programs() {
    let mut person = person(&[]);
    edits_lines(&mut person);
    runs_programs(&mut person);
    runs_programs_behind(&mut person);
    finds_programs_by_name(&mut person);
    looks_around(&mut person);
    person.enters("shutdown");
    let (status, text) = person.leaves();
    assert_eq!(status, Some(0), "{text}");
}

fn edits_lines(person: &mut Person) {
    // In the middle, at both ends, and to the right of the cursor.
    person.types("cho hello wrldX\x1b[D\x1b[3~");
    person.sees_row("orbital> cho hello wrld");
    // QEMU has its own use for Ctrl-A: twice, it comes through.
    person.types("\x01\x01e\x05\x1b[D\x1b[D\x1b[Do");
    person.sees_row("orbital> echo hello world");
    person.enters("");
    person.sees("\nhello world\n");
    // The line from before, without its last word; then with another one.
    person.types("\x1b[A\x17");
    person.sees_row("orbital> echo hello");
    person.enters("again");
    person.sees("\nhello again\n");
    person.types("\x1b[A\x1b[A");
    person.sees_row("orbital> echo hello world");
    person.types("\x15");
    person.sees_row(EMPTY);
    // Abandoned; and nothing to leave.
    person.types("nonsense\x03");
    person.sees("^C");
    person.sees_row(EMPTY);
    person.types("\x04");
    person.sees("There is no way out but shutdown.");
    person.enters("echo 'a;  b' \\; c; frobnicate; echo \"last");
    person.sees("\" is not closed");
    person.enters("echo 'a;  b' \\; c; frobnicate; echo last");
    person.sees("\na;  b ; c\n");
    person.sees("frobnicate: no such command");
    person.sees("\nlast\n");
}

fn runs_programs(person: &mut Person) {
    for (line, expected) in [
        ("run exits", "exits: exited with 0"),
        ("run exits 3", "exits: exited with 3"),
        ("run divider", "divider: fault: divide error"),
        ("run peeks", "peeks: fault: general protection"),
        ("run grows", "grows: exited with 1"),
        ("run counts 3", "line 3 of 3\n"),
        ("run nothing", "run: nothing: no such program"),
        ("run", "usage: run PROGRAM"),
    ] {
        person.enters(line);
        person.sees(expected);
    }
    assert!(person.text().contains("no more memory after "), "{}", person.text());
    person.enters("run spins");
    person.sees("spinning");
    // What is typed before Ctrl-C is abandoned, and what comes behind it is for the next prompt.
    person.types("nonsense\x03echo typed ahead\r");
    person.sees("spins: killed");
    person.sees("\ntyped ahead\n");
}

/// Runs a program behind, which says this first; gives its number.
fn runs_behind(person: &mut Person, program: &str, arguments: &str, said: &str) -> u64 {
    person.enters(&format!("run {program} {arguments} &"));
    // Its text may come before its number.
    let end = format!("] {program}\n");
    person.sees_all(&[&end, &format!("\n{said}\n")]);
    let text = person.text();
    let (before, _) = text.rsplit_once(&end).unwrap();
    let (_, id) = before.rsplit_once('[').unwrap();
    id.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn runs_programs_behind(person: &mut Person) {
    let id = runs_behind(person, "spins", "", "spinning");
    // Its text and its end come above the line.
    person.types("kept");
    person.sees_row("orbital> kept");
    person.types("\x15");
    person.enters(&format!("kill {id}"));
    person.sees(&format!("[{id}] spins: killed"));
    person.enters(&format!("kill {id}"));
    person.sees("neither a program of the process server's nor a service");
    person.enters("ps &");
    person.sees("ps: only programs can go on in the background");
}

fn finds_programs_by_name(person: &mut Person) {
    let asks = |person: &mut Person, expected: &str| {
        person.enters("run asks greeting hello there");
        person.sees(&format!("\n{expected}\n"));
        person.sees("asks: exited with ");
    };
    for (line, expected) in [
        ("run serves", "\nerror: usage: serves NAME\n"),
        ("run serves a b", "\nerror: usage: serves NAME\n"),
        ("run asks greeting", "\nerror: usage: asks NAME WORDS...\n"),
    ] {
        person.enters(line);
        person.sees(expected);
    }
    asks(person, "error: greeting: no such service");
    let serves =
        |person: &mut Person| runs_behind(person, "serves", "greeting", "serving greeting");
    let kill = |person: &mut Person, id: u64| {
        person.enters(&format!("kill {id}"));
        person.sees(&format!("[{id}] serves: killed"));
    };
    let first = serves(person);
    asks(person, "HELLO THERE");
    person.enters("ping greeting");
    person.sees("\ngreeting: answered in ");
    // All programs of the shell's are one client of the name service: the later one takes the name.
    let second = serves(person);
    kill(person, first);
    asks(person, "HELLO THERE");
    kill(person, second);
    asks(person, "error: greeting: no such service");
    person.enters("ping greeting");
    person.sees("\nping: greeting: no such service\n");
    let third = serves(person);
    asks(person, "HELLO THERE");
    kill(person, third);
}

fn looks_around(person: &mut Person) {
    for (line, expected) in [
        ("help", "run PROGRAM [ARGUMENTS...] [&]"),
        ("help caps", "needs the right to the kernel's statistics"),
        ("ps", " shell\n"),
        ("threads 1", "waits for messages"),
        ("threads 4000000000", "threads: no such process"),
        ("caps", "\nconsole ("),
        ("caps --graph", "digraph capabilities {"),
        ("mem", " KiB  free\n"),
        ("cpu", "cpu1 "),
        ("uptime", "\nup 0:0"),
        ("log 5", "INFO"),
        ("trace 5", "ProcessEnd"),
        ("ping console", "console: answered in "),
        ("ping processes", "processes: answered in "),
        ("ping log", "log: answered in "),
        ("ping names", "names: answered in "),
        ("ping supervisor", "supervisor: answered in "),
        ("ping nobody", "ping: nobody: no such service"),
        ("bench", "call to the console, and its reply"),
        ("kill nobody", "kill: nobody: no service that runs"),
    ] {
        person.enters(line);
        person.sees(expected);
    }
    kills_services(person);
}

/// It is told when the next one is there. Until then the one that ends may still take questions.
fn kills_services(person: &mut Person) {
    for service in ["log", "names", "processes", "console"] {
        person.enters(&format!("kill {service}"));
        person.sees(&format!("\n{service}: started anew\n"));
        person.sees_row(EMPTY);
        person.enters(&format!("ping {service}"));
        person.sees(&format!("\n{service}: answered in "));
    }
}

#[test]
fn a_script_gets_its_output_and_status() {
    let ran = exec("echo one; echo two");
    assert_eq!((ran.status, &*lines(&ran)), (0, &["one", "two"][..]), "{ran:?}");
    let ran = exec("echo one; frobnicate; echo two");
    assert_eq!(ran.status, 1, "{ran:?}");
    let expected = ["one", "frobnicate: no such command; help shows which there are", "two"];
    assert_eq!(lines(&ran), expected, "{ran:?}");
    let ran = exec("run exits 3; echo on");
    assert_eq!((ran.status, &*lines(&ran)), (1, &["exits: exited with 3", "on"][..]), "{ran:?}");
    // What has happened meanwhile is for a person.
    let ran = exec("kill log; run exits; run asks nobody hello");
    let expected =
        ["exits: exited with 0", "error: nobody: no such service", "asks: exited with 1"];
    assert_eq!((ran.status, &*lines(&ran)), (1, &expected[..]), "{ran:?}");
}

#[test]
fn a_script_can_look_around_and_end_the_system() {
    let ran = exec("ps; caps; shutdown");
    assert_eq!(ran.status, 0, "{ran:?}");
    let ran = exec("shutdown 7");
    assert_eq!(ran.status, 1, "{ran:?}");
}

#[test]
fn the_console_has_its_own_devices_and_no_others() {
    let ran = exec("caps");
    assert_eq!(ran.status, 0, "{ran:?}");
    let lines = lines(&ran);
    let start = lines.iter().position(|line| line.starts_with("console (")).expect("the console");
    let own = lines[start + 1..].iter().take_while(|line| line.starts_with(' '));
    let kinds: Vec<_> = own.filter_map(|line| line.split_whitespace().nth(1)).collect();
    let count = |kind| kinds.iter().filter(|found| **found == kind).count();
    // COM1's, and both of the keyboard controller's.
    assert_eq!((count("port"), count("interrupt"), count("system")), (3, 2, 0), "{ran:?}");
    // Where it serves; and of processes itself alone.
    assert_eq!((count("endpoint"), count("process"), count("thread")), (1, 1, 1), "{ran:?}");
}

/// The project's manifest, with one text in place of another, and the option for it.
fn manifest(pairs: &[(&str, &str)]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.toml");
    let usual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../init/manifest.toml"));
    let text = pairs.iter().fold(usual.unwrap(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    fs::write(&file, text).unwrap();
    (folder, format!("{}=manifest.toml", file.display()))
}

#[test]
fn a_shell_that_has_less_works_without_it() {
    let (_folder, module) = manifest(&[
        (", \"names:look-up+register\"", ""),
        ("\"supervisor:list+control\"", "\"supervisor:control\""),
    ]);
    let mut person = person(&["--module", &module]);
    for (line, expected) in [
        ("ping names", "\nping: this shell was not given names\n"),
        ("ping greeting", "\nping: this shell was not given the name service\n"),
        ("run serves greeting", "\nerror: greeting: this program was not given the name service\n"),
        (
            "run asks greeting hello",
            "\nerror: greeting: this program was not given the name service\n",
        ),
        // The next console says this: by then nothing has told the shell, which may not list services.
        ("kill console; echo back", "\nback\n"),
        ("run exits 2", "\nexits: exited with 2\n"),
    ] {
        person.enters(line);
        person.sees(expected);
        person.sees_row(EMPTY);
    }
    person.enters("shutdown");
    let (status, text) = person.leaves();
    assert_eq!(status, Some(0), "{text}");
    assert!(!text.contains("started anew"), "{text}");
}

/// How often the console is ended.
const DEATHS: usize = 100;

#[test]
fn a_console_that_dies_a_hundred_times_loses_no_line() {
    let at_once = "name = \"console\"\nbackoff = \"0ms\"";
    let (_folder, module) = manifest(&[("name = \"console\"", at_once)]);
    let mut person = person(&["--module", &module]);
    // More than they come to say.
    let totals = [1_000_000_u64, 1_000_001];
    for total in totals {
        person.enters(&format!("run counts {total} &"));
        person.sees(&format!("line 1 of {total}\n"));
    }
    for death in 1..=DEATHS {
        person.enters(&format!("kill console; echo death {death} is over"));
        person.sees(&format!("\ndeath {death} is over\n"));
    }
    person.enters("shutdown");
    let (status, text) = person.leaves();
    assert_eq!(status, Some(0));
    assert!(!text.contains("no service that runs"), "each time it was there to be ended");
    for total in totals {
        let end = format!(" of {total}");
        let whole: Vec<u64> = text
            .lines()
            .filter_map(|line| line.strip_prefix("line ")?.strip_suffix(&end)?.parse().ok())
            .collect();
        let last = *whole.last().expect("lines");
        assert!(last >= DEATHS as u64, "{last} lines");
        let missing = (1..=last).find(|number| !whole.contains(number));
        let around = missing.and_then(|number| text.find(&format!("line {}{end}", number - 1)));
        let around = around.map(|place| text[place..].chars().take(1000).collect::<String>());
        assert_eq!(missing, None, "of {total}, {last} came; {around:#?}");
    }
}

#[test]
fn the_prompt_is_there_soon() {
    // The first time builds it.
    let ran = run(&["--boot", "direct", "--release", "--append", "exec=\"uptime\""]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let started = Instant::now();
    let mut person = person(&["--release"]);
    let taken = started.elapsed();
    person.enters("uptime");
    person.sees("\nup ");
    let up = person.row();
    println!("from the command to the prompt {taken:?}, all of xtask's work included; {up}");
    println!("since boot, without the demo: {:?}", lines(&ran));
    person.enters("shutdown");
    assert_eq!(person.leaves().0, Some(0));
}
