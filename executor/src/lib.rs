//! Tasks, wakers, wake queues, wait queues and timers: the part of an executor that both the kernel
//! and user programs build on. Nothing here knows hardware, allocates on a wake or a wait, or waits
//! for anything longer than a few instructions of another CPU under a lock.
//!
//! | module | what |
//! |---|---|
//! | [`task`] | the header of a task: one atomic state word, and what each transition demands |
//! | [`waker`] | `core::task::Waker`s that are pointers to a task header |
//! | [`wake_queue`] | woken tasks, many producers, one consumer |
//! | [`urgency`] | whether a wake has to interrupt its CPU |
//! | [`executor`] | polls the tasks of one CPU, counts, measures |
//! | [`slot`] | inline room for one future of any type |
//! | [`wait_queue`] | futures that wait until someone wakes them |
//! | [`wait_cell`] | one future that waits until someone wakes it |
//! | [`completion`] | one outcome, for which a completer, a deadline and a kill compete |
//! | [`timer`] | futures that wait for a deadline, and those that give up at one |
//!
//! # The life of a task
//!
//! ```text
//!         0 spawn
//!            │
//!            ▼      1 wake          2 the consumer         3 wake
//!   IDLE ────────► QUEUED ────────► POLLING ────────► WOKEN
//!    ▲ │             ▲ │             │   │             │ │
//!    │ │ 7 cancel    │ │ 7 cancel    │   │ 6 ready     │ │
//!    │ └─────────────┼─┴──► DONE ◄───┼───┴─────────────┘ │
//!    │               │ 5 pending, but woken meanwhile    │
//!    │               └───────────────┼───────────────────┘
//!    └───────────────────────────────┘ 4 pending
//! ```
//! 0. [`executor::Owner::spawn`], or [`executor::Executor::spawn_send`] from another thread, wakes
//!    the task for the first time: it goes from IDLE to QUEUED;
//! 1. a wake of an idle task puts it on its CPU's [`wake_queue`], and tells that CPU if it has to
//!    ([`urgency`]); 2. [`executor::Owner::poll_ready`] takes it off and polls it; 3. a wake
//!    meanwhile is remembered, and 5. queues the task again when the poll is over; 4. without one it
//!    is idle until the next; 6. it is ready, its future is dropped, and later wakes do nothing;
//! 7. [`executor::TaskHandle::cancel`] ends it while nobody polls it. If it is queued, its turn
//!    comes and nothing happens then.
//!
//! A task's memory is freed by whoever is the last to know it: its executor until it is done, the
//! queue it stands on, wakers, handles.
//!
//! # Its neighbours
//!
//! The wakers are ordinary ones: `select`, `join`, `FuturesUnordered` and `AtomicWaker` of
//! `futures-util` work with them (`tests/futures_util.rs` shows each), and the futures here work in
//! these. A time limit is [`timer::timeout_at`].
//!
//! # Examples
//!
//! One thread that polls, and jumps from deadline to deadline (`examples/bakery.rs` has more):
//!
//! ```
//! use orbital_executor::{executor::{Executor, Task}, timer::{NEVER, TimerQueue}};
//!
//! static EXECUTOR: Executor = Executor::new();
//! static TIMERS: TimerQueue = TimerQueue::new();
//!
//! let owner = EXECUTOR.claim(0).expect("nobody else polls");
//! owner.spawn(Box::pin(Task::new(async {
//!     TIMERS.sleep_until(1_000).await;
//! })));
//! loop {
//!     while owner.has_work() {
//!         owner.poll_ready(16);
//!     }
//!     match TIMERS.next_deadline() {
//!         NEVER => break,
//!         deadline => TIMERS.fire(deadline),
//!     };
//! }
//! assert_eq!((owner.finished(), owner.counters().alive(), TIMERS.now()), (1, 0, 1_000));
//! ```
//!
//! # Proof
//!
//! `models/` builds these sources with `cfg(loom)` and goes through the schedules of a few steps of
//! each transition, also with mistakes planted into the code (module `planted`, in that build
//! alone), which have to be found. `tests/` holds exact traces, properties against naive models, and
//! stress by real threads.
#![no_std]

extern crate alloc;
#[cfg(any(test, loom))]
extern crate std;

pub mod completion;
pub mod executor;
mod heap;
mod lock;
mod notify;
#[cfg(loom)]
pub mod planted;
pub mod slot;
mod sync;
pub mod task;
pub mod timer;
pub mod urgency;
pub mod wait_cell;
pub mod wait_queue;
pub mod wake_queue;
pub mod waker;
mod yield_now;

pub use notify::Tell;
pub use yield_now::yield_now;
