//! Messages between threads, and signals.

pub mod endpoint;
pub mod fault;
pub mod notification;
pub mod reply;
pub mod timer;
mod transfer;
mod waiting;

#[cfg(test)]
mod tests;

pub use endpoint::Endpoint;
pub use notification::Notification;
pub use timer::Timer;

/// Starts message passing: nothing to set up yet but the log's line.
pub fn init() {
    log::debug!("messages of up to {} words", orbital_abi::message::REGISTER_WORDS);
}
