//! What users and scripts rely on: exit statuses, streams and single clear lines, seen from outside.
//! Boots QEMU directly, which is the fastest.
#![forbid(unsafe_code)]

use std::{fs, process::Stdio};

use crate::support::{self, Ran, elf, run, xtask};

const DIRECT: [&str; 2] = ["--boot", "direct"];

fn direct(options: &[&str]) -> Ran {
    run(&[&DIRECT, options].concat())
}

#[test]
fn the_demo_runs_and_its_output_is_the_serial_port_alone() {
    let ran = direct(&[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "Orbital kernel starting...");
    let last = lines.len() - 1;
    assert!(lines[last].ends_with("power: off, verdict 0x10"), "{ran:?}");
    assert!(lines[last - 1].ends_with(" INFO  init: all checks passed"), "{ran:?}");
    // Every line but the first has time, CPU, level and module.
    for line in &lines[1..] {
        let after_time = line.strip_prefix('[').and_then(|line| line.split_once("] cpu"));
        let (time, rest) = after_time.unwrap_or_else(|| panic!("{line}"));
        let (cpu, rest) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(cpu.parse::<u32>().is_ok_and(|cpu| cpu < 2), "{line}");
        let (seconds, micros) = time.split_once('.').unwrap();
        assert!(seconds.len() >= 5 && micros.len() == 6, "{line}");
        assert!(seconds.trim().parse::<u64>().is_ok() && micros.parse::<u64>().is_ok(), "{line}");
        let level = rest.get(..6).unwrap_or_default();
        assert!(["ERROR ", "WARN  ", "INFO  "].contains(&level), "{line}");
        assert!(rest[6..].contains(": "), "{line}");
    }
    assert!(
        ["cpu0", "cpu1"].iter().all(|cpu| ran.stdout.contains(&format!("{cpu} online"))),
        "{ran:?}"
    );
    assert!(ran.stderr.lines().all(|line| line.starts_with("xtask: ")), "{ran:?}");
}

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    for words in [
        &["--nonsense"][..],
        &["--smp", "0"],
        &["--smp", "many"],
        &["--memory", "lots"],
        &["--boot", "floppy"],
        &["--timeout", "0"],
        &["--machine", "microvm"],
        &["--machine", "bochs", "--boot", "direct"],
        &["--machine", "bochs", "--memory", "4G"],
        &["--append", "a'b"],
        &["--append", "exec=\"unclosed"],
        &["--init", "/nonexistent/init"],
        &["--module", "/nonexistent/module=x"],
        &["--module", "/dev/null=init"],
        &["stray"],
        &["image"],
    ] {
        let ran = run(words);
        assert_eq!(ran.status, 2, "{words:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{words:?}: {ran:?}");
        let said = ran.stderr.lines().filter(|line| !support::is_progress(line)).count();
        assert_eq!(said, 1, "{words:?}: {ran:?}");
    }
}

#[test]
fn a_missing_qemu_on_a_machine_without_apt_is_one_line_and_status_2() {
    let empty = tempfile::tempdir().unwrap();
    let output = xtask().args(DIRECT).env("PATH", empty.path()).output().unwrap();
    let ran = Ran::from(output);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stderr.contains("qemu-system-x86_64: not found"), "{ran:?}");
}

#[test]
fn a_wrong_toolchain_is_one_line_and_status_2() {
    let output = xtask().args(DIRECT).env("ORBITAL_TOOLCHAIN", "/nonexistent").output().unwrap();
    let ran = Ran::from(output);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stderr.contains("ORBITAL_TOOLCHAIN=/nonexistent"), "{ran:?}");
}

#[test]
fn help_is_no_error() {
    for words in [&["--help"][..], &["run", "--help"], &["build", "--help"], &["--version"]] {
        assert_eq!(run(words).status, 0, "{words:?}");
    }
}

#[test]
fn a_hostile_init_is_one_line_that_says_why_and_status_1() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file, why) in elf::hostile() {
        let path = folder.path().join(name);
        fs::write(&path, file).unwrap();
        let ran = direct(&["--init", path.to_str().unwrap()]);
        assert_eq!(ran.status, 1, "{name}: {ran:?}");
        let lines: Vec<_> =
            ran.stdout.lines().filter(|line| line.contains("can't be started")).collect();
        assert_eq!(lines.len(), 1, "{name}: {ran:?}");
        assert!(lines[0].contains(why), "{name}: {ran:?}");
        assert!(!ran.stdout.contains("panicked"), "{name}: {ran:?}");
    }
}

#[test]
fn another_init_runs_in_place_of_the_projects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other");
    // It ends itself with code 5, which is not what an init should do.
    fs::write(&path, elf::exits_with(5)).unwrap();
    let ran = direct(&["--init", path.to_str().unwrap()]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stdout.contains("ERROR init: exited with code 5"), "{ran:?}");
}

#[test]
fn a_panic_is_status_3_with_thread_syscall_and_names() {
    let ran = direct(&["--append", "test=panic"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    for part in ["panicked at kernel/src/self_test.rs", "thread: ", "syscall: ", "kernel_main"] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn a_hang_is_status_4_after_the_last_lines() {
    let ran = direct(&["--append", "test=hang", "--timeout", "5"]);
    assert_eq!(ran.status, 4, "{ran:?}");
    assert!(ran.stderr.contains("| Orbital kernel starting..."), "{ran:?}");
    assert!(ran.stderr.contains("the time is up"), "{ran:?}");
}

#[test]
fn a_triple_fault_is_status_3() {
    let ran = direct(&["--append", "test=reset"]);
    assert_eq!(ran.status, 3, "{ran:?}");
}

#[test]
fn log_levels_are_set_by_module() {
    let loud = direct(&["--append", "log=debug"]).stdout;
    let one = direct(&["--append", "log=off,init=info"]).stdout;
    assert!(loud.lines().count() > one.lines().count());
    let modules_are = |text: &str, module: &str| {
        text.lines().skip(1).all(|line| line.contains(&format!(" {module}: ")))
    };
    assert!(modules_are(&one, "init"), "{one}");
}

#[test]
fn counted_instructions_make_every_run_the_same() {
    let one = direct(&["--icount"]);
    let other = direct(&["--icount"]);
    assert_eq!((one.status, other.status), (0, 0), "{one:?}");
    assert_eq!(one.stdout, other.stdout);
}

#[test]
fn no_machine_outlives_a_killed_command() {
    let mut command = xtask();
    command.args(DIRECT).args(["--append", "test=hang"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    // The first line tells that the machine runs.
    support::wait_for_line(child.stdout.take().unwrap(), "Orbital kernel starting...");
    let machines = support::children_of(child.id());
    assert_eq!(machines.len(), 1, "{machines:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    support::wait_for_end(machines[0]);
}

#[test]
fn an_interrupt_is_status_130() {
    let mut command = xtask();
    command.args(DIRECT).args(["--append", "test=hang"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    support::wait_for_line(child.stdout.take().unwrap(), "Orbital kernel starting...");
    support::interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
