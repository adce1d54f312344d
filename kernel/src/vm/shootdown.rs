//! Making every CPU forget translations, before what they led to is used again.
//!
//! Who has changed tables looks at which CPUs have them loaded; a CPU says that it loads tables before
//! it does. So one that is not seen loads what was changed already: sleeping CPUs have nothing loaded, and
//! are left asleep. To each that is seen goes what it has to forget, a number, and an interrupt; it forgets
//! and answers with the number. Who waits for the answers is woken by them: nobody spins, and a CPU in the
//! kernel answers on the dispatcher's next turn.
//!
//! Threat: a frame is reused while a CPU still reaches it through an old translation. Invariant: what keeps
//! a frame is given up only after [`Shootdown::is_done`].
#![forbid(unsafe_code)]

use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use orbital_abi::layout::{PAGE_SIZE, USER_START};
use orbital_executor::wait_queue::WaitQueue;
use spin::Mutex;

use crate::{
    arch::{self, PageTables},
    percpu::{MAX_CPUS, PerCpu},
};

/// A CPU that is to forget more pages than this forgets everything.
const MOST_PAGES: u64 = 32;
/// So many ranges can wait for a CPU before it forgets everything.
const MOST_RANGES: usize = 4;

/// The number of the last request to any CPU.
static LAST: AtomicU64 = AtomicU64::new(0);
static INBOX: PerCpu<Inbox> = PerCpu::new([const { Inbox::new() }; MAX_CPUS]);
/// Woken by each answer.
static ANSWERS: WaitQueue = WaitQueue::new();

/// What a CPU is asked.
struct Inbox {
    /// The number of the last request, and of the last that was answered.
    requested: AtomicU64,
    answered: AtomicU64,
    wanted: Mutex<Wanted>,
}

/// What is to be forgotten.
struct Wanted {
    ranges: [Range<u64>; MOST_RANGES],
    /// How many of them count; more than there are is everything.
    count: usize,
}

impl Inbox {
    const fn new() -> Self {
        let ranges = [const { 0..0 }; MOST_RANGES];
        Self {
            requested: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            wanted: Mutex::new(Wanted { ranges, count: 0 }),
        }
    }
}

impl Wanted {
    fn add(&mut self, range: &Range<u64>) {
        if let Some(place) = self.ranges.get_mut(self.count) {
            *place = range.clone();
        }
        self.count = (self.count + 1).min(MOST_RANGES + 1);
    }
}

/// Requests on their way.
#[derive(Clone, Copy)]
#[must_use]
pub struct Shootdown {
    number: u64,
    /// A bit each.
    cpus: u64,
}

/// All user addresses.
pub const EVERYTHING: Range<u64> = 0..0;

/// This CPU forgets a range of addresses, or [`EVERYTHING`], of the tables that it has loaded.
#[inline(always)]
pub fn forget(range: &Range<u64>) {
    if range.is_empty() || range.end - range.start > MOST_PAGES * PAGE_SIZE {
        PageTables::flush_user();
        return;
    }
    let mut address = range.start;
    while address < range.end {
        PageTables::flush(address);
        address += PAGE_SIZE;
    }
}

impl Shootdown {
    /// Asks all of `cpus`, a bit each, to forget `range`. This one forgets at once.
    pub fn begin(cpus: u64, range: Range<u64>) -> Self {
        let own = 1 << arch::cpu_index();
        if cpus & own != 0 {
            forget(&range);
        }
        let cpus = cpus & !own;
        let number = LAST.fetch_add(1, SeqCst) + 1;
        let mut rest = cpus;
        while rest != 0 {
            let cpu = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let inbox = INBOX.of(cpu);
            {
                let mut wanted = inbox.wanted.lock();
                wanted.add(&range);
                inbox.requested.fetch_max(number, SeqCst);
            }
            arch::kick(cpu);
        }
        Self { number, cpus }
    }

    /// Whether all have answered: with this number or a later one, which stands for this one too.
    pub fn is_done(&self) -> bool {
        let mut rest = self.cpus;
        while rest != 0 {
            let cpu = rest.trailing_zeros() as usize;
            if INBOX.of(cpu).answered.load(SeqCst) < self.number {
                return false;
            }
            rest &= rest - 1;
        }
        true
    }

    /// Waits until all have answered.
    pub fn finish(self) -> impl Future<Output = ()> {
        ANSWERS.wait_until(move || self.is_done())
    }
}

/// Waits until every CPU has been in its dispatcher: whatever it had looked up before, it uses no more, unless it
/// has kept a reference. Those that sleep are woken for it.
pub fn grace_period() -> impl Future<Output = ()> {
    let online = u64::MAX >> (u64::BITS as usize - arch::cpu_count());
    // What they forget is of no matter.
    Shootdown::begin(online, USER_START..USER_START + PAGE_SIZE).finish()
}

/// Answers what other CPUs have asked of this one. On every turn of the dispatcher.
#[inline]
pub fn serve() {
    let inbox = INBOX.here();
    if inbox.answered.load(SeqCst) != inbox.requested.load(SeqCst) {
        answer(inbox);
    }
}

#[cold]
fn answer(inbox: &Inbox) {
    let (wanted, number) = {
        let mut wanted = inbox.wanted.lock();
        let taken = Wanted { ranges: wanted.ranges.clone(), count: wanted.count };
        wanted.count = 0;
        (taken, inbox.requested.load(SeqCst))
    };
    match wanted.ranges.get(..wanted.count) {
        Some(ranges) => ranges.iter().for_each(forget),
        None => PageTables::flush_user(),
    }
    inbox.answered.store(number, SeqCst);
    ANSWERS.wake_all();
}
