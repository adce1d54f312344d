//! Messages between threads, and signals.

pub mod binding;
mod deadlock;
mod ending;
pub mod endpoint;
mod fast_path;
pub mod fault;
mod flow;
mod lending;
pub mod notification;
pub mod receive;
pub mod reply;
mod source;
mod sweep;
pub mod timer;
pub mod transfer;
mod waiting;

#[cfg(test)]
mod tests;

use orbital_abi::Error;

use crate::{boot::CommandLine, sched, trace};

pub use endpoint::Endpoint;
pub use fast_path::{
    Request, bare_call_at_once, bare_reply_receive_at_once, call_at_once, fault_at_once,
    long_call_at_once, long_reply_receive_at_once, reply_receive_at_once,
};
pub use notification::Notification;
pub use reply::Reply;
pub use source::Binding;
pub use timer::Timer;

/// Starts message passing. `fast_path=off` on the command line lets all messages go through futures and the run
/// queue, `short_cuts=off` lets every entry go the general way, through the whole dispatcher too,
/// and so does `trace=ipc`, as short cuts leave no events.
pub fn init(command_line: &CommandLine) {
    let is_off = |word| command_line.get(word) == Some("off");
    let has_short_cuts = !is_off("short_cuts") && !trace::is_detailed();
    let has_fast_path = !is_off("fast_path") && has_short_cuts;
    if !has_short_cuts {
        sched::set_short_cuts(false);
    } else if !has_fast_path {
        sched::switch_fast_path_off();
    }
    let path = if has_fast_path { "with a fast path" } else { "the general path alone" };
    log::debug!("messages of up to {} words, {path}", orbital_abi::message::MAX_WORDS);
}

/// Starts the kernel's tasks that end endpoints and notifications, on this CPU.
///
/// # Errors
/// [`Error::QuotaExceeded`] without memory.
pub fn start_tasks() -> Result<(), Error> {
    // Nobody waits for them yet.
    endpoint::ENDINGS.set_task(sched::spawn(0, endpoint::ENDINGS.run())?);
    notification::ENDINGS.set_task(sched::spawn(0, notification::ENDINGS.run())?);
    Ok(())
}
