//! The end of a process, for those who wait for it.
#![forbid(unsafe_code)]

use orbital_abi::ExitReason;
use orbital_executor::wait_queue::WaitUntil;

use super::{Process, State};

impl Process {
    /// Why it ended, once it has and everything is given back.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        match self.life.lock().state {
            State::Ended(reason) => Some(reason),
            _ => None,
        }
    }

    /// Waits until it has ended and everything is given back.
    pub async fn wait(&self) -> ExitReason {
        let mut reason = None;
        self.wait_until(|| {
            reason = self.exit_reason();
            reason.is_some()
        })
        .await;
        reason.unwrap_or(ExitReason::Killed)
    }

    /// Waits until `condition` holds, which is looked at before, at its end, and whenever
    /// [`Process::wake_waiters`] is called.
    pub fn wait_until<C: FnMut() -> bool>(&self, condition: C) -> WaitUntil<'_, C> {
        self.ended.wait_until(condition)
    }

    /// Lets all who wait look at their condition.
    pub fn wake_waiters(&self) {
        self.ended.wake_all();
    }
}
