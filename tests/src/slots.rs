//! How many machines may run at once: their CPUs together are at most the host's cores, and a
//! machine with more than that runs alone.

use std::sync::{Condvar, Mutex, PoisonError};

/// Cores to be shared out.
#[derive(Debug)]
pub struct Slots {
    cores: u32,
    free: Mutex<u32>,
    changed: Condvar,
}

/// Cores in use; free again on drop.
#[derive(Debug)]
pub struct Slot<'a> {
    slots: &'a Slots,
    cores: u32,
}

impl Slots {
    /// With so many cores.
    pub fn new(cores: u32) -> Self {
        let cores = cores.max(1);
        Self { cores, free: Mutex::new(cores), changed: Condvar::new() }
    }

    /// Waits until a machine with `cpus` CPUs may run.
    pub fn take(&self, cpus: u32) -> Slot<'_> {
        let cores = cpus.clamp(1, self.cores);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = self.changed.wait_while(free, |free| *free < cores);
        *enough.unwrap_or_else(PoisonError::into_inner) -= cores;
        Slot { slots: self, cores }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.slots.free.lock().unwrap_or_else(PoisonError::into_inner) += self.cores;
        self.slots.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_shared_out_and_come_back() {
        let slots = Slots::new(2);
        let (one, other) = (slots.take(1), slots.take(1));
        assert_eq!(*slots.free.lock().unwrap(), 0);
        drop((one, other));
        let big = slots.take(64);
        assert_eq!(*slots.free.lock().unwrap(), 0);
        drop(big);
        assert_eq!(*slots.free.lock().unwrap(), 2);
    }
}
