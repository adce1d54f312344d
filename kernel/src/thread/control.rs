//! What others ask of a thread: to end, to stop for a while, to be more or less urgent, to run on other
//! CPUs, to use no more than so much of one. Each writes down what it wants and announces it; the CPU that has the thread does it, on its
//! next turn, and says so; who asked waits for that. Only the last wish of a kind counts.
//!
//! ```text
//!   anyone: wish, announce ──► request queue of the thread's CPU ──► that CPU: does it, answers
//!               ▲                                                            │
//!               └──────────────── served(ticket) ◄───────────────────────────┘
//! ```
#![forbid(unsafe_code)]

use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use orbital_executor::wait_queue::WaitQueue;
use spin::Mutex;

use super::{Tcb, budget::Wanted};

/// It shall end.
const KILL: u8 = 1 << 0;
/// It shall not run.
const SUSPEND: u8 = 1 << 1;

/// What a thread's CPU is asked for, and what holds for the thread.
pub struct Control {
    wishes: AtomicU8,
    /// How many wishes were announced, and how many of them are fulfilled.
    announced: AtomicU64,
    fulfilled: AtomicU64,
    /// Woken when wishes are fulfilled and when the thread has ended.
    pub(super) changes: WaitQueue,
    priority: AtomicU8,
    wanted_priority: AtomicU8,
    /// What is [lent](super::lending) to it by those who wait at the endpoint that is bound to it.
    lent_by_queue: AtomicU8,
    /// The highest priority that it can be given.
    ceiling: u8,
    /// The CPUs that it may run on, a bit each.
    affinity: AtomicU64,
    /// The budget that it shall have.
    wanted_budget: Mutex<Wanted>,
    /// There is one in `wanted_budget`.
    budget_changes: AtomicBool,
    /// It has a budget. Its CPU's.
    limited: AtomicBool,
    /// It would be ready, but is suspended or has used up its budget. Its CPU's.
    parked: AtomicBool,
}

/// Names a wish that was announced.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

impl Control {
    pub(super) const fn new(priority: u8, affinity: u64) -> Self {
        Self {
            wishes: AtomicU8::new(0),
            announced: AtomicU64::new(0),
            fulfilled: AtomicU64::new(0),
            changes: WaitQueue::new(),
            priority: AtomicU8::new(priority),
            wanted_priority: AtomicU8::new(priority),
            lent_by_queue: AtomicU8::new(0),
            ceiling: priority,
            affinity: AtomicU64::new(affinity),
            wanted_budget: Mutex::new(Wanted::AsItIs),
            budget_changes: AtomicBool::new(false),
            limited: AtomicBool::new(false),
            parked: AtomicBool::new(false),
        }
    }
}

/// The affinity of a thread that may run everywhere.
pub const ALL_CPUS: u64 = u64::MAX;

impl Tcb {
    fn announce(&self) -> Ticket {
        let ticket = Ticket(self.control.announced.fetch_add(1, AcqRel) + 1);
        self.announce_request();
        ticket
    }

    /// Asks its CPU to end it. Its operation, if it waits in one, is cancelled there.
    pub fn kill(&self) -> Ticket {
        self.control.wishes.fetch_or(KILL, AcqRel);
        self.announce()
    }

    /// Asks its CPU not to run it until [`Tcb::resume`]. What it waits for may come meanwhile.
    pub fn suspend(&self) -> Ticket {
        self.control.wishes.fetch_or(SUSPEND, AcqRel);
        self.announce()
    }

    /// Takes [`Tcb::suspend`] back, however often it was asked for.
    pub fn resume(&self) -> Ticket {
        self.control.wishes.fetch_and(!SUSPEND, AcqRel);
        self.announce()
    }

    /// Asks its CPU to give it another priority of its own, at most its ceiling.
    pub fn ask_priority(&self, priority: u8) -> Ticket {
        self.control.wanted_priority.store(priority, Release);
        self.announce()
    }

    /// Asks its CPU to let it run on these CPUs only, a bit each, at least one of which is there.
    pub fn ask_affinity(&self, cpus: u64) -> Ticket {
        self.control.affinity.store(cpus, Release);
        self.announce()
    }

