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

use super::{
    Tcb,
    budget::{SharedAccount, Wanted},
};
use crate::object::Ref;

/// It shall end.
const KILL: u8 = 1 << 0;
/// It shall not run.
const SUSPEND: u8 = 1 << 1;

/// It has a budget.
const LIMITED: u8 = 1 << 0;
/// It has used that up.
const BROKE: u8 = 1 << 1;

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
    accounts: Mutex<Accounts>,
    /// There is a wish in `accounts`. Changes under its lock.
    budget_changes: AtomicBool,
    /// Whether it has a budget, and has used it up. Its CPU's.
    limits: AtomicU8,
    /// It would be ready, but is suspended or has used up its budget. Its CPU's.
    parked: AtomicBool,
}

/// What budgets it shall have and has.
struct Accounts {
    /// The budget that it shall have, where that changes.
    wanted: Wanted,
    /// What is charged for what it runs. Its CPU's to change.
    own: Option<Ref<SharedAccount>>,
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
            accounts: Mutex::new(Accounts { wanted: None, own: None }),
            budget_changes: AtomicBool::new(false),
            limits: AtomicU8::new(0),
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
        let mut accounts = self.control.accounts.lock();
        let old = core::mem::replace(&mut accounts.wanted, wanted);
        self.control.budget_changes.store(true, Release);
        drop(accounts);
        // One that nobody has come to take.
        drop(old);
        self.announce()
    }

    /// Whether it shall have another budget.
    #[inline]
    pub fn budget_changes(&self) -> bool {
        self.control.budget_changes.load(Acquire)
    }

    /// The budget that it shall have; `None` for the one that it has. For its CPU.
    pub fn take_wanted_budget(&self) -> Option<Wanted> {
        let mut accounts = self.control.accounts.lock();
        let changes = self.control.budget_changes.swap(false, Relaxed);
        changes.then(|| accounts.wanted.take())
    }

    /// What is charged for what it runs; `None` where it has no budget.
    pub fn account(&self) -> Option<Ref<SharedAccount>> {
        self.is_limited().then(|| self.control.accounts.lock().own.clone())?
    }

    /// Another is charged, or nobody, from here on. For its CPU.
    pub(super) fn set_account(&self, account: Option<Ref<SharedAccount>>) {
        let limits = if account.is_some() { LIMITED } else { 0 };
        let old = core::mem::replace(&mut self.control.accounts.lock().own, account);
        self.control.limits.store(limits, Relaxed);
        drop(old);
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

    /// Whether it has a budget.
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.control.limits.load(Relaxed) != 0
    }

    /// Whether it has one and has used it up, as far as its CPU knows.
    #[inline]
    pub(super) fn is_broke(&self) -> bool {
        self.control.limits.load(Acquire) & BROKE != 0
    }

    /// Whether it has used up the budget that it has. For its CPU.
    pub fn set_broke(&self, broke: bool) {
        let limits = if broke { LIMITED | BROKE } else { LIMITED };
        self.control.limits.store(limits, Release);
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
