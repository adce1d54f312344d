//! Messages between threads, and signals.

pub mod endpoint;
mod fast_path;
pub mod fault;
pub mod notification;
pub mod reply;
pub mod timer;
mod transfer;
mod waiting;

#[cfg(test)]
mod tests;

pub use endpoint::Endpoint;
pub use fast_path::{fault_at_once, message_at_once};
pub use notification::Notification;
pub use timer::Timer;

/// Starts message passing: nothing to set up yet but the log's line.
pub fn init() {
    log::debug!("messages of up to {} words", orbital_abi::message::REGISTER_WORDS);
}
