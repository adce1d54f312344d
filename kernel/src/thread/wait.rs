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
//!    cancelled, by compare-exchange too: whoever comes later finds the word changed. One that was taken is claimed
//!    for that, too, while the caller leaves the [place](super::OwedCell) where its call stands.
//!
//! The word holds a sequence number beside the phase, so that a reply to a call of the past can't
//! answer a later one.

mod fault;
mod signals;

use core::{
    ptr,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering},
};

use orbital_abi::{CapSlot, Error, Registers, Tag, fault::RESUME};

use super::{Tcb, owed::Holder, registers::write_answer};
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
/// In the byte of what a thread sends, how many capabilities it accepts stands above that.
const ACCEPTS_SHIFT: u32 = 4;
const SENDING_MASK: u8 = (1 << ACCEPTS_SHIFT) - 1;
// What a fault's handler has answered, in the place of the badge.
const REFUSED: u64 = 0;
const RESUMED: u64 = 1;

/// The word, and what a queued sender's partner must know beside its registers; or what a thread that
/// waits for signals was given, beside its registers too.
pub(super) struct Wait {
    word: AtomicU64,
    /// A number: the badge of what is sent, while it is queued; the handler's verdict, or the signals, once it is
    /// ready. Or, while it is taken, who has to answer.
    note: AtomicPtr<()>,
    /// What it sends, and how many capabilities it accepts; who sends word of its fault accepts none.
    sending: AtomicU8,
    /// Its answer came, and the thread ended without having seen it.
    unseen: AtomicBool,
    fault_kind: AtomicU8,
    /// The slots that are set aside for it: how many, and the first one's index.
    pub(super) reserved: AtomicU8,
    pub(super) first_reserved: AtomicU32,
    fault_address: AtomicU64,
}

/// What a queued sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Sending {
    /// A message, whose words stand in the thread's registers; or nothing.
    Message,
    /// The same, and it waits for the reply.
    Call,
    /// Word of its fault. Its registers are as they were then, and stay so.
    Fault,
}

/// The numbers of waits are multiples of this.
const NEXT: u64 = 1 << PHASE_BITS;

fn word(sequence: u64, phase: Phase) -> u64 {
    sequence | phase as u64
}

fn split(word: u64) -> (u64, Phase) {
    let phase = match word & (NEXT - 1) {
        0 => Phase::Idle,
        1 => Phase::Queued,
        2 => Phase::Claimed,
        3 => Phase::Taken,
        _ => Phase::Ready,
    };
    (word & !(NEXT - 1), phase)
}

impl Wait {
    pub(super) const fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            note: AtomicPtr::new(ptr::null_mut()),
            sending: AtomicU8::new(Sending::Message as u8),
            unseen: AtomicBool::new(false),
            fault_kind: AtomicU8::new(0),
            reserved: AtomicU8::new(0),
            first_reserved: AtomicU32::new(0),
            fault_address: AtomicU64::new(0),
        }
    }

    fn exchange(&self, sequence: u64, from: Phase, to: Phase) -> bool {
        let (old, new) = (word(sequence, from), word(sequence, to));
        self.word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn sending(&self) -> Sending {
        match self.sending.load(Ordering::Relaxed) & SENDING_MASK {
            0 => Sending::Message,
            1 => Sending::Call,
            _ => Sending::Fault,
        }
    }

    fn load(&self) -> (u64, Phase) {
        split(self.word.load(Ordering::Acquire))
    }

    fn note_number(&self, number: u64) {
        self.note.store(ptr::without_provenance_mut(number as usize), Ordering::Relaxed);
    }

    fn noted_number(&self) -> u64 {
        self.note.load(Ordering::Relaxed).addr() as u64
    }
}

