//! How a machine came to its end.
#![forbid(unsafe_code)]

use crate::Status;

/// Init did what it should (the kernel's `arch/x86_64/power.rs` has the other side).
pub const VERDICT_SUCCESS: u8 = 0x10;
/// Init could not be loaded, or ended otherwise.
pub const VERDICT_FAILURE: u8 = 0x11;
/// The kernel panicked.
pub const VERDICT_PANIC: u8 = 0x12;

/// How a machine came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The kernel said how it went.
    Verdict(u8),
    /// It was reset, or ended without a verdict.
    NoVerdict,
    /// The time was up.
    TimedOut,
    /// The user ended it.
    Interrupted,
}

impl Ending {
    /// The ending that the exit status of QEMU's process tells: its debug-exit device turns the
    /// value `v` into `2v + 1`. Values below 0x10 could also be QEMU's own.
    pub fn from_exit_status(status: Option<i32>) -> Self {
        match status.map(u8::try_from) {
            Some(Ok(status)) if status & 1 == 1 && status >> 1 >= VERDICT_SUCCESS => {
                Self::Verdict(status >> 1)
            }
            _ => Self::NoVerdict,
        }
    }

    /// The ending that the kernel's last line tells, where no device carries the verdict. A program
    /// can write what it likes, but not before its module.
    pub fn from_last_line(line: &str) -> Self {
        let said = line.split_once("] cpu").map_or("", |(_, rest)| rest);
        let said = said.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = said.strip_prefix(" INFO  power: off, verdict 0x").map(str::trim);
        match digits.map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(verdict)) => Self::Verdict(verdict),
            _ => Self::NoVerdict,
        }
    }

    /// The exit status that stands for it.
    pub fn status(self) -> Status {
        match self {
            Self::Verdict(VERDICT_SUCCESS) => Status::Success,
            Self::Verdict(VERDICT_FAILURE) => Status::InitFailed,
            Self::Verdict(_) | Self::NoVerdict => Status::Crashed,
            Self::TimedOut => Status::TimedOut,
            Self::Interrupted => Status::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_is_success() {
        let status = |status| Ending::from_exit_status(status).status();
        assert_eq!(status(Some(0x21)), Status::Success);
        assert_eq!(status(Some(0x23)), Status::InitFailed);
        assert_eq!(status(Some(0x25)), Status::Crashed);
        for other in [Some(0), Some(1), Some(0x20), Some(0x1f), Some(-1), Some(1000), None] {
            assert_eq!(status(other), Status::Crashed, "{other:?}");
        }
    }

    #[test]
    fn a_last_line_can_carry_the_verdict() {
        let line = "[    1.000000] cpu0 INFO  power: off, verdict 0x10\r";
        assert_eq!(Ending::from_last_line(line), Ending::Verdict(0x10));
        assert_eq!(Ending::from_last_line("power: off, verdict 0xzz"), Ending::NoVerdict);
        assert_eq!(Ending::from_last_line(""), Ending::NoVerdict);
        let forged = "[    1.0] cpu0 INFO  user.x: ] cpu0 INFO  power: off, verdict 0x10";
        assert_eq!(Ending::from_last_line(forged), Ending::NoVerdict);
    }
}
