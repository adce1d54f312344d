//! Devices' interrupts: each line signals a notification, from within the handler, and waits until that was
//! acknowledged.
//!
//! The handler notes, signals, and wakes: what it takes is bounded and needs no memory. The CPU that has bound a line
//! takes its interrupts, wherever the driver's thread runs later; so who binds in the driver's own thread has
//! both on one CPU as long as that stays there.

pub mod interrupt;
mod line;
#[cfg(test)]
mod tests;

pub use interrupt::Interrupt;
pub use line::{strays, unbind_revoked};

use crate::{arch::lines, ipc::Notification, log_listener};

/// The device on `line` wants something. With no lock held, with or without a current thread.
pub fn came(line: u8) {
    line::came(line);
    lines::taken(line);
}

/// Called when the last capability to a notification is gone that lines, or the log, were bound to.
#[unsafe(no_mangle)]
fn orbital_notification_gone(notification: &Notification) {
    line::unbind_from(notification, |_| true);
    log_listener::unbind_from(notification);
}
