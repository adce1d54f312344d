//! The trace, read by programs.
#![forbid(unsafe_code)]

use orbital_abi::trace::{EventKind, Traced};

use super::{CapSlot, Error, ExitReason, Kernel, Registers, Rights, Syscall, system, user};
use crate::{arch::host::MACHINE_CPUS, trace::tests::Level};

#[test]
fn a_program_reads_the_trace_with_the_right_to_and_not_without() {
    let mut kernel = Kernel::boot();
    let _level = Level::set("trace=events");
    let process = kernel.process("reads");
    let slots = [Rights::STATISTICS, Rights::LOG].map(|rights| system(&process, rights));
    let reads = kernel.thread(&process, 10, async move {
        let [allowed, other] = slots.map(CapSlot::bits);
        let read = |system, cpu, position| {
            let registers = Registers::control([system, cpu, position, 0]);
            user::syscall(Syscall::SystemTrace as u64, registers)
        };
        let (mut next, mut last) = (0, None);
        let error = loop {
            match read(allowed, 0, next).await {
                Ok(registers) => {
                    let traced = Traced::decode(&registers).expect("an event");
                    assert_eq!(traced.next, next + traced.lost + 1);
                    (next, last) = (traced.next, Some(traced.event));
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::WouldBlock);
        let last = last.expect("its own start");
        assert_eq!(last.kind, EventKind::ThreadStart);
        assert_eq!(read(allowed, 0, u64::MAX).await, Err(Error::WouldBlock));
        for cpu in [MACHINE_CPUS as u64, u64::MAX] {
            assert_eq!(read(allowed, cpu, 0).await, Err(Error::InvalidArgument), "{cpu}");
        }
        assert_eq!(read(other, 0, 0).await, Err(Error::MissingRights));
        assert_eq!(read(0, 0, 0).await, Err(Error::EmptySlot));
        last.thread
    });
    reads.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(reads.exit_reason(), Some(ExitReason::Exited(reads.id.0)));
}
