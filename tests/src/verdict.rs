//! What a case's log and its machine's end mean together.

use std::fmt;

use xtask::machine::{
    Ending,
    ending::{VERDICT_FAILURE, VERDICT_PANIC, VERDICT_SUCCESS},
};

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Pass,
    /// It found something wrong.
    Fail(String),
    /// The kernel panicked.
    Panic(String),
    /// The program did something that the machine refused.
    Fault(String),
    /// It did not end in time.
    TimeOut,
    /// The machine was reset or ended without a verdict.
    Reset,
    /// The user has enough.
    Interrupted,
}

impl Verdict {
    /// The verdict on `case`, from its log and the machine's end.
    pub fn of(case: &str, log: &str, ending: Ending) -> Self {
        let line = |pattern: &str| {
            let line = log.lines().rfind(|line| line.contains(pattern))?;
            Some(line.trim_end().to_owned())
        };
        match ending {
            Ending::TimedOut => Self::TimeOut,
            Ending::Interrupted => Self::Interrupted,
            Ending::NoVerdict => Self::Reset,
            Ending::Verdict(VERDICT_PANIC) => Self::Panic(line("panicked at").unwrap_or_default()),
            Ending::Verdict(VERDICT_SUCCESS) => {
                match (line(&format!("test {case}: fail")), line(&format!("test {case}: pass"))) {
                    (None, Some(_)) => Self::Pass,
                    (Some(line), _) => Self::Fail(line),
                    (None, None) => Self::Fail("it ended without a result".to_owned()),
                }
            }
            Ending::Verdict(VERDICT_FAILURE) => {
                if let Some(line) = line("ERROR init: faulted") {
                    return Self::Fault(line);
                }
                let said = line(&format!("test {case}: fail")).or_else(|| line("panicked at"));
                Self::Fail(said.or_else(|| line("ERROR")).unwrap_or_default())
            }
            Ending::Verdict(other) => Self::Fail(format!("unknown verdict {other:#x}")),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Fail(why) => write!(f, "fail: {why}"),
            Self::Panic(why) => write!(f, "panic: {why}"),
            Self::Fault(why) => write!(f, "fault: {why}"),
            Self::TimeOut => f.write_str("time-out"),
            Self::Reset => f.write_str("reset, or an end without a verdict"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUCCESS: Ending = Ending::Verdict(VERDICT_SUCCESS);
    const FAILURE: Ending = Ending::Verdict(VERDICT_FAILURE);

    #[test]
    fn a_pass_needs_the_line_and_the_verdict() {
        let log = "test a: start\r\ntest a: pass\r\n";
        assert_eq!(Verdict::of("a", log, SUCCESS), Verdict::Pass);
        assert_ne!(Verdict::of("b", log, SUCCESS), Verdict::Pass);
        assert_ne!(Verdict::of("a", "", SUCCESS), Verdict::Pass);
        for ending in [FAILURE, Ending::NoVerdict, Ending::TimedOut, Ending::Verdict(0x7f)] {
            assert_ne!(Verdict::of("a", log, ending), Verdict::Pass, "{ending:?}");
        }
        let both = "test a: fail: x\ntest a: pass\n";
        assert!(matches!(Verdict::of("a", both, SUCCESS), Verdict::Fail(_)));
    }

    #[test]
    fn kinds_of_failure_are_told_apart() {
        let panicked = "cpu0 panicked at kernel/src/x.rs:1:1\n";
        let kernel = Verdict::of("a", panicked, Ending::Verdict(VERDICT_PANIC));
        assert!(matches!(kernel, Verdict::Panic(line) if line.contains("x.rs")));
        let faulted = "[    0.1] cpu0 ERROR init: faulted: read refused at 0x1, address 0x2\n";
        assert!(matches!(Verdict::of("a", faulted, FAILURE), Verdict::Fault(_)));
        assert!(matches!(Verdict::of("a", panicked, FAILURE), Verdict::Fail(_)));
        assert_eq!(Verdict::of("a", "", Ending::TimedOut), Verdict::TimeOut);
        assert_eq!(Verdict::of("a", "", Ending::NoVerdict), Verdict::Reset);
    }
}
