//! What a wait keeps of the fault that its thread sends word of.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering;

use orbital_abi::{Fault, FaultKind, fault::FaultMessage};

use super::{Claim, RESUMED, Sending, Tcb};

impl Tcb {
    /// Notes the fault that it sends word of. Before [`Tcb::begin_wait`].
    pub fn set_fault(&self, badge: u64, fault: &Fault) {
        self.set_badge(badge);
        self.wait.fault_kind.store(fault.kind as u8, Ordering::Relaxed);
        self.wait.fault_address.store(fault.address, Ordering::Relaxed);
    }

    /// Claims the wait for its fault handler, if that has taken the fault and not answered.
    pub fn claim_fault(&self) -> Option<Claim> {
        let sequence = self.wait.load().0;
        // Another wait that has begun since has another number.
        (self.wait.sending() == Sending::Fault).then(|| self.claim_taken(sequence))?
    }

    /// Whether its fault handler lets it go on. Once its wait is over.
    pub fn is_resumed(&self) -> bool {
        self.wait.noted_number() == RESUMED
    }
}

impl Claim {
    /// The fault that the thread sends word of.
    pub fn fault(&self) -> FaultMessage {
        let wait = &self.thread.wait;
        let kind = wait.fault_kind.load(Ordering::Relaxed);
        let kind = FaultKind::ALL.into_iter().find(|known| *known as u8 == kind);
        let fault = Fault {
            kind: kind.unwrap_or(FaultKind::Other),
            address: wait.fault_address.load(Ordering::Relaxed),
            instruction_pointer: self.with_registers(|registers| registers.instruction_pointer()),
        };
        FaultMessage { fault, thread: self.thread.id.0 }
    }
}
