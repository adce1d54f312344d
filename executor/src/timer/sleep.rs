//! Futures that wait for a deadline.

use core::{
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    node::{Armed, TimerNode},
    queue::TimerQueue,
};

impl TimerQueue {
    /// Waits until the queue was told that it is `deadline`, in nanoseconds, or later.
    pub const fn sleep_until(&self, deadline: u64) -> Sleep<'_> {
        Sleep { queue: self, deadline, progress: Progress::New, node: TimerNode::new() }
    }
}

/// The future of [`TimerQueue::sleep_until`]. Its timer is added by the first poll.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep<'q> {
    queue: &'q TimerQueue,
    deadline: u64,
    progress: Progress,
    node: TimerNode<'q>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Not polled, or without a deadline.
    New,
    Armed,
    Over,
}

impl<'q> Sleep<'q> {
    /// When it is over.
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    fn parts(self: Pin<&mut Self>) -> (&mut Progress, Pin<&mut TimerNode<'q>>) {
        // SAFETY: the node is pinned with the future; the rest is never pinned.
        unsafe {
            let this = self.get_unchecked_mut();
            (&mut this.progress, Pin::new_unchecked(&mut this.node))
        }
    }

    /// Waits for another deadline instead. Whoever waits already need not poll for that, unless the
    /// old deadline is over or was [`NEVER`](super::NEVER).
    pub fn reset(mut self: Pin<&mut Self>, deadline: u64) {
        // SAFETY: nothing is moved.
        unsafe { self.as_mut().get_unchecked_mut() }.deadline = deadline;
        let queue = self.queue;
        let (progress, mut node) = self.parts();
        *progress = Progress::New;
        if let Some(waker) = node.as_mut().cancel() {
            match node.arm(queue, deadline, &waker) {
                Armed::Waiting => *progress = Progress::Armed,
                Armed::Due => waker.wake(),
                Armed::Never => {}
            }
        }
    }
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (queue, deadline) = (self.queue, self.deadline);
        let (progress, node) = self.parts();
        match *progress {
            Progress::New => match node.arm(queue, deadline, context.waker()) {
                Armed::Due => *progress = Progress::Over,
                Armed::Waiting => *progress = Progress::Armed,
                Armed::Never => {}
            },
            Progress::Armed if node.still_waits(context.waker()) => {}
            _ => *progress = Progress::Over,
        }
        if *progress == Progress::Over { Poll::Ready(()) } else { Poll::Pending }
    }
}
