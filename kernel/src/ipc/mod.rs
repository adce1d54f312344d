//! Messages between threads.

pub mod endpoint;
pub mod reply;
mod transfer;
mod waiting;

#[cfg(test)]
mod tests;

pub use endpoint::Endpoint;

/// Starts message passing: nothing to set up yet but the log's line.
pub fn init() {
    log::debug!("messages of up to {} words", orbital_abi::message::REGISTER_WORDS);
}