impl Tcb {
    /// Starts a wait of the current thread in `phase` (queued, or taken where the partner was
    /// there already); one that receives, or waits for signals, sends nothing. `accepts` is how many capabilities
    /// what it waits for may bring. Gives its sequence number. Before anyone can find the thread.
    #[inline(always)]
    pub fn begin_wait(&self, phase: Phase, sending: Sending, accepts: usize) -> u64 {
        debug_assert!(accepts == 0 || sending != Sending::Fault);
        let (sequence, old) = self.wait.load();
        debug_assert!(matches!(old, Phase::Idle), "a wait begins while another goes on");
        let sequence = sequence.wrapping_add(NEXT);
        let sending = sending as u8 | (accepts as u8) << ACCEPTS_SHIFT;
        self.wait.sending.store(sending, Ordering::Relaxed);
        if phase == Phase::Taken {
            // Until it is noted who has to answer.
            self.wait.note.store(ptr::null_mut(), Ordering::Relaxed);
        }
        self.wait.word.store(word(sequence, phase), Ordering::Release);
        sequence
    }

    /// How many capabilities what it waits for may bring. While it waits.
    #[inline]
    pub fn accepts(&self) -> usize {
        (self.wait.sending.load(Ordering::Relaxed) >> ACCEPTS_SHIFT).into()
    }

    /// Notes the badge of what it sends, for the partner that takes it off a queue. Before
    /// [`Tcb::begin_wait`].
    pub fn set_badge(&self, badge: u64) {
        self.wait.note_number(badge);
    }

    /// Claims the call `sequence`, if it still waits for its reply. Someone who only looks at a faulting
    /// thread's registers gives it back first: with interrupts off and no lock to wait for, so in a few
    /// instructions; and someone who has an answer for it that can't be given. With no table locked, as below.
    pub fn claim_taken(&self, sequence: u64) -> Option<Claim> {
        loop {
            match self.wait.load() {
                (now, _) if now != sequence => return None,
                (_, Phase::Claimed) => core::hint::spin_loop(),
                (_, Phase::Taken) if self.wait.exchange(sequence, Phase::Taken, Phase::Claimed) => {
                    return Some(Claim { thread: Ref::from_object(self), sequence });
                }
                (_, Phase::Taken) => {}
                _ => return None,
            }
        }
    }

    /// Claims the call `sequence` in the name of this CPU, which has the thread, blocked, and lets it go on by
    /// itself: by [`Tcb::end_claimed`]. False where it does not wait for its reply any more, or someone looks at it.
    #[inline]
    pub fn try_claim_taken(&self, sequence: u64) -> bool {
        self.wait.exchange(sequence, Phase::Taken, Phase::Claimed)
    }

    /// Gives back what [`Tcb::try_claim_taken`] claimed.
    pub fn unclaim(&self, sequence: u64) {
        self.wait.word.store(word(sequence, Phase::Taken), Ordering::Release);
    }

    /// Ends a wait that nobody else can claim: it is claimed by [`Tcb::try_claim_taken`], or stands in a queue
    /// whose lock is held. The thread's CPU, which calls, lets it go on without a wake.
    #[inline]
    pub fn end_claimed(&self) {
        let (sequence, _) = self.wait.load();
        self.wait.word.store(word(sequence, Phase::Idle), Ordering::Release);
    }

    /// The number of its wait, and the handle by which it has come to the queue that it stands in. `None` for one
    /// that has sent word of its fault, which was not asked for by any.
    ///
    /// # Safety
    /// The queue's lock is held.
    pub unsafe fn came_by(&self) -> Option<(u64, CapSlot)> {
        if self.sends_fault() {
            return None;
        }
        // SAFETY: whoever writes a queued thread's registers has taken it off the queue before.
        let [slot, ..] = unsafe { self.registers.with(|registers| registers.request()) };
        Some((self.wait.load().0, CapSlot::from_bits(slot)))
    }

    /// Whether it still is in the wait with that number, in the queue where that began.
    pub fn is_queued(&self, sequence: u64) -> bool {
        self.wait.load() == (sequence, Phase::Queued)
    }

    /// Whether it is in no wait. For itself, or whoever has its operation.
    #[inline]
    pub fn waits_for_nothing(&self) -> bool {
        self.wait.load().1 == Phase::Idle
    }

    /// Whether what it sends is word of its fault. While it waits.
    #[inline]
    pub fn sends_fault(&self) -> bool {
        self.wait.sending.load(Ordering::Relaxed) == Sending::Fault as u8
    }

    /// Whether what it sends is a call. While it waits.
    pub fn sends_call(&self) -> bool {
        self.wait.sending.load(Ordering::Relaxed) == Sending::Call as u8
    }

