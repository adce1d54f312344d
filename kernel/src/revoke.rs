//! A revoke from its beginning to its end, as a future: for the system call, and for the reaper where its thread was
//! killed.
//!
//! ```text
//!                      1            2          3
//!   entries, mappings ───► lookups ───► waits ───► over
//! ```
//! 1. All entries are killed ([`capability::revoke`](crate::capability::revoke)): no lookup finds one. What was mapped
//! through one is unmapped as it is met among them: no CPU reaches it. 2. Every
//! CPU has been in its dispatcher since: a system call that had looked one up before has come to its end, or
//! waits. 3. Who waits is told [`Error::Revoked`](orbital_abi::Error::Revoked). A call that was taken before is
//! answered. What was bound through one is free, lines of devices and the log too. A fault handler that was set by one, and a timer that signals through one,
//! find by themselves that it is gone ([`Kept`](crate::capability::Kept)).
#![forbid(unsafe_code)]

use orbital_executor::yield_now;

use crate::{
    capability::revoke::{Revoking, Step},
    ipc::{Endpoint, Notification},
    irq, log_listener,
    object::AnyRef,
    process::Process,
    thread::Tcb,
    vm::{self, shootdown},
};

/// Goes on with a revoke until nothing is begun through any capability that it has killed, and nothing is mapped that was
/// through one.
pub async fn finish(revoking: &mut Revoking) {
    loop {
        let step = revoking.step();
        // Neither borrowed nor taken apart, so that a thread's slot has room for this.
        if matches!(step, Step::Over) {
            break;
        }
        let Some(made) = step.made() else {
            yield_now().await;
            continue;
        };
        vm::disown(made).await;
        yield_now().await;
    }
    shootdown::grace_period().await;
    end_waits(revoking.object()).await;
    revoking.end();
}

/// Ends the waits of those who wait at or for `object` by capabilities that are gone, and its binding by such a one. All others
/// who wait at it are seen.
pub async fn end_waits(object: &AnyRef) {
    if let Ok(endpoint) = object.get::<Endpoint>() {
        endpoint.unbind_revoked();
        endpoint.sweep().await;
    } else if let Ok(notification) = object.get::<Notification>() {
        notification.unbind_revoked();
        if notification.is_source() {
            irq::unbind_revoked(notification);
            log_listener::unbind_revoked(notification);
        }
        notification.sweep().await;
    } else {
        tell_who_waits_for(object);
    }
}

/// A capability to `object` is gone: who waits for the end of that looks whether it came by this one.
pub fn tell_who_waits_for(object: &AnyRef) {
    // With the last one it ends, and tells them then.
    if !object.header().has_capabilities() {
        return;
    }
    if let Ok(thread) = object.get::<Tcb>() {
        thread.wake_waiters();
    } else if let Ok(process) = object.get::<Process>() {
        process.wake_waiters();
    }
}
