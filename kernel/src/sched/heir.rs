//! The rest of a slice goes along with a call and with its answer: who has called and waits, or has answered and
//! waits for the next call, leaves it to the other one, if that is a thread of the same CPU. That goes on before its equals,
//! as after a [direct switch](super::direct), which does the same at once.
#![forbid(unsafe_code)]

use super::{
    cpu::CPU,
    place::{self, End},
};
use crate::{
    arch::{self, clock},
    object::Ref,
    thread::Tcb,
};

/// The current thread waits from now on, and leaves the rest of its slice to `heir`, which it has just woken.
pub fn leave_slice_to(heir: Ref<Tcb>) {
    if heir.home() == arch::cpu_index() {
        CPU.here().heir.set(Some(heir));
    }
}

/// The current thread has left the CPU to wait; all who were woken stand in the run queue.
pub(super) fn inherit() {
    let cpu = CPU.here();
    let Some(heir) = cpu.heir.take() else { return };
    if heir.home() != arch::cpu_index() {
        return;
    }
    let left = cpu.slice_end.get().saturating_sub(clock::nanoseconds());
    let is_first = cpu.ready.borrow().first(heir.priority()).is_some_and(|first| heir.is(first));
    if is_first {
        place::set_slice_left(&heir, left);
    } else if let Some(thread) = place::take_from_ready(&heir) {
        // One that is not there was suspended, or has no budget left.
        place::set_slice_left(&thread, left);
        place::make_ready(thread, End::Front);
    }
}