    /// The number of the wait that it is in, or was in last.
    pub fn wait_number(&self) -> u64 {
        self.wait.load().0
    }

    /// Its last wait was completed, and it ends without having seen that.
    pub fn set_unseen(&self) {
        self.wait.unseen.store(true, Ordering::Relaxed);
    }

    /// Whether it ended so.
    pub fn is_unseen(&self) -> bool {
        self.wait.unseen.load(Ordering::Relaxed)
    }

    /// Whether the answer is there; then the wait is over.
    pub fn take_ready(&self) -> bool {
        let (sequence, phase) = self.wait.load();
        phase == Phase::Ready && self.wait.exchange(sequence, Phase::Ready, Phase::Idle)
    }

    /// Who has to answer its call.
    ///
    /// # Safety
    /// Its wait was taken, and is claimed as long as this is used: so long the holder does not go.
    pub(super) unsafe fn holder(&self) -> Option<Holder<'_>> {
        // SAFETY: noted as the call was taken; the rest is the caller's.
        unsafe { Holder::from_pointer(self.wait.note.load(Ordering::Relaxed)) }
    }

    /// Notes who has to answer its call. While its wait is claimed, or by itself as it begins.
    #[inline]
    pub(super) fn set_holder(&self, holder: Holder<'_>) {
        self.wait.note.store(holder.to_pointer(), Ordering::Relaxed);
    }

    /// Ends the wait, whatever its phase, which it gives: idle where there was none, ready where its
    /// answer is written. A partner that has claimed it writes to the end first: with interrupts off and no
    /// lock to wait for but tables', where the answer brings capabilities. So whoever calls has no table locked.
    pub fn cancel_wait(&self) -> Phase {
        loop {
            let (sequence, phase) = self.wait.load();
            match phase {
                Phase::Idle => return phase,
                Phase::Claimed => core::hint::spin_loop(),
                Phase::Taken if self.try_claim_taken(sequence) => {
                    // SAFETY: it is claimed by itself.
                    let left = unsafe { self.holder() }.and_then(|holder| holder.leave(self));
                    self.end_claimed();
                    // Not the last reference: whoever calls has another.
                    if let Some((_, relent)) = left {
                        relent.announce();
                    }
                    return phase;
                }
                Phase::Taken => {}
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

    /// Claims the wait `sequence` of a thread that may stand in a queue, before it is taken off that: under its
    /// lock.
    pub fn waiting(thread: Ref<Tcb>, sequence: u64) -> Option<Self> {
        let claimed = thread.wait.exchange(sequence, Phase::Queued, Phase::Claimed);
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

    /// The thread, whose wait has been ended otherwise.
    pub fn into_thread(self) -> Ref<Tcb> {
        self.thread
    }

    /// Runs `f` on who has to answer, where the call was taken.
    pub(super) fn with_holder<R>(&self, f: impl FnOnce(Holder<'_>) -> R) -> Option<R> {
        // SAFETY: the wait is claimed, and was taken.
        unsafe { self.thread.holder() }.map(f)
    }

    /// The number of the wait.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The badge of a queued sender's capability, and what it sends.
    pub fn sending(&self) -> (u64, Sending) {
        let wait = &self.thread.wait;
        (wait.noted_number(), wait.sending())
    }

    /// Writes the answer and wakes the thread. One that has sent word of its fault keeps its registers, and
    /// goes on where the answer is a message that says so.
    pub fn complete(self, answer: Result<Registers, Error>) {
        if self.thread.wait.sending() == Sending::Fault {
            let label = answer.and_then(|answer| Ok(Tag::from_bits(answer.control[1])?.label()));
            let verdict = if label == Ok(RESUME) { RESUMED } else { REFUSED };
            self.thread.wait.note_number(verdict);
        } else {
            self.with_registers(|registers| write_answer(registers, answer));
        }
        self.thread.wait.word.store(word(self.sequence, Phase::Ready), Ordering::Release);
        self.thread.wake();
    }

    /// The call has been taken: from now on it waits for its reply.
    pub fn taken(self) {
        self.thread.wait.word.store(word(self.sequence, Phase::Taken), Ordering::Release);
    }
}
