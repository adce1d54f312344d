//! Making every CPU forget a translation, before what it led to is used again.
//!
//! Who has changed tables looks at which CPUs have them loaded; a CPU says that it loads tables before
//! it does. So one that is not seen loads what was changed already. To each that is seen goes a number
//! and an interrupt; it forgets all of its user translations and answers with the number. Who
//! waits for the answers looks once a poll ([`unmap`](super::unmap())): nobody spins, and a CPU in the
//! kernel answers on the dispatcher's next turn.
//!
//! Threat: a frame is reused while a CPU still reaches it through an old translation. Invariant: a
//! region leaves the books, and with it the reference that keeps the frames, only after
//! [`Shootdown::is_done`].
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::{
    arch::{self, PageTables},
    percpu::{MAX_CPUS, PerCpu},
};

/// The number of the last request to any CPU.
static LAST: AtomicU64 = AtomicU64::new(0);
/// The number of the last request to each CPU, and of the last that it answered.
static REQUESTED: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);
static ANSWERED: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);

/// Requests on their way.
#[must_use]
pub struct Shootdown {
    number: u64,
    cpus: u64,
}

impl Shootdown {
    /// Asks all of `cpus`, a bit each. This one forgets at once: the pages may have been removed on
    /// another CPU, before the thread came here.
    pub fn begin(cpus: u64) -> Self {
        let own = 1 << arch::cpu_index();
        if cpus & own != 0 {
            PageTables::flush_user();
        }
        let cpus = cpus & !own;
        let number = LAST.fetch_add(1, SeqCst) + 1;
        for cpu in (0..MAX_CPUS).filter(|cpu| cpus & 1 << cpu != 0) {
            REQUESTED.of(cpu).fetch_max(number, SeqCst);
            arch::kick(cpu);
        }
        Self { number, cpus }
    }

    /// Whether all have answered: with this number or a later one, which stands for this one too.
    pub fn is_done(&self) -> bool {
        let answered = |cpu: usize| ANSWERED.of(cpu).load(SeqCst) >= self.number;
        (0..MAX_CPUS).all(|cpu| self.cpus & 1 << cpu == 0 || answered(cpu))
    }
}

/// Answers what other CPUs have asked of this one. On every turn of the dispatcher.
pub fn serve() {
    let wanted = REQUESTED.here().load(SeqCst);
    if ANSWERED.here().load(SeqCst) != wanted {
        PageTables::flush_user();
        ANSWERED.here().store(wanted, SeqCst);
    }
}
