//! To which flow a message belongs: a call that a thread makes for nobody begins one, and what the thread that has taken
//! a call sends before it takes the next message belongs to the same. So a trace shows what a call has set in motion,
//! through any number of servers.
//!
//! A TCB has no room for that. What is known of a thread stands in a table by its number; a thread whose place another
//! one has taken begins a flow of its own, and an arrow of it may be missing.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use spin::Once;

use crate::{
    arch,
    percpu::{MAX_CPUS, PerCpu},
};

/// Places of the table.
const PLACES: usize = 1024;

static TABLE: Once<Vec<Known>> = Once::new();
/// How many numbers each CPU has given.
static NUMBERS: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);

/// What is known of a thread.
struct Known {
    /// Which: its number, or 0.
    thread: AtomicU64,
    /// What it has sent last.
    sent: [AtomicU64; 2],
    /// The flow of the call that it has taken; 0 without one.
    serves: AtomicU64,
}

/// A message or an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The flow that it belongs to.
    pub flow: u64,
    /// Its own number.
    pub number: u64,
}

impl Hop {
    /// As the first arguments of an event.
    pub fn arguments(self, third: u64) -> [u64; 3] {
        [self.flow, self.number, third]
    }
}

/// Makes the table.
pub(super) fn init() {
    let mut table = Vec::new();
    if table.try_reserve_exact(PLACES).is_err() {
        log::warn!("no memory for the flows of messages");
        return;
    }
    table.resize_with(PLACES, || Known {
        thread: AtomicU64::new(0),
        sent: [const { AtomicU64::new(0) }; 2],
        serves: AtomicU64::new(0),
    });
    TABLE.call_once(|| table);
}

/// A number that no other CPU gives, and this one gives once; not 0.
fn new_number() -> u64 {
    let count = NUMBERS.here_locked();
    count.store(count.load(Relaxed) + 1, Relaxed);
    count.load(Relaxed) * MAX_CPUS as u64 + arch::cpu_index_locked() as u64
}

/// What is known of a thread; nothing was, where another one had its place.
fn own(thread: u64) -> Option<&'static Known> {
    let known = TABLE.get()?.get(thread as usize % PLACES)?;
    if known.thread.load(Relaxed) != thread {
        known.sent.iter().for_each(|word| word.store(0, Relaxed));
        known.serves.store(0, Relaxed);
        known.thread.store(thread, Relaxed);
    }
    Some(known)
}

/// What a thread has sent last.
fn sent(thread: u64) -> Option<Hop> {
    let known = TABLE.get()?.get(thread as usize % PLACES)?;
    let [flow, number] = known.sent.each_ref().map(|word| word.load(Relaxed));
    (known.thread.load(Relaxed) == thread && number != 0).then_some(Hop { flow, number })
}

/// The thread sends something. Before anyone can take it.
pub fn send(thread: u64) -> Hop {
    let number = new_number();
    let Some(known) = own(thread) else { return Hop { flow: number, number } };
    let serves = known.serves.load(Relaxed);
    let hop = Hop { flow: if serves == 0 { number } else { serves }, number };
    known.sent[0].store(hop.flow, Relaxed);
    known.sent[1].store(hop.number, Relaxed);
    hop
}

/// `receiver` takes what `sender` has sent last, which it is to answer or not. `None` where it is not known.
pub fn receive(receiver: u64, sender: u64, answers: bool) -> Option<Hop> {
    let hop = sent(sender)?;
    if let Some(known) = own(receiver) {
        known.serves.store(if answers { hop.flow } else { 0 }, Relaxed);
    }
    Some(hop)
}

/// `server` answers what `caller` has sent last. `None` where it is not known.
pub fn answer(server: u64, caller: u64) -> Option<Hop> {
    let Hop { flow, .. } = sent(caller)?;
    if let Some(known) = own(server)
        && known.serves.load(Relaxed) == flow
    {
        known.serves.store(0, Relaxed);
    }
    Some(Hop { flow, number: new_number() })
}
