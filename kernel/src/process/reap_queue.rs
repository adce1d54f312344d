//! The processes that the reaper shall look at: an intrusive list, so that ending one takes no
//! memory and can't fail. A process is in it at most once.
#![forbid(unsafe_code)]

use core::{future::poll_fn, task::Poll};

use futures_util::task::AtomicWaker;
use spin::Mutex;

use super::Process;
use crate::object::Ref;

#[cfg(test)]
mod tests;

/// A process's place in the queue.
pub(super) struct Link(Mutex<LinkState>);

struct LinkState {
    queued: bool,
    next: Option<Ref<Process>>,
}

impl Link {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(LinkState { queued: false, next: None }))
    }
}

type End = Option<Ref<Process>>;

/// First and last. Lock order: the queue, then a link.
static QUEUE: Mutex<(End, End)> = Mutex::new((None, None));
static REAPER: AtomicWaker = AtomicWaker::new();

/// Queues `process`, unless it is queued.
pub(super) fn push(process: Ref<Process>) {
    {
        let mut queue = QUEUE.lock();
        let mut link = process.reap_link.0.lock();
        if core::mem::replace(&mut link.queued, true) {
            return;
        }
        drop(link);
        match queue.1.replace(process.clone()) {
            Some(last) => last.reap_link.0.lock().next = Some(process),
            None => queue.0 = Some(process),
        }
    }
    REAPER.wake();
}

fn pop() -> Option<Ref<Process>> {
    let mut queue = QUEUE.lock();
    let first = queue.0.take()?;
    let mut link = first.reap_link.0.lock();
    link.queued = false;
    queue.0 = link.next.take();
    drop(link);
    if queue.0.is_none() {
        queue.1 = None;
    }
    Some(first)
}

/// The next process to look at. For the reaper alone.
pub async fn next_to_reap() -> Ref<Process> {
    poll_fn(|context| {
        // Register, then check.
        REAPER.register(context.waker());
        pop().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
