//! Deliberate failures, for those who test what happens then: `test=panic|hang|reset` on the
//! command line of a debug build.
#![forbid(unsafe_code)]

use crate::{
    arch::{idle, power},
    boot::CommandLine,
};

/// Fails as the command line says, if it does.
pub fn run(command_line: &CommandLine) {
    if !cfg!(debug_assertions) {
        return;
    }
    match command_line.get("test") {
        Some("panic") => panic_on_purpose(),
        Some("hang") => idle::stop(),
        Some("reset") => power::reset(),
        Some(other) => log::warn!("test={other}: there is no such test"),
        None => {}
    }
}

#[inline(never)]
fn panic_on_purpose() -> ! {
    panic!("as the command line wanted")
}
