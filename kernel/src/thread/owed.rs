//! Calls that were taken and not answered. A thread owes the one that it took last, until it is answered,
//! dropped or [kept](crate::ipc::reply) elsewhere; each has one place, a [`OwedCell`], which its caller knows.
//!
//! ```text
//!   cell of a thread, or of a kept reply              caller's TCB, its wait "taken"
//!   ┌─────────────────────┐       counted            ┌──────────┐
//!   │ caller, sequence    ├─────────────────────────►│          │
//!   │                     │◄─────────────────────────┤ holder   │
//!   └─────────────────────┘      not counted         └──────────┘
//! ```
//! So a caller that gives up or ends takes itself out at once, and nothing keeps it that it does not know of.
//! The cell remembers that there was one, for whoever answers it. Beside the caller stands the priority that it
//! [lends](super::lending).
//!
//! Who may do what:
//! - A call is put into a cell, and moved to another one, while the caller's wait is claimed, or by the caller
//!   before it waits.
//! - A holder takes the call out by one exchange; then the reference is its own. Of several who want to answer a kept
//!   reply the first leaves the mark "in hand", until it has answered, or could not. The others are told, and don't wait.
//! - A caller that cancels claims its own wait first ([`Tcb::cancel_wait`]), then takes itself out of the cell if it
//!   is there still, and ends the wait last. A holder that has it in its hands finds the wait claimed, and waits
//!   those few instructions. It has to claim that wait before the cell goes: so the cell outlives the caller's
//!   look at it. The lifetime of [`Owed`] says that.

mod word;

use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

use orbital_abi::Error;
use word::{GONE, IN_HAND, NOTHING, caller, is_call, lends, pack};

use super::{Claim, Current, Tcb, lending::Relent};
use crate::object::Ref;

/// The right and duty to answer a call: one-shot, and worth nothing once the caller is gone. It was taken out of a
/// cell that lives for `'a`.
pub struct Owed<'a> {
    /// Who waits.
    pub caller: Ref<Tcb>,
    /// Which of its waits.
    pub sequence: u64,
    cell: PhantomData<&'a OwedCell>,
}

impl Owed<'_> {
    /// The call is answered: whoever waited goes on.
    pub fn answered(self) -> Ref<Tcb> {
        let this = ManuallyDrop::new(self);
        // SAFETY: it is read once, and never dropped there.
        unsafe { ptr::read(&this.caller) }
    }

    /// The right to answer, unless the caller has given up.
    pub fn claim(self) -> Option<Claim> {
        let claim = self.caller.claim_taken(self.sequence);
        drop(self.answered());
        claim
    }

    /// Puts it into the cell of `holder`, which is empty. False where the caller has given up: the cell notes that.
    pub fn put_into(self, holder: Holder<'_>) -> bool {
        let Some(claim) = self.caller.claim_taken(self.sequence) else {
            holder.cell().set_gone();
            drop(self.answered());
            return false;
        };
        let sequence = self.sequence;
        holder.hook_first(self.answered(), sequence);
        claim.taken();
        true
    }
}

impl Drop for Owed<'_> {
    /// A reply that is dropped wakes the caller with [`Error::PeerGone`].
    fn drop(&mut self) {
        refuse(&self.caller, self.sequence);
    }
}

/// Nobody will answer that call: its caller is told, if it waits still.
fn refuse(caller: &Tcb, sequence: u64) {
    if let Some(claim) = caller.claim_taken(sequence) {
        claim.complete(Err(Error::PeerGone));
    }
}

