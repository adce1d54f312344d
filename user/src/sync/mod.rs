//! What threads of a program share, and how they wait for each other. Whoever has to wait sleeps in the kernel, on a
//! notification; so the one who is waited for runs, whatever the priorities are.
//!
//! | module | what | waits |
//! |---|---|---|
//! | [`mutex`] | a value that one thread at a time has | for the one before |
//! | [`condvar`] | threads that wait until something holds for a mutex's value | to be told |
//! | [`semaphore`] | a number of permits | for a permit |
//! | [`park`] | one thread's own place to wait, beneath condition variables and the executor | to be unparked |
//!
//! Nobody lends a holder its priority: threads of different priorities that share a mutex keep their turns short, or ask
//! a server, which is lent that of its callers.

pub mod condvar;
mod gate;
pub mod mutex;
pub mod park;
pub mod semaphore;

pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
pub use semaphore::Semaphore;
