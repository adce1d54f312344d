//! Who is told of new lines of the log.
//!
//! A line may be written anywhere, under any lock: so it does not signal by itself, but has a
//! [deferred](crate::log::Deferred) source do so, in the task that writes deferred lines. That source logs nothing. So what it
//! takes is one wake however many lines there are, and a line that a signal leads to is one signal more, at a time when
//! the first has been given.
//!
//! **No line is missed.** The line is in the log before the source is asked, and the source is open again before it signals. So
//! who reads up to the end, and then waits, is woken by whatever came meanwhile.
//!
//! **Ends.** The binding goes when another one takes its place, when the notification ends, and when the capability
//! is revoked through which it was bound: from then on it signals no more.
#![forbid(unsafe_code)]

use orbital_abi::Error;
use spin::Mutex;

use crate::{
    ipc::{Binding, Notification},
    log::{self, Deferred},
};

static BOUND: Mutex<Option<Binding>> = Mutex::new(None);
static NEWS: Deferred = Deferred::new(signal);

/// Lets new lines signal as `binding` says from here on, or nobody, in place of what was before.
///
/// # Errors
/// [`Error::NotificationGone`]; [`Error::Revoked`] when the capability to the notification was.
pub fn bind(binding: Option<Binding>) -> Result<(), Error> {
    if let Some(binding) = &binding {
        binding.notification.set_source();
    }
    let mut bound = BOUND.lock();
    // Under the lock: who revokes or ends it later comes here afterwards.
    binding.as_ref().map_or(Ok(()), Binding::check)?;
    log::tell(&NEWS, binding.is_some());
    let before = core::mem::replace(&mut *bound, binding);
    drop(bound);
    drop(before);
    Ok(())
}

/// There are new lines.
fn signal() {
    let mut bound = BOUND.lock();
    match bound.as_ref().map(Binding::post) {
        Some(Ok(posted)) => {
            drop(bound);
            posted.deliver();
        }
        Some(Err(_)) => {
            let left = take(&mut bound);
            drop(bound);
            drop(left);
        }
        None => {}
    }
}

fn take(bound: &mut Option<Binding>) -> Option<Binding> {
    log::tell(&NEWS, false);
    bound.take()
}

/// Lets go of what is bound: where it is `notification`, and `is_meant`.
fn unbind_if(notification: &Notification, is_meant: impl Fn(&Binding) -> bool) {
    let mut bound = BOUND.lock();
    let is_this = |binding: &Binding| binding.notification.is(notification) && is_meant(binding);
    let left = if bound.as_ref().is_some_and(is_this) { take(&mut bound) } else { None };
    drop(bound);
    drop(left);
}

/// `notification` has ended.
pub fn unbind_from(notification: &Notification) {
    unbind_if(notification, |_| true);
}

/// The same where it was bound through a capability that was revoked since.
pub fn unbind_revoked(notification: &Notification) {
    unbind_if(notification, Binding::is_revoked);
}
