//! What became of each message, as both sides saw it.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use guests::{
    cpus::{bit, until},
    own_thread,
    threads::MIDDLE,
    workers::{Own, Worker},
};
use orbital_user::{CapSlot, Endpoint, ExitReason, IpcError};

/// The most messages of one run.
pub(super) const MOST: usize = 10_000;

/// The endpoint of the case.
static SLOT: AtomicU64 = AtomicU64::new(0);
/// How many messages a run has.
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// An outcome for each message: 0 as long as there is none.
pub(super) struct Record([AtomicU64; MOST]);

impl Record {
    pub(super) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; MOST])
    }

    /// Notes the outcome of a message, which had none.
    pub(super) fn note(&self, number: usize, outcome: u64) {
        assert_eq!(self.0[number].swap(outcome, SeqCst), 0, "message {number} for a second time");
    }

    pub(super) fn get(&self, number: usize) -> u64 {
        self.0[number].load(SeqCst)
    }

    /// Outcomes like this one.
    pub(super) fn count(&self, outcome: u64) -> usize {
        self.0.iter().filter(|noted| noted.load(SeqCst) == outcome).count()
    }

    pub(super) fn clear(&self) {
        self.0.iter().for_each(|noted| noted.store(0, SeqCst));
    }
}

/// It went well.
pub(super) const WELL: u64 = 1000;

/// An outcome's number.
pub(super) fn outcome<T>(result: Result<T, IpcError>) -> u64 {
    result.map_or_else(|error| error as u64, |_| WELL)
}

/// What the senders saw, and what the receivers did.
pub(super) static SENT: Record = Record::new();
pub(super) static RECEIVED: Record = Record::new();

/// Begins a run of `length` messages on a new endpoint.
pub(super) fn begin(length: usize) -> Endpoint {
    assert!(length <= MOST);
    own_thread().set_priority(MIDDLE).expect("a lower priority");
    SENT.clear();
    RECEIVED.clear();
    LENGTH.store(length, SeqCst);
    let endpoint = Endpoint::create().unwrap();
    SLOT.store(endpoint.slot().bits(), SeqCst);
    endpoint
}

/// How many messages this run has.
pub(super) fn length() -> usize {
    LENGTH.load(SeqCst)
}

/// The endpoint of this run.
pub(super) fn shared() -> impl core::ops::Deref<Target = Endpoint> {
    guests::threads::endpoint(CapSlot::from_bits(SLOT.load(SeqCst)))
}

/// A thread on `cpu`.
pub(super) fn on(cpu: usize, body: fn(&Own), argument: u64) -> Worker {
    Worker::on(bit(cpu), MIDDLE, body, argument)
}

/// Waits until a thread has ended by itself.
#[track_caller]
pub(super) fn finish(worker: &Worker) {
    assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
}

/// Waits until a thread waits in an operation.
pub(super) fn blocks(worker: &Worker) {
    until(|| worker.inspect().unwrap().state == 4);
}
