//! Threads by themselves: the word over which completers compete; queues.
//!
//! The calls that need a promise of the caller's are made here as the layers above make them.

use orbital_abi::{Error, Registers};

use super::{Claim, Current, Owed, Phase, SLOT_BYTES, Sending, Tcb};
use crate::{object::Ref, tests::kernel::Kernel};

mod queues;

fn threads(kernel: &mut Kernel, count: usize) -> Vec<Ref<Tcb>> {
    let process = kernel.init.clone();
    (0..count).map(|_| kernel.thread(&process, 7, async { 0 })).collect()
}

#[test]
fn a_wait_has_one_completer() {
    let mut kernel = Kernel::boot();
    let thread = threads(&mut kernel, 1).remove(0);
    assert!(Claim::queued(thread.clone()).is_none(), "it does not wait");
    let sequence = thread.begin_wait(Phase::Queued, Sending::Call);
    assert!(thread.claim_taken(sequence).is_none(), "nobody took it");
    assert!(!thread.take_ready());
    let claim = Claim::queued(thread.clone()).unwrap();
    assert_eq!(claim.sequence(), sequence);
    assert!(Claim::queued(thread.clone()).is_none(), "someone has it");
    let answer = Registers::control([1, 2, 3, 4]);
    claim.complete(Ok(answer));
    assert!(thread.take_ready() && !thread.take_ready(), "once");
    // SAFETY: the thread does not run, and this is the only proof.
    let current = unsafe { Current::new(&thread) };
    assert_eq!(current.with_registers(|registers| registers.answer()), Ok(answer));
}

#[test]
fn a_reply_answers_the_call_that_it_was_made_for_and_no_later_one() {
    let mut kernel = Kernel::boot();
    let thread = threads(&mut kernel, 1).remove(0);
    let first = thread.begin_wait(Phase::Queued, Sending::Call);
    Claim::queued(thread.clone()).unwrap().taken();
    thread.cancel_wait();
    assert!(thread.claim_taken(first).is_none(), "it was cancelled");
    let second = thread.begin_wait(Phase::Taken, Sending::Call);
    assert_ne!(first, second);
    assert!(thread.claim_taken(first).is_none());
    drop(Owed { caller: thread.clone(), sequence: first });
    assert!(!thread.take_ready(), "a reply of the past wakes nobody");
    drop(Owed { caller: thread.clone(), sequence: second });
    assert!(thread.take_ready());
    // SAFETY: as above.
    let current = unsafe { Current::new(&thread) };
    let answer = current.with_registers(|registers| registers.answer());
    assert_eq!(answer, Err(Error::PeerGone), "it was dropped");
}

#[test]
fn a_wait_is_cancelled_in_every_phase() {
    let mut kernel = Kernel::boot();
    let thread = threads(&mut kernel, 1).remove(0);
    thread.cancel_wait();
    thread.begin_wait(Phase::Queued, Sending::Call);
    thread.cancel_wait();
    assert!(Claim::queued(thread.clone()).is_none());
    let sequence = thread.begin_wait(Phase::Taken, Sending::Call);
    thread.cancel_wait();
    assert!(thread.claim_taken(sequence).is_none());
    let sequence = thread.begin_wait(Phase::Taken, Sending::Call);
    thread.claim_taken(sequence).unwrap().complete(Err(Error::PeerGone));
    thread.cancel_wait();
    assert!(!thread.take_ready());
    assert_eq!(thread.begin_wait(Phase::Queued, Sending::Call), sequence + 1);
    thread.cancel_wait();
}

#[test]
fn what_a_sender_notes_is_found_by_its_partner() {
    let mut kernel = Kernel::boot();
    let thread = threads(&mut kernel, 1).remove(0);
    use Sending::{Call, Message};
    for (badge, sending) in [(0, Message), (u64::MAX, Call), (7, Message)] {
        thread.set_badge(badge);
        thread.begin_wait(Phase::Queued, sending);
        let claim = Claim::queued(thread.clone()).unwrap();
        assert_eq!(claim.sending(), (badge, sending));
        claim.taken();
        thread.cancel_wait();
    }
}

#[test]
fn a_thread_control_block_is_small() {
    println!("TCB: {} bytes, slot: {SLOT_BYTES}", size_of::<Tcb>());
    assert!(size_of::<Tcb>() <= 1024, "{} bytes", size_of::<Tcb>());
}
