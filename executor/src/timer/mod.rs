//! Timers: what shall happen at a certain time, in the order of the deadlines.
//!
//! A deadline is a number of nanoseconds since whatever the owner counts from. A timer queue has no
//! clock: its time is what it was last told by [`TimerQueue::fire`]. [`NEVER`] is never queued.
//!
//! ```text
//!                 1                        2
//!   not queued ───────► waits in the queue ──────► fired, its waker called
//!       ▲ ▲                  │    ▲   │                    │
//!       │ └──────────────────┘    └───┘                    │
//!       │       3 cancelled         4 armed anew           │
//!       └──────────────────────────────────────────────────┘
//! ```
//! 1. armed, with a deadline after the queue's time; 2. the queue was told a time that is not
//! before it; 3. cancelled, or dropped; 4. armed again, which counts as a new timer: of several with
//! the same deadline the one that was armed first fires first.
//!
//! **Choice.** A queue is a leftist heap of nodes that stand in the futures, or in whatever else
//! waits (a thread control block). Arming, cancelling and firing one timer take at most some
//! 4 log₂ n steps, each time and not only on average, and `next_deadline` takes one load. A
//! hierarchical wheel is O(1), but needs room for its slots per queue, and does not know the next
//! deadline exactly; a pairing heap is shorter, but one step of it can take n, with interrupts off.
//!
//! **Lock.** A short spin lock guards the heap, so that a timer can be cancelled from another CPU.
//! No waker is called, cloned or dropped under it. Firing takes up to [`BATCH`] wakers out in one
//! turn of the lock.

mod node;
mod queue;
mod sleep;
mod timeout;

pub use node::{Armed, TimerNode};
pub use queue::{BATCH, NEVER, TimerQueue};
pub use sleep::Sleep;
pub use timeout::{Elapsed, Timeout, timeout_at};
