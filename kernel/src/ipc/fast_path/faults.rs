//! Word of a fault to a handler that waits for it on this CPU.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Fault, fault::FaultMessage};

use super::{
    super::{Endpoint, fault::Handled, transfer},
    receiver, start_of, taken,
};
use crate::{
    arch::{self, SavedRegisters, quick::Quick},
    sched::direct,
    thread::{BlockReason, Current, Segments, Sending},
};

/// Word of the current thread's fault, to be answered like a call.
pub fn fault_at_once(current: &Current, fault: &Fault) -> Option<Quick<SavedRegisters>> {
    if !direct::is_possible() {
        return None;
    }
    let cpu = arch::cpu_index();
    let (handler, next, badge) = current.with_fault_handler(|handler| {
        let endpoint: &Endpoint = handler.endpoint.get().ok()?;
        let mut queues = endpoint.lock();
        let first = queues.first_receiver()?;
        let next = receiver(current, &first, cpu).filter(start_of)?;
        Some((first.take(), next, handler.badge))
    })?;
    current.set_fault(badge, fault);
    let message = FaultMessage { fault: *fault, thread: current.id.0 }.encode();
    let delivered = transfer::delivered(badge, &message, Sending::Fault, CapSlot::NULL);
    next.with_registers(|registers| registers.set_answer(0, &delivered));
    let waiting = Handled::begun(current, *fault);
    current.set_block_reason(BlockReason::WaitingHandler);
    current.begin_operation(waiting);
    taken(current, Sending::Fault, 0, &next);
    Some(direct::switch(current, handler, &next, Segments::Any, Quick::saved))
}
