//! The executor of one CPU, or of one thread of a program: polls tasks that were woken, the most
//! urgent first, and of equals first in, first out.
//!
//! ```text
//!    anyone, anywhere                       the owner, on one CPU or thread
//!   ┌───────────────────────┐              ┌──────────────────────────────┐
//!   │ wakers                │  1. push     │ Owner: spawn, poll_ready     │
//!   │ Executor: spawn_send, ├─────────────►│   3. take all, by priority   │
//!   │   has_work, counters  │  2. tell     │   4. poll up to the budget   │
//!   └───────────────────────┘              └──────────────────────────────┘
//! ```
//! 1. a wake (or a spawning) puts a task on the queue, once until it is polled;
//! 2. and tells the owner by the function that it gave, which may kick it: see [`crate::urgency`];
//! 3. the owner takes what is queued, and 4. polls it. A task that is woken again goes to the end of
//! its equals. Taking and picking one take at most some 4 log₂ n steps, n being those that wait.
//!
//! [`Executor`] is the part that everyone may share: it is `Sync`, and a `static` in most cases.
//! Futures that are bound to a thread are spawned and polled by its [`Owner`] alone, which can't
//! leave the thread that claimed it.
//!
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<orbital_executor::executor::Owner>();
//! ```

mod counters;
mod handle;
mod owner;
mod ready;
mod shared;
mod stored;

pub use counters::{Counters, Watch};
pub use handle::{TaskHandle, TaskRef};
pub use owner::Owner;
pub use shared::Executor;
pub use stored::{Storage, Task};