    /// Asks its CPU to give it this budget.
    pub fn ask_budget(&self, wanted: Wanted) -> Ticket {
        let old = core::mem::replace(&mut *self.control.wanted_budget.lock(), wanted);
        // One that nobody has come to take.
        drop(old);
        self.control.budget_changes.store(true, Release);
        self.announce()
    }

    /// Whether it shall have another budget.
    #[inline]
    pub fn budget_changes(&self) -> bool {
        self.control.budget_changes.load(Acquire)
    }

    /// The budget that it shall have. For its CPU.
    pub fn take_wanted_budget(&self) -> Wanted {
        self.control.budget_changes.store(false, Relaxed);
        core::mem::take(&mut *self.control.wanted_budget.lock())
    }

    /// Waits until a wish is fulfilled, or the thread has ended.
    pub async fn fulfilled(&self, ticket: Ticket) {
        let is_done = || self.control.fulfilled.load(Acquire) >= ticket.0 || self.is_ended();
        self.control.changes.wait_until(is_done).await;
    }

    /// The last wish that was announced. For its CPU, before it looks at what is wished.
    pub fn last_announced(&self) -> Ticket {
        Ticket(self.control.announced.load(Acquire))
    }

    /// Whether not all wishes up to `ticket` hold yet, as far as its CPU knows.
    #[inline]
    pub fn is_unfulfilled(&self, ticket: Ticket) -> bool {
        self.control.fulfilled.load(Relaxed) < ticket.0
    }

    /// All wishes up to `ticket` hold from here on. For its CPU, or the one that has just given it away.
    pub fn set_fulfilled(&self, ticket: Ticket) {
        if self.is_unfulfilled(ticket) {
            self.control.fulfilled.fetch_max(ticket.0, Release);
            self.control.changes.wake_all();
        }
    }

    /// Whether someone asked for its end.
    #[inline]
    pub fn is_killed(&self) -> bool {
        self.control.wishes.load(Acquire) & KILL != 0
    }

    /// Whether it shall not run.
    #[inline]
    pub fn is_suspended(&self) -> bool {
        self.control.wishes.load(Acquire) & SUSPEND != 0
    }

    /// Whether someone asked for its end, or that it shall not run.
    #[inline]
    pub fn has_wishes(&self) -> bool {
        self.control.wishes.load(Acquire) != 0
    }

    /// Whether it may run on `cpu`.
    #[inline]
    pub fn may_run_on(&self, cpu: usize) -> bool {
        self.affinity() & 1 << cpu != 0
    }

    /// The CPUs that it may run on, a bit each.
    #[inline]
    pub fn affinity(&self) -> u64 {
        self.control.affinity.load(Acquire)
    }

    /// 0 to 255, the greater the more urgent: its own, or what is lent to it.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.control.priority.load(Relaxed)
    }

    /// The highest priority that it can be given, and can give to others.
    pub fn ceiling(&self) -> u8 {
        self.control.ceiling
    }

    /// Its own priority.
    #[inline]
    pub fn wanted_priority(&self) -> u8 {
        self.control.wanted_priority.load(Acquire)
    }

    #[inline]
    pub(super) fn lent_by_queue(&self) -> u8 {
        self.control.lent_by_queue.load(Acquire)
    }

    pub(super) fn exchange_lent_by_queue(&self, lent: u8) -> u8 {
        self.control.lent_by_queue.swap(lent, AcqRel)
    }

    /// Lets it be scheduled by that priority. For its CPU, which has it in no run queue.
    #[inline]
    pub fn set_priority(&self, priority: u8) {
        self.control.priority.store(priority, Relaxed);
    }

    /// Whether it has a budget. For its CPU.
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.control.limited.load(Relaxed)
    }

    /// For its CPU.
    pub(super) fn set_limited(&self, limited: bool) {
        self.control.limited.store(limited, Relaxed);
    }

    /// Whether it would be ready if it were not suspended and had some of its budget left. For its CPU.
    pub fn is_parked(&self) -> bool {
        self.control.parked.load(Relaxed)
    }

    /// For its CPU.
    pub fn set_parked(&self, parked: bool) {
        self.control.parked.store(parked, Relaxed);
    }
}
