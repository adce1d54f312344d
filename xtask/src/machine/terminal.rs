//! The user's terminal, which QEMU sets to its own liking and can't always set back.
#![forbid(unsafe_code)]

use std::io::stdin;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// The terminal's settings; set again on drop.
pub struct Restore(Option<Termios>);

impl Restore {
    /// Remembers the settings, if stdin is a terminal.
    pub fn later() -> Self {
        Self(tcgetattr(stdin()).ok())
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // The terminal may be gone by now.
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, settings);
        }
    }
}
