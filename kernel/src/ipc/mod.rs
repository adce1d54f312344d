//! Messages between threads, and signals.

pub mod binding;
mod deadlock;
pub mod endpoint;
mod fast_path;
pub mod fault;
pub mod notification;
pub mod receive;
pub mod reply;
mod sweep;
pub mod timer;
pub mod transfer;
mod waiting;

#[cfg(test)]
mod tests;

use crate::{boot::CommandLine, sched};

pub use endpoint::Endpoint;
pub use fast_path::{Request, call_at_once, fault_at_once, reply_receive_at_once};
pub use notification::Notification;
pub use reply::Reply;
pub use timer::Timer;

/// Starts message passing: `fast_path=off` on the command line lets all messages go the general way.
pub fn init(command_line: &CommandLine) {
    let is_off = command_line.get("fast_path") == Some("off");
    sched::set_short_cuts(!is_off);
    let path = if is_off { "the general path alone" } else { "with a fast path" };
    log::debug!("messages of up to {} words, {path}", orbital_abi::message::MAX_WORDS);
}