/// Whose cell it is.
#[derive(Clone, Copy)]
pub enum Holder<'a> {
    /// That thread's, which has to answer.
    Thread(&'a Tcb),
    /// A kept reply's, which any thread of a process answers.
    Kept(&'a OwedCell),
}

/// Marks a kept reply's cell, in the pointer to it.
const KEPT: usize = 1;

impl<'a> Holder<'a> {
    /// The cell.
    #[inline]
    pub fn cell(self) -> &'a OwedCell {
        match self {
            Self::Thread(thread) => &thread.owed,
            Self::Kept(cell) => cell,
        }
    }

    /// For the caller's TCB.
    #[inline]
    pub(super) fn to_pointer(self) -> *mut () {
        match self {
            Self::Thread(thread) => ptr::from_ref(thread).cast_mut().cast(),
            Self::Kept(cell) => {
                ptr::from_ref(cell).cast_mut().cast::<()>().map_addr(|at| at | KEPT)
            }
        }
    }

    /// What [`Holder::to_pointer`] gave; `None` for null.
    ///
    /// # Safety
    /// It is there for `'a`.
    pub(super) unsafe fn from_pointer(pointer: *mut ()) -> Option<Self> {
        if pointer.is_null() {
            return None;
        }
        let is_kept = pointer.addr() & KEPT != 0;
        let pointer = pointer.map_addr(|at| at & !KEPT);
        // SAFETY: the caller's; the mark tells which of both it is.
        Some(unsafe {
            match is_kept {
                true => Self::Kept(&*pointer.cast()),
                false => Self::Thread(&*pointer.cast()),
            }
        })
    }

    /// Takes `caller` out, if it is there, and notes that it was. Its wait is claimed. Gives its reference, and what has
    /// to be announced.
    pub(super) fn leave(self, caller: &Tcb) -> Option<(Ref<Tcb>, Relent)> {
        let relent = self.exchange(caller, GONE)?;
        // SAFETY: the reference that `hook` gave away, and that nobody else takes back.
        Some((unsafe { Ref::from_raw(NonNull::from(caller)) }, relent))
    }

    /// `caller` lends that from now on, if it is there. Its wait is claimed.
    pub(super) fn lend(self, caller: &Tcb, lends: u8) -> Option<Relent> {
        self.exchange(caller, pack(ptr::from_ref(caller).cast_mut(), lends))
    }

    /// Puts `new` in the place of `caller`, if that is there.
    fn exchange(self, own: &Tcb, new: *mut Tcb) -> Option<Relent> {
        let word = &self.cell().caller;
        let old = word.load(Ordering::Relaxed);
        if caller(old) != ptr::from_ref(own).cast_mut() {
            return None;
        }
        // What it lends is changed by whoever has claimed its wait, so it is out when this fails.
        word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(match self {
            Self::Thread(thread) => thread.lent_otherwise(lends(old), lends(new)),
            Self::Kept(_) => Relent::NOBODY,
        })
    }

    /// Puts a call in, whose caller's wait is claimed, or has just been begun by the caller itself. Gives what was
    /// there.
    pub(super) fn hook(self, caller: Ref<Tcb>, sequence: u64) -> Option<Owed<'a>> {
        let before = match self.cell().take() {
            Found::Call(before) => Some(before),
            Found::Nothing | Found::Gone | Found::InHand => None,
        };
        self.hook_first(caller, sequence);
        before
    }

    /// The same, where no call is.
    #[inline]
    fn hook_first(self, caller: Ref<Tcb>, sequence: u64) {
        let lends = caller.lends();
        self.hook_lending(caller, sequence, lends);
    }

    /// The same of a caller that lends that.
    #[inline]
    fn hook_lending(self, caller: Ref<Tcb>, sequence: u64, lends: u8) {
        let cell = self.cell();
        debug_assert!(!cell.is_some(), "the call that it owed is lost");
        caller.set_holder(self);
        cell.sequence.store(sequence, Ordering::Relaxed);
        cell.caller.store(pack(caller.into_raw().as_ptr(), lends), Ordering::Release);
    }
}

/// The place for one.
#[derive(Default)]
pub struct OwedCell {
    /// Counted, where it is a thread; and what it lends.
    caller: AtomicPtr<Tcb>,
    /// Which of its waits. The holder's alone.
    sequence: AtomicU64,
}

/// What was in a cell.
pub enum Found<'a> {
    /// Nothing.
    Nothing,
    /// A call whose caller has given up, or ended.
    Gone,
    /// A kept call that someone else is about to answer, or to put back.
    InHand,
    /// A call.
    Call(Owed<'a>),
}

impl OwedCell {
    /// An empty one.
    pub const fn new() -> Self {
        Self { caller: AtomicPtr::new(NOTHING), sequence: AtomicU64::new(0) }
    }

