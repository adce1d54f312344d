//! Signals that tasks wait for: bits of their executor's notification.
#![forbid(unsafe_code)]

use core::{marker::PhantomData, task::Poll};

use orbital_abi::{Error, Rights};

use super::{executor::local, signals::SIGNALS};
use crate::notification::Notification;

/// A signal that tasks of the calling thread can wait for: one bit of its executor's notification. Given free when it is
/// dropped.
pub struct Signal {
    bit: u64,
    notification: Notification,
    /// It is its thread's.
    _not_send: PhantomData<*mut ()>,
}

impl Signal {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::NoRoom`] where the thread has 63 already; those of a copy of a capability.
    pub fn new() -> Result<Self, Error> {
        SIGNALS.with(|signals| {
            let used = signals.used.get();
            let bit = 1_u64.checked_shl(used.trailing_ones()).ok_or(Error::NoRoom)?;
            let notification = local().notification.copy(Rights::SEND | Rights::GRANT, bit)?;
            signals.used.set(used | bit);
            signals.came.set(signals.came.get() & !bit);
            Ok(Self { bit, notification, _not_send: PhantomData })
        })
    }

    /// The capability by which it is signalled, and nothing else: for a timer, an interrupt, or another process.
    pub fn notification(&self) -> &Notification {
        &self.notification
    }

    /// Its bit there.
    pub fn bit(&self) -> u64 {
        self.bit
    }

    /// Waits until it is signalled; signals that came since the last time are one.
    pub async fn wait(&mut self) {
        core::future::poll_fn(|context| {
            SIGNALS.with(|signals| {
                signals.forget(self.bit);
                let came = signals.came.get();
                if came & self.bit != 0 {
                    signals.came.set(came & !self.bit);
                    return Poll::Ready(());
                }
                signals.waiting.borrow_mut().push((self.bit, context.waker().clone()));
                Poll::Pending
            })
        })
        .await;
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        SIGNALS.with(|signals| {
            signals.forget(self.bit);
            signals.used.set(signals.used.get() & !self.bit);
        });
    }
}
