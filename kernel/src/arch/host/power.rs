//! Ending the machine, and telling its owner how.
#![forbid(unsafe_code)]

use super::Stop;

/// Init did what it should.
pub const VERDICT_SUCCESS: u8 = 0x10;
/// Init could not be loaded, or ended otherwise.
pub const VERDICT_FAILURE: u8 = 0x11;
/// The kernel panicked.
pub const VERDICT_PANIC: u8 = 0x12;

/// Powers off with this verdict.
pub fn off(verdict: u8) -> ! {
    Stop::Off(verdict).raise()
}

/// Starts the machine anew.
pub fn reset() -> ! {
    Stop::Reset.raise()
}
