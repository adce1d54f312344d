//! The slots that are set aside for a thread in its process's table, for capabilities that messages bring it. Whoever
//! may touch its registers may touch them: its CPU, and in turn whoever has claimed its wait.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use orbital_abi::Error;

use super::{Current, Tcb};
use crate::capability::table::reserved::Reserved;

impl Tcb {
    /// Runs `f` on the slots that are set aside for it. For whoever has one of the proofs for its registers.
    pub fn with_reserved<R>(&self, f: impl FnOnce(&mut Reserved) -> R) -> R {
        let (first, count) = (&self.wait.first_reserved, &self.wait.reserved);
        let mut reserved = Reserved { first: first.load(Relaxed), count: count.load(Relaxed) };
        let result = f(&mut reserved);
        first.store(reserved.first, Relaxed);
        count.store(reserved.count, Relaxed);
        result
    }
}

impl Current {
    /// Makes sure that it has slots for so many capabilities.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]; [`Error::TableFull`]; [`Error::Ended`].
    #[inline]
    pub fn prepare_slots(&self, count: usize) -> Result<(), Error> {
        if usize::from(self.wait.reserved.load(Relaxed)) >= count {
            return Ok(());
        }
        self.set_slots_aside(count)
    }

    #[inline(never)]
    fn set_slots_aside(&self, count: usize) -> Result<(), Error> {
        let process = &self.process;
        self.with_reserved(|reserved| {
            process.table.lock().set_aside(reserved, count, &process.quota)
        })
    }

    /// Gives the slots back: the thread ends.
    pub(super) fn give_slots_back(&self) {
        if self.wait.reserved.load(Relaxed) > 0 {
            let reserved = self.with_reserved(core::mem::take);
            self.process.table.lock().give_back(reserved);
        }
    }
}