    /// Takes out what is there.
    #[inline]
    pub fn take(&self) -> Found<'_> {
        match self.caller.swap(NOTHING, Ordering::AcqRel) {
            NOTHING => Found::Nothing,
            GONE => Found::Gone,
            IN_HAND => Found::InHand,
            word => Found::Call(self.owed(word)),
        }
    }

    /// Takes out what is there, of a kept reply that others may want to answer: who gets the call has it in hand until it
    /// [puts that down](OwedCell::put_down), or [back](Claim::put_back).
    pub fn pick_up(&self) -> Found<'_> {
        self.take_leaving(IN_HAND)
    }

    /// Takes out what is there, of a kept reply that nobody answers any more, unless someone has it in hand.
    pub fn give_up(&self) -> Found<'_> {
        self.take_leaving(NOTHING)
    }

    /// It is not in hand any more: it was answered, or its caller has given up.
    pub fn put_down(&self) {
        self.caller.store(NOTHING, Ordering::Release);
    }

    fn take_leaving(&self, left: *mut Tcb) -> Found<'_> {
        let mut word = self.caller.load(Ordering::Relaxed);
        loop {
            let next = match word {
                NOTHING => return Found::Nothing,
                IN_HAND => return Found::InHand,
                GONE => NOTHING,
                _ => left,
            };
            // The caller may give up, or lend something else.
            match self.caller.compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(GONE) => return Found::Gone,
                Ok(word) => return Found::Call(self.owed(word)),
                Err(now) => word = now,
            }
        }
    }

    /// Takes out a call whose caller waits, if there is one.
    #[inline]
    pub fn take_call(&self) -> Option<Owed<'_>> {
        let word = self.caller.swap(NOTHING, Ordering::AcqRel);
        if is_call(word) {
            return Some(self.owed(word));
        }
        self.caller.store(word, Ordering::Relaxed);
        None
    }

    /// Puts what is there into the cell of `other`, which is empty.
    pub fn move_to(&self, other: Holder<'_>) {
        match self.take() {
            Found::Nothing | Found::InHand => {}
            Found::Gone => other.cell().set_gone(),
            Found::Call(call) => drop(call.put_into(other)),
        }
    }

    /// Whether a caller waits.
    pub fn is_some(&self) -> bool {
        is_call(self.caller.load(Ordering::Relaxed))
    }

    /// Notes that the caller is gone. In an empty one.
    pub fn set_gone(&self) {
        self.caller.store(GONE, Ordering::Relaxed);
    }

    /// Whether a caller waits, or has given up since.
    pub fn is_owed(&self) -> bool {
        !self.caller.load(Ordering::Relaxed).is_null()
    }

    /// The priority that its caller lends; 0 without one.
    #[inline]
    pub(super) fn lent(&self) -> u8 {
        lends(self.caller.load(Ordering::Acquire))
    }

    /// What was just taken out.
    fn owed(&self, word: *mut Tcb) -> Owed<'_> {
        // SAFETY: none of the other values, so it is the reference that `hook` gave away.
        let caller = unsafe { Ref::from_raw(NonNull::new_unchecked(caller(word))) };
        Owed { caller, sequence: self.sequence.load(Ordering::Relaxed), cell: PhantomData }
    }
}

impl Drop for OwedCell {
    /// What is there is dropped.
    fn drop(&mut self) {
        self.take();
    }
}

/// A call that a thread owed until it took the next one. Keeps the thread, until the caller is told.
pub struct Displaced {
    caller: Ref<Tcb>,
    sequence: u64,
    _server: Ref<Tcb>,
}

impl Drop for Displaced {
    /// As [`Owed`].
    fn drop(&mut self) {
        refuse(&self.caller, self.sequence);
    }
}

impl Current {
    /// It has taken a call, whose caller's wait is claimed. Gives the one that it had not answered.
    pub fn owe(&self, caller: Ref<Tcb>, sequence: u64) -> Option<Owed<'_>> {
        Holder::Thread(self).hook(caller, sequence)
    }

    /// The same, where it owed none, of a caller without a budget. It is as urgent as that from here on: for this CPU,
    /// which has it in no run queue.
    #[inline]
    pub fn owe_first(&self, caller: Ref<Tcb>, sequence: u64) {
        let lends = caller.priority();
        Holder::Thread(self).hook_lending(caller, sequence, lends);
        if self.priority() < lends {
            self.set_priority(lends);
        }
    }
}

impl Tcb {
    /// The call that it has to answer. What is there is for the thread alone, or for whoever has claimed its wait,
    /// to change; and for the caller, to leave.
    #[inline]
    pub fn owed(&self) -> &OwedCell {
        &self.owed
    }

    /// The thread that has to answer its call, if that was taken and not kept, and the number of its wait.
    pub fn answerer(&self) -> Option<(u64, Ref<Tcb>)> {
        let claim = self.claim_taken(self.wait_number())?;
        let sequence = claim.sequence();
        // SAFETY: it is claimed until the reference to the holder is counted.
        let thread = match unsafe { self.holder() } {
            Some(Holder::Thread(thread)) => Some(Ref::from_object(thread)),
            _ => None,
        };
        claim.taken();
        Some((sequence, thread?))
    }
}

impl Claim {
    /// The thread's call, which was taken out of the cell of `holder`, is put back there.
    pub fn put_back(self, holder: Holder<'_>) {
        holder.hook_first(self.thread().clone(), self.sequence());
        self.taken();
    }

    /// The thread has taken a call of the current thread's, whose wait has just begun. Gives the one that it had not
    /// answered, to be dropped when no wait is claimed.
    pub fn owe(&self, caller: Ref<Tcb>, sequence: u64) -> Option<Displaced> {
        let server = self.thread();
        let before = Holder::Thread(server).hook(caller, sequence)?;
        let sequence = before.sequence;
        Some(Displaced { caller: before.answered(), sequence, _server: server.clone() })
    }
}
