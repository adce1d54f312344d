//! The queue by itself: the reaper is asleep while the test does not let the machine run.
#![forbid(unsafe_code)]

use orbital_abi::ExitReason;

use super::{pop, push};
use crate::tests::kernel::Kernel;

#[test]
fn processes_are_reaped_once_and_in_the_order_of_their_ends() {
    let mut kernel = Kernel::boot();
    let processes: Vec<_> = (0..4).map(|_| kernel.process("p")).collect();
    kernel.run_until_idle();
    assert!(pop().is_none());
    for index in [2, 0, 3, 1] {
        assert!(processes[index].end(ExitReason::Killed));
        // Queued already: once is enough.
        push(processes[2].clone());
    }
    let taken: Vec<_> = core::iter::from_fn(pop).collect();
    assert_eq!(taken.len(), 4);
    for (taken, index) in taken.iter().zip([2, 0, 3, 1]) {
        assert!(taken.is(&processes[index]));
    }
    // One that was taken can be queued again.
    push(taken[3].clone());
    assert!(pop().is_some_and(|again| again.is(&taken[3])) && pop().is_none());
    taken.into_iter().for_each(push);
    kernel.run_until_idle();
    assert!(processes.iter().all(|process| process.exit_reason().is_some()));
}

#[test]
fn a_process_that_has_ended_may_be_queued_without_harm() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    process.end(ExitReason::Exited(1));
    kernel.run_until_idle();
    push(process.clone());
    kernel.run_until_idle();
    assert_eq!(process.exit_reason(), Some(ExitReason::Exited(1)));
}
