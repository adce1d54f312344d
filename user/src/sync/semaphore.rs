//! A semaphore: a number of permits, which threads take and give back.
#![forbid(unsafe_code)]

use core::sync::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

use super::gate::Gate;

/// Permits.
pub struct Semaphore {
    permits: AtomicUsize,
    /// How many look for one, and may sleep.
    waiting: AtomicUsize,
    /// Opened where there may be a permit and somebody who waits for it.
    gate: Gate,
}

impl Semaphore {
    /// A semaphore with so many permits.
    pub const fn new(permits: usize) -> Self {
        Self { permits: AtomicUsize::new(permits), waiting: AtomicUsize::new(0), gate: Gate::new() }
    }

    /// Takes a permit; waits until there is one.
    pub fn acquire(&self) {
        if self.try_acquire() {
            return;
        }
        // Said before the last look: who releases a permit sees this, or the look sees the permit.
        self.waiting.fetch_add(1, SeqCst);
        while !self.try_acquire() {
            self.gate.pass();
        }
        self.waiting.fetch_sub(1, SeqCst);
        // Releases that came while the gate was open count once.
        self.tell();
    }

    /// Takes a permit, if there is one.
    pub fn try_acquire(&self) -> bool {
        let take = |permits: usize| permits.checked_sub(1);
        self.permits.fetch_update(SeqCst, SeqCst, take).is_ok()
    }

    /// Gives `permits` more.
    ///
    /// # Panics
    /// Where there are more than fit into a `usize` then.
    pub fn release(&self, permits: usize) {
        let before = self.permits.fetch_add(permits, SeqCst);
        assert!(before.checked_add(permits).is_some(), "more permits than can be counted");
        self.tell();
    }

    /// How many there are.
    pub fn available(&self) -> usize {
        self.permits.load(Relaxed)
    }

    /// Lets one look who waits, where there is something to be had.
    fn tell(&self) {
        if self.waiting.load(SeqCst) > 0 && self.permits.load(SeqCst) > 0 {
            self.gate.open();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Semaphore;

    #[test]
    fn there_are_as_many_permits_as_were_given() {
        let semaphore = Semaphore::new(1);
        semaphore.acquire();
        assert!(!semaphore.try_acquire());
        semaphore.release(2);
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire() && semaphore.try_acquire() && !semaphore.try_acquire());
    }

    #[test]
    #[should_panic(expected = "more permits")]
    fn permits_do_not_wrap() {
        Semaphore::new(1).release(usize::MAX);
    }
}
