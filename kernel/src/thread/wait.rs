//! The leaf wait: one word in the TCB over which completers, kills and deadlines compete.
//!
//! ```text
//!          1           2            3
//!   Idle ─────► Queued ───► Claimed ───► Ready ──► Idle
//!                 │          │  ▲  4
//!                 │ 6        ▼5 │
//!                 └► Idle   Taken ──6──► Idle
//! ```
//! 1. the thread queues itself, at an endpoint or a notification; 2. a partner claims it by compare-exchange: from here on the
//!    partner alone may touch its registers; 3. the partner has written the answer; 4. the reply's
//!    holder claims it; 5. a call was taken by a server and waits for its reply; 6. the wait is
//!    cancelled, by compare-exchange too: whoever comes later finds the word changed.
//!
//! The word holds a sequence number beside the phase, so that a reply to a call of the past can't
//! answer a later one.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use orbital_abi::{Error, Registers};

use super::{Tcb, registers::write_answer};
use crate::{arch::SavedRegisters, object::Ref};

/// Where the wait is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// No wait.
    Idle,
    /// In the queue of an endpoint or a notification.
    Queued,
    /// A partner writes the answer.
    Claimed,
    /// The call was taken; its reply is awaited.
    Taken,
    /// The answer is written.
    Ready,
}

const PHASE_BITS: u32 = 3;

/// The word, and what a queued sender's partner must know beside its registers; or what a thread that
/// waits for signals was given, beside its registers too.
pub(super) struct Wait {
    word: AtomicU64,
    badge: AtomicU64,
    is_call: AtomicBool,
}

fn word(sequence: u64, phase: Phase) -> u64 {
    sequence << PHASE_BITS | phase as u64
}

fn split(word: u64) -> (u64, Phase) {
    let phase = match word & ((1 << PHASE_BITS) - 1) {
        0 => Phase::Idle,
        1 => Phase::Queued,
        2 => Phase::Claimed,
        3 => Phase::Taken,
        _ => Phase::Ready,
    };
    (word >> PHASE_BITS, phase)
}

impl Wait {
    pub(super) const fn new() -> Self {
        Self { word: AtomicU64::new(0), badge: AtomicU64::new(0), is_call: AtomicBool::new(false) }
    }

    fn exchange(&self, sequence: u64, from: Phase, to: Phase) -> bool {
        let (old, new) = (word(sequence, from), word(sequence, to));
        self.word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn load(&self) -> (u64, Phase) {
        split(self.word.load(Ordering::Acquire))
    }
}

impl Tcb {
    /// Starts a wait of the current thread in `phase` (queued, or taken where the partner was
    /// there already). Gives its sequence number. Before anyone can find the thread.
    pub fn begin_wait(&self, phase: Phase) -> u64 {
        let (sequence, old) = self.wait.load();
        debug_assert!(matches!(old, Phase::Idle), "a wait begins while another goes on");
        let sequence = (sequence + 1) & (u64::MAX >> PHASE_BITS);
        self.wait.word.store(word(sequence, phase), Ordering::Release);
        sequence
    }

    /// Notes what the partner of a queued sender must know. Before [`Tcb::begin_wait`].
    pub fn set_sending(&self, badge: u64, is_call: bool) {
        self.wait.badge.store(badge, Ordering::Relaxed);
        self.wait.is_call.store(is_call, Ordering::Relaxed);
    }

    /// Claims the call `sequence`, if it still waits for its reply.
    pub fn claim_taken(&self, sequence: u64) -> Option<Claim> {
        let claimed = self.wait.exchange(sequence, Phase::Taken, Phase::Claimed);
        claimed.then(|| Claim { thread: Ref::from_object(self), sequence })
    }

    /// Takes back the signals that [`Claim::give_signals`] gave it last: once. For whoever has ended the
    /// wait that they answered.
    pub fn take_back_signals(&self) -> u64 {
        self.wait.badge.swap(0, Ordering::Relaxed)
    }

    /// Whether the answer is there; then the wait is over.
    pub fn take_ready(&self) -> bool {
        let (sequence, phase) = self.wait.load();
        phase == Phase::Ready && self.wait.exchange(sequence, Phase::Ready, Phase::Idle)
    }

    /// Ends the wait, whatever its phase, which it gives: idle where there was none, ready where its
    /// answer is written. A partner that has claimed it writes to the end first: with interrupts off and no
    /// lock to wait for, so in a few instructions.
    pub fn cancel_wait(&self) -> Phase {
        loop {
            let (sequence, phase) = self.wait.load();
            match phase {
                Phase::Idle => return phase,
                Phase::Claimed => core::hint::spin_loop(),
                phase if self.wait.exchange(sequence, phase, Phase::Idle) => return phase,
                _ => {}
            }
        }
    }
}

/// A claimed wait: exclusive access to the waiting thread's registers until it is completed.
#[must_use = "a claimed thread never wakes unless it is completed"]
pub struct Claim {
    thread: Ref<Tcb>,
    sequence: u64,
}

impl Claim {
    /// Claims the wait of a thread that was just taken off a queue, unless it has been cancelled.
    /// Under that queue's lock: a thread that cancels takes the lock too before it can wait anew, so
    /// what is claimed is the wait that the thread was queued for.
    pub fn queued(thread: Ref<Tcb>) -> Option<Self> {
        let (sequence, phase) = thread.wait.load();
        let claimed =
            phase == Phase::Queued && thread.wait.exchange(sequence, Phase::Queued, Phase::Claimed);
        claimed.then_some(Self { thread, sequence })
    }

    /// Who waits.
    pub fn thread(&self) -> &Ref<Tcb> {
        &self.thread
    }

    /// Runs `f` on the thread's registers.
    pub fn with_registers<R>(&self, f: impl FnOnce(&mut SavedRegisters) -> R) -> R {
        // SAFETY: the thread is blocked, and the compare-exchange that made this claim has only
        // one winner.
        unsafe { self.thread.registers.with(f) }
    }

    /// The number of the wait.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The badge of a queued sender's capability, and whether it calls.
    pub fn sending(&self) -> (u64, bool) {
        let wait = &self.thread.wait;
        (wait.badge.load(Ordering::Relaxed), wait.is_call.load(Ordering::Relaxed))
    }

    /// Writes the answer and wakes the thread.
    pub fn complete(self, answer: Result<Registers, Error>) {
        self.with_registers(|registers| write_answer(registers, answer));
        self.thread.wait.word.store(word(self.sequence, Phase::Ready), Ordering::Release);
        self.thread.wake();
    }

    /// Gives the thread the signals that it waits for, and wakes it. They are noted beside its registers:
    /// if it ends before it sees them, they go to someone else.
    pub fn give_signals(self, bits: u64) {
        self.thread.wait.badge.store(bits, Ordering::Relaxed);
        self.complete(Ok(Registers::control([bits, 0, 0, 0])));
    }

    /// The call has been taken: from now on it waits for its reply.
    pub fn taken(self) {
        self.thread.wait.word.store(word(self.sequence, Phase::Taken), Ordering::Release);
    }
}
