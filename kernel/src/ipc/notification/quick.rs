//! Signals and waits that leave nothing for the dispatcher, as quick system calls. A signal for a thread of this CPU
//! puts it into the run queue with its answer written; a wait gives the CPU to the first one there (`sched::in_turn`).
//!
//! They are short cuts through the general path, as those of messages are: where anything is out of the ordinary the
//! answer is `None`, nothing has changed, and the general path is gone from its beginning.
#![forbid(unsafe_code)]

use core::mem;

use orbital_abi::{CapSlot, Deadline, Rights};

use super::Notification;
use crate::{
    arch::{self, SavedRegisters, quick::Bare},
    ipc::waiting::Waiting,
    lock::lock,
    object::Ref,
    sched::{
        direct,
        in_turn::{self, Successor},
    },
    thread::{BlockReason, Current, Phase, Segments, Sending, Tcb},
};

/// The current thread's signal of `bits` by the capability in `slot`, if that can be quick now.
#[inline(always)]
pub fn signal_at_once(current: &Current, slot: u64, bits: u64) -> Option<Bare<SavedRegisters>> {
    if bits == 0 || !direct::is_possible() {
        return None;
    }
    let cpu = arch::cpu_index();
    let signalled = current.process.with_capability(CapSlot::from_bits(slot), |capability| {
        let notification: &Notification = capability.allows(Rights::SEND)?;
        let mask = capability.badge();
        let is_allowed = mask == 0 || bits & !mask == 0;
        is_allowed.then(|| notification.signal_here(bits, cpu))?
    });
    let woken = signalled.ok()??;
    let quick = answer(current, 0);
    Some(match woken {
        None => quick,
        Some(thread) => in_turn::go_on_before(thread, quick),
    })
}

/// The current thread's wait for signals by the capability in `slot`, if that can be quick now.
#[inline(always)]
pub fn wait_at_once(
    current: &Current,
    slot: u64,
    deadline: u64,
    segments: Segments,
) -> Option<Bare<SavedRegisters>> {
    if !direct::is_possible() {
        return None;
    }
    let cpu = arch::cpu_index();
    let found = current.process.with_capability(CapSlot::from_bits(slot), |capability| {
        let notification: &Notification = capability.allows(Rights::RECEIVE)?;
        Some(match notification.take_or_queue_here(current, deadline, cpu)? {
            Ok(bits) => Ok(bits),
            Err(successor) => {
                capability.note_wait();
                Err((successor, Ref::from_object(notification)))
            }
        })
    });
    Some(match found.ok()?? {
        Ok(bits) => answer(current, bits),
        Err((successor, notification)) => {
            let now = current.set_block_reason(BlockReason::WaitingSignal);
            current.begin_operation(Waiting::begun(current, Some(notification)));
            in_turn::give_way(current, successor, now, segments, |next| {
                if let Some(waiting) = next.take_operation::<Waiting<Notification>>() {
                    waiting.end_over();
                }
                [next.with_registers(|registers| registers.first()), 0, 0]
            })
        }
    })
}

/// The current thread goes on, with `bits` as the answer.
#[inline(always)]
fn answer(current: &Current, bits: u64) -> Bare<SavedRegisters> {
    Bare::with_control(current.register_pointer(), [bits, 0, 0])
}

impl Notification {
    /// Signals `bits`, if nobody waits or a thread of this CPU does: which is given them all, and has to go on then.
    #[inline(always)]
    fn signal_here(&self, bits: u64, cpu: usize) -> Option<Option<Ref<Tcb>>> {
        let mut state = lock(&self.state);
        let Some(first) = state.waiters.first() else {
            if state.closed || state.bound.is_some() {
                return None;
            }
            state.bits |= bits;
            return Some(None);
        };
        // Whose capability may be kept in its tree for its wait, that is let go where the general way ends it.
        let next = in_turn::blocked_here(first, cpu)?;
        let is_ready = next.is_in::<Waiting<Self>>() && !next.process.table.lingers();
        if !is_ready || !next.task().start_unwoken() {
            return None;
        }
        next.give_signals(bits);
        Some(state.waiters.pop_front())
    }

    /// Takes all signals for the current thread of `cpu`, this one. Where there are none it queues that, if its wait has
    /// no deadline, and gives who goes on instead.
    #[inline(always)]
    fn take_or_queue_here(
        &self,
        current: &Current,
        deadline: u64,
        cpu: usize,
    ) -> Option<Result<u64, Successor>> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        let bits = mem::take(&mut state.bits);
        if bits != 0 {
            return Some(Ok(bits));
        }
        if deadline != Deadline::Never.bits() {
            return None;
        }
        let successor = in_turn::take_successor(cpu)?;
        current.begin_wait(Phase::Queued, Sending::Message, 0);
        state.waiters.insert(direct::leave(current));
        Some(Err(successor))
    }
}
