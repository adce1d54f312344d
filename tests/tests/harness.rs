//! The harness itself: each kind of failure is caught and told apart from the others. Boots the suite
//! whose cases fail on purpose.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use orbital_tests::{Guest, Report, Suites, Verdict, slots::Slots};

/// Long enough to boot on a busy host; what hangs is waited for that long.
const PATIENCE: u64 = 10;

fn suites() -> &'static Suites {
    static SUITES: OnceLock<Suites> = OnceLock::new();
    SUITES.get_or_init(|| Suites::build().expect("the suites"))
}

fn run(case: &'static str, with: impl FnOnce(Guest<'static>) -> Guest<'static>) -> Report {
    static SLOTS: OnceLock<Slots> = OnceLock::new();
    let slots = SLOTS.get_or_init(|| Slots::new(2));
    let guest = Guest::user(&suites().kernel, &suites().faulty, case);
    with(guest).run(slots).expect("a machine")
}

fn plain(case: &'static str) -> Verdict {
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
