//! What the CPU that has a thread does with it: polls its operation, keeps its slice, its budget and the
//! registers that the entry code leaves alone, and ends it.

use core::{
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
};

use orbital_abi::{Error, ExitReason, trace::EventKind};
use orbital_executor::waker;

use super::{Current, Outcome, Tcb, Ties, budget::Budget, home::Home, state::ThreadState};
use crate::{arch::FpuState, object::PaidRoom, trace};

unsafe extern "Rust" {
    /// Unbinds what was bound to a thread that has ended. In `ipc`.
    safe fn orbital_thread_unbound(thread: &Tcb, ties: &Ties);
}

/// What a thread that leaves its CPU has in its segment registers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Segments {
    /// Null selectors, and bases that are 0.
    Null,
    /// Perhaps others.
    Any,
}

impl Segments {
    /// Others than null if `may_be`.
    #[inline(always)]
    pub fn any_if(may_be: bool) -> Self {
        if may_be { Self::Any } else { Self::Null }
    }
}

impl Current {
    fn with_home<R>(&self, f: impl FnOnce(&mut Home) -> R) -> R {
        // SAFETY: this proof says that the thread is this CPU's. The methods below call nothing that
        // comes here again: an operation's future has no proof.
        unsafe { self.local.with(f) }
    }

    /// Puts the future of its operation into the slot, which is empty.
    pub fn set_operation(&self, future: impl Future<Output = Outcome> + 'static) {
        self.with_home(|home| home.slot().set(future));
    }

    /// Puts the future of its operation into the slot, which is known to be empty: it enters the kernel with none.
    #[inline(always)]
    pub fn begin_operation(&self, future: impl Future<Output = Outcome> + 'static) {
        self.with_home(|home| home.slot().fill(future));
    }

    /// Whether it is in the middle of an operation.
    pub fn has_operation(&self) -> bool {
        self.with_home(|home| !home.slot().is_empty())
    }

    /// Whether its operation is an `F`.
    #[inline(always)]
    pub fn is_in<F: Future<Output = Outcome> + 'static>(&self) -> bool {
        self.with_home(|home| home.slot().holds::<F>())
    }

    /// Runs `f` on its operation, if that is an `F`.
    pub fn with_operation<F: Future<Output = Outcome> + 'static, R>(
        &self,
        f: impl FnOnce(&F) -> R,
    ) -> Option<R> {
        self.with_home(|home| home.slot().get().map(f))
    }

    /// Takes its operation, if that is an `F`, out of the slot.
    #[inline]
    pub fn take_operation<F: Future<Output = Outcome> + Unpin + 'static>(&self) -> Option<F> {
        self.with_home(|home| home.slot().take())
    }

    /// Polls the operation. The slot is empty afterwards where it is ready.
    pub fn poll_operation(&self) -> Poll<Outcome> {
        // SAFETY: the pointer is for the whole TCB, which outlives the poll.
        let waker = unsafe { waker::waker_ref(self.task_pointer()) };
        let mut context = Context::from_waker(&waker);
        self.with_home(|home| home.slot().poll(&mut context))
    }

    /// What is left of its slice when it leaves the CPU, in nanoseconds.
    pub fn set_slice_left(&self, left: u64) {
        self.with_home(|home| home.slice_left = left);
    }

    /// What is left of its slice, in nanoseconds.
    pub fn slice_left(&self) -> u64 {
        self.with_home(|home| home.slice_left)
    }

    /// Runs `f` on its budget, if it has one.
    pub fn with_budget<R>(&self, f: impl FnOnce(Pin<&mut Budget>) -> R) -> Option<R> {
        self.with_home(|home| home.budget.as_mut().map(|budget| f(budget.as_mut())))
    }

    /// Takes the budget that it shall have.
    pub fn take_budget(&self) {
        let Some(new) = self.take_wanted_budget() else { return };
        self.pay_from(new.as_ref().map(|budget| budget.account().clone()));
        drop(self.with_home(|home| core::mem::replace(&mut home.budget, new)));
    }

    /// Gives it floating point, or says why not.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn give_fpu(&self) -> Result<(), Error> {
        let room = PaidRoom::new(FpuState::layout(), &self.process.quota)?;
        // SAFETY: the room has the layout, and stays with the state.
        let state = unsafe { FpuState::new(room.pointer()) };
        state.restore();
        self.with_home(|home| home.fpu = Some((state, room)));
        self.set_own_registers(true);
        Ok(())
    }

    /// It leaves the CPU: keeps the registers that the entry code leaves alone.
    pub fn leave_cpu(&self) {
        let has_own = self.with_home(|home| {
            home.segments.save();
            if let Some((state, _)) = &mut home.fpu {
                state.save();
            }
            home.fpu.is_some() || !home.segments.are_null()
        });
        self.set_own_registers(has_own);
    }

    /// It comes to the CPU: loads those registers, or makes the first use of floating point trap.
    pub fn enter_cpu(&self) {
        self.with_home(|home| {
            home.segments.restore();
            match &home.fpu {
                Some((state, _)) => state.restore(),
                None => FpuState::forbid(),
            }
        });
    }

    /// It leaves the CPU to `next`: does what [`Current::leave_cpu`] and [`Current::enter_cpu`] do.
    #[inline(always)]
    pub fn give_cpu_to(&self, next: &Current) {
        let has_fpu = |thread: &Current| thread.with_home(|home| home.fpu.is_some());
        if has_fpu(self) || has_fpu(next) {
            return self.again().give_cpu_and_fpu_to(&next.again());
        }
        // Neither has floating point, whose use traps and goes on to do so.
        let has_own = self.with_home(|own| {
            next.with_home(|next| own.segments.switch(&next.segments));
            !own.segments.are_null()
        });
        self.set_own_registers(has_own);
    }

    /// The same, where all of its segment registers are null.
    #[inline(always)]
    pub fn give_null_to(&self, next: &Current) {
        let has_own = |thread: &Current| thread.has_own_registers.load(Relaxed);
        // One look at both: nearly always neither has.
        if has_own(self) | has_own(next) {
            self.again().give_cpu_and_fpu_to(&next.again());
        }
    }

    #[inline(always)]
    fn set_own_registers(&self, has: bool) {
        self.has_own_registers.store(has, Relaxed);
    }

    #[inline(never)]
    fn give_cpu_and_fpu_to(&self, next: &Current) {
        self.leave_cpu();
        next.enter_cpu();
    }

    /// Ends it: cancels its operation, drops the reply that it owes, tells those who wait. It never
    /// runs again.
    pub fn finish(&self, reason: ExitReason) {
        let [what, how, place, _] = reason.encode();
        trace::note(EventKind::ThreadEnd, self.who(), [what, how, place]);
        self.with_home(|home| home.slot().clear());
        let own = self.with_home(|home| (home.fpu.take(), home.budget.take()));
        drop(own);
        drop(self.take_wanted_budget());
        self.pay_from(None);
        drop(self.owed().take());
        let ties = self.end_ties(reason);
        self.set_state(ThreadState::Ended);
        self.drop_message_page();
        self.give_slots_back();
        if ties.notification.is_some() || ties.endpoint.is_some() {
            orbital_thread_unbound(self, &ties);
        }
        drop(ties);
        self.control.changes.wake_all();
        self.process.thread_ended(&**self, reason);
    }
}
