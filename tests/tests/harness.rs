//! The harness itself: each kind of failure is caught and told apart from the others. Boots the suite
//! whose cases fail on purpose.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use orbital_tests::{
    Environment, Guest, Report, Suites, Verdict, slots::Slots, suites::Case, wants::Wants,
};

/// Long enough to boot on a busy host; what hangs is waited for that long.
const PATIENCE: u64 = 10;

fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        // Seconds of patience and the wait for a hang are about the usual machine.
        Environment { machine: None, ..Environment::read().expect("the environment") }
    })
}

fn suites() -> &'static Suites {
    static SUITES: OnceLock<Suites> = OnceLock::new();
    SUITES.get_or_init(|| Suites::build().expect("the suites"))
}

/// The machines for the case `name`, with what it wants where the suite has no such case.
fn guests(name: &str, environment: &Environment) -> Vec<Guest> {
    let Suites { kernel, faulty, .. } = suites();
    let unknown = || Case { name: name.to_owned(), wants: Wants::default() };
    let case = faulty.cases.iter().find(|case| case.name == name).cloned();
    Guest::user(kernel, faulty, &case.unwrap_or_else(unknown), environment).collect()
}

fn run(case: &str, with: impl FnOnce(Guest) -> Guest) -> Report {
    boot(with(guests(case, environment()).remove(0)))
}

fn boot(guest: Guest) -> Report {
    static SLOTS: OnceLock<Slots> = OnceLock::new();
    guest.run(SLOTS.get_or_init(|| Slots::new(2))).expect("a machine")
}

fn plain(case: &str) -> Verdict {
    run(case, |guest| guest).verdict
}

#[test]
fn a_pass_is_a_pass_and_its_log_is_kept() {
    let report = run("passes", |guest| guest);
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.log);
    assert!(report.log.starts_with("Orbital kernel starting..."), "{}", report.log);
    assert_eq!(std::fs::read_to_string(report.file).unwrap(), report.log);
}

#[test]
fn a_failed_assertion_is_a_failure_with_its_place() {
    let Verdict::Fail(why) = plain("fails") else { panic!("not a failure") };
    assert!(why.contains("panicked at") && why.contains("faulty.rs"), "{why}");
}

#[test]
fn a_case_that_says_so_fails() {
    let Verdict::Fail(why) = plain("says_fail") else { panic!("not a failure") };
    assert!(why.contains("for a reason of its own"), "{why}");
}

#[test]
fn an_end_without_a_result_is_a_failure() {
    assert!(matches!(plain("powers_off_early"), Verdict::Fail(_)));
    assert!(matches!(plain("exits_early"), Verdict::Fail(_)));
}

#[test]
fn a_case_that_is_not_there_is_a_failure() {
    assert!(matches!(plain("nonsense"), Verdict::Fail(_)));
}

#[test]
fn a_fault_is_a_fault() {
    let Verdict::Fault(why) = plain("faults") else { panic!("not a fault") };
    assert!(why.contains("read refused") && why.contains("0x100000"), "{why}");
}

/// A program that has floating-point registers ends with a number in its last words.
#[test]
fn what_a_program_says_at_its_end_is_in_the_log() {
    let guests = suites().plan(environment());
    let name = "guest::floats::a_panic_says_a_number";
    let guest = guests.into_iter().find(|guest| guest.name == name).expect("the case");
    let report = boot(guest);
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.log);
    let is_there =
        |line: &str| line.contains("user.panics: ") && line.ends_with("0.30000000000000004");
    assert!(report.log.lines().any(is_there), "{}", report.log);
}

#[test]
fn a_hang_is_a_time_out() {
    for case in ["hangs", "spins"] {
        let report = run(case, |guest| guest.timeout(PATIENCE));
        assert_eq!(report.verdict, Verdict::TimeOut, "{}", report.log);
        assert!(report.tail().contains(&format!("test {case}: start")), "{}", report.log);
    }
}

#[test]
fn a_kernel_panic_is_a_panic_with_names() {
    let report = run("passes", |guest| guest.append("test=panic"));
    let Verdict::Panic(why) = &report.verdict else { panic!("not a panic: {}", report.log) };
    assert!(why.contains("self_test.rs"), "{why}");
    assert!(report.log.contains("kernel::self_test::panic_on_purpose"), "{}", report.log);
    assert!(report.log.contains("kernel_main"), "{}", report.log);
}

#[test]
fn a_kernel_hang_is_a_time_out() {
    let report = run("passes", |guest| guest.append("test=hang").timeout(PATIENCE));
    assert_eq!(report.verdict, Verdict::TimeOut);
}

#[test]
fn a_reset_is_a_reset() {
    let report = run("passes", |guest| guest.append("test=reset"));
    assert_eq!(report.verdict, Verdict::Reset, "{}", report.log);
}

#[test]
fn a_case_gets_the_machines_that_it_wants() {
    let long = Environment { is_soak: true, seed: Some(7), ..Environment::default() };
    let guests = guests("tells_its_machine", &long);
    let name = "guest::faulty::tells_its_machine";
    let names: Vec<_> = guests.iter().map(|guest| guest.name.clone()).collect();
    assert_eq!(names, [format!("{name}::cpus2"), format!("{name}::cpus3")]);
    let reports: Vec<_> = guests.into_iter().map(boot).collect();
    assert_ne!(reports[0].file, reports[1].file);
    for (report, cpus) in reports.iter().zip([2, 3]) {
        let log = &report.log;
        assert_eq!(report.verdict, Verdict::Pass, "{log}");
        assert_eq!(log.matches(" online").count(), cpus, "{log}");
        for said in ["init: count 10", "init: seed 7"] {
            assert!(log.lines().any(|line| line.ends_with(said)), "{log}");
        }
    }
}

#[test]
fn counted_instructions_make_every_run_the_same() {
    let [one, other] = [(); 2].map(|()| run("spins_a_while", |guest| guest));
    assert_eq!((one.verdict, &one.log), (Verdict::Pass, &other.log));
}
