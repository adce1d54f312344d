//! What a thread that waits lends ([`thread::lending`](crate::thread)), when its priority has changed: to whoever has to
//! answer it, or by its place in a queue.

use super::{
    Endpoint, Notification,
    fault::Handled,
    waiting::{Waiting, WaitingUntil, Waits},
};
use crate::thread::{Current, Outcome};

/// Called when the priority of a thread of this CPU, which is blocked, has changed.
#[unsafe(no_mangle)]
fn orbital_thread_reprioritized(thread: &Current) {
    if thread.lend_otherwise() {
        return;
    }
    stand_anew::<Waiting<Endpoint>>(thread);
    stand_anew::<WaitingUntil<Endpoint>>(thread);
    stand_anew::<Handled>(thread);
    stand_anew::<Waiting<Notification>>(thread);
    stand_anew::<WaitingUntil<Notification>>(thread);
}

fn stand_anew<F: Waits + Future<Output = Outcome> + 'static>(thread: &Current) {
    thread.with_operation(F::stand_anew);
}
