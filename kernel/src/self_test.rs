//! Deliberate failures, for those who test what happens then: `test=panic|hang|reset` on the
//! command line of a debug build. And a storm of non-maskable interrupts: `test=nmi`, with `nmi=` for
//! the ticks of the interval timer from one to the next.
#![forbid(unsafe_code)]

use crate::{
    arch::{idle, nmi, power},
    boot::CommandLine,
};

/// About 200 microseconds.
const NMI_TICKS: u16 = 240;

/// Fails as the command line says, if it does.
pub fn run(command_line: &CommandLine) {
    if !cfg!(debug_assertions) {
        return;
    }
    match command_line.get("test") {
        Some("panic") => panic_on_purpose(),
        Some("hang") => idle::stop(),
        Some("reset") => power::reset(),
        Some("nmi") => {
            let ticks = command_line.get("nmi").and_then(|ticks| ticks.parse().ok());
            nmi::start_storm(ticks.unwrap_or(NMI_TICKS).max(2));
        }
        Some(other) => log::warn!("test={other}: there is no such test"),
        None => {}
    }
}

#[inline(never)]
fn panic_on_purpose() -> ! {
    panic!("as the command line wanted")
}
