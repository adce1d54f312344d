//! What is bound to a thread: an endpoint, at which nobody else receives then, and a notification, whose signals end
//! its receives. A thread has at most one of each, and each at most one thread. Both sides know: the thread among its
//! [ties](crate::thread::Ties), the object in its state. The end of either unbinds, and so does a revoke of the capability by
//! which the object was bound.

use orbital_abi::Error;

use super::{Endpoint, Notification, deadlock::Waits};
use crate::{
    capability::Kept,
    object::{Paid, Ref},
    thread::{Tcb, ThreadId, Ties},
};

/// Binds `endpoint` to `thread`, or to nobody. A revoke of the capability by which that is done finds it by `kept`.
///
/// # Errors
/// [`Error::Ended`]; [`Error::EndpointGone`]; [`Error::AlreadyBound`] where one of both is bound, or another thread
/// waits to receive.
pub fn bind_endpoint(
    endpoint: &Ref<Endpoint>,
    thread: Option<&Ref<Tcb>>,
    kept: Option<Paid<Kept>>,
) -> Result<(), Error> {
    let Some(thread) = thread else {
        endpoint.unbind();
        return Ok(());
    };
    thread.with_ties(|ties| {
        if ties.endpoint.is_some() {
            return Err(Error::AlreadyBound);
        }
        endpoint.bind(thread, kept)?;
        ties.endpoint = Some(endpoint.clone().erase());
        Ok(())
    })?
}

/// Binds `notification` to `thread`, or to nobody: the thread's receives that begin from here on end by a signal, too.
/// A revoke of the capability by which that is done finds it by `kept`.
///
/// # Errors
/// [`Error::Ended`]; [`Error::NotificationGone`]; [`Error::AlreadyBound`] where one of both is bound.
pub fn bind_notification(
    notification: &Ref<Notification>,
    thread: Option<&Ref<Tcb>>,
    kept: Option<Paid<Kept>>,
) -> Result<(), Error> {
    let Some(thread) = thread else {
        notification.unbind();
        return Ok(());
    };
    thread.with_ties(|ties| {
        if ties.notification.is_some() {
            return Err(Error::AlreadyBound);
        }
        notification.bind(thread, kept)?;
        ties.notification = Some(notification.clone().erase());
        Ok(())
    })?
}

/// The thread for which another one waits, with a call that it has taken or is alone to take.
pub fn waits_for(thread: &Tcb) -> Option<ThreadId> {
    Waits::lock().next(thread, Endpoint::bound_to).map(|(_, thread)| thread.id)
}

/// Unbinds what was bound to a thread that has ended. What it has left of signals goes to someone else.
#[unsafe(no_mangle)]
fn orbital_thread_unbound(thread: &Tcb, ties: &Ties) {
    if let Some(Ok(endpoint)) = ties.endpoint.as_ref().map(|bound| bound.get::<Endpoint>()) {
        endpoint.unbind_from(thread);
    }
    if let Some(Ok(notification)) =
        ties.notification.as_ref().map(|bound| bound.get::<Notification>())
    {
        notification.unbind_from(thread);
    }
}
