//! Threads by themselves: the word over which completers compete; queues.
//!
//! The calls that need a promise of the caller's are made here as the layers above make them.

use orbital_abi::{Error, Registers};

use super::{Claim, Current, Found, Holder, OwedCell, Phase, SLOT_BYTES, Sending, Tcb};
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
    let sequence = thread.begin_wait(Phase::Queued, Sending::Call, 0);
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

/// Whether the cell has a call, or had one whose caller has given up.
fn found(cell: &OwedCell) -> (bool, bool) {
    (cell.is_some(), cell.is_owed())
}

#[test]
fn a_reply_answers_the_call_that_it_was_made_for_and_no_later_one() {
    let mut kernel = Kernel::boot();
    let thread = threads(&mut kernel, 1).remove(0);
    let (first, second) = (OwedCell::new(), OwedCell::new());
    let sequence = thread.begin_wait(Phase::Taken, Sending::Call, 0);
    assert!(Holder::Kept(&first).hook(thread.clone(), sequence).is_none());
    // In its holder's hands when the caller gives up.
    let Found::Call(past) = first.take() else { panic!("there is one") };
    assert_eq!(thread.cancel_wait(), Phase::Taken);
    assert!(thread.claim_taken(sequence).is_none(), "it was cancelled");
    let next = thread.begin_wait(Phase::Taken, Sending::Call, 0);
    assert_ne!(sequence, next);
    assert!(Holder::Kept(&second).hook(thread.clone(), next).is_none());
    assert!(thread.claim_taken(sequence).is_none());
    assert!(!past.put_into(Holder::Kept(&first)), "nobody waits for it");
    assert_eq!(found(&first), (false, true));
    drop(first.take());
    assert!(!thread.take_ready(), "a reply of the past wakes nobody");
    drop(second.take());
    assert!(thread.take_ready());
    // SAFETY: as above.
    let current = unsafe { Current::new(&thread) };
    let answer = current.with_registers(|registers| registers.answer());
    assert_eq!(answer, Err(Error::PeerGone), "it was dropped");
}

/// The fixture finds a thread that someone keeps.
#[test]
fn a_caller_that_gives_up_leaves_wherever_its_call_stands() {
    let mut kernel = Kernel::boot();
    let thread = threads(&mut kernel, 1).remove(0);
    let cells = [OwedCell::new(), OwedCell::new(), OwedCell::new()];
    for moves in 0..cells.len() {
        let sequence = thread.begin_wait(Phase::Taken, Sending::Call, 0);
        assert!(Holder::Kept(&cells[0]).hook(thread.clone(), sequence).is_none());
        for step in 0..moves {
            assert!(
                cells[step]
                    .take_call()
                    .is_some_and(|owed| owed.put_into(Holder::Kept(&cells[step + 1])))
            );
        }
        for (place, cell) in cells.iter().enumerate() {
            assert_eq!(found(cell), (place == moves, place == moves));
        }
        assert_eq!(thread.cancel_wait(), Phase::Taken);
        assert_eq!(found(&cells[moves]), (false, true), "it is known that there was one");
        assert!(cells[moves].take_call().is_none());
        assert!(matches!(cells[moves].take(), Found::Gone));
        assert_eq!(found(&cells[moves]), (false, false));
    }
}

#[test]
fn a_call_is_put_in_the_place_of_another() {
    let mut kernel = Kernel::boot();
    let callers = threads(&mut kernel, 2);
    let cell = OwedCell::new();
    let waits: Vec<_> =
        callers.iter().map(|caller| caller.begin_wait(Phase::Taken, Sending::Call, 0)).collect();
    assert!(Holder::Kept(&cell).hook(callers[0].clone(), waits[0]).is_none());
    let before = Holder::Kept(&cell).hook(callers[1].clone(), waits[1]).unwrap();
    assert!(before.caller.is(&callers[0]) && before.sequence == waits[0]);
    drop(before);
    assert!(callers[0].take_ready() && !callers[1].take_ready());
    callers[1].cancel_wait();
    // One that has given up is no call that is lost.
    let wait = callers[0].begin_wait(Phase::Taken, Sending::Call, 0);
    assert!(Holder::Kept(&cell).hook(callers[0].clone(), wait).is_none());
    drop(cell);
    assert!(callers[0].take_ready(), "the place goes");
}

#[test]
fn a_wait_is_cancelled_in_every_phase() {
    let mut kernel = Kernel::boot();
    let thread = threads(&mut kernel, 1).remove(0);
    let cell = OwedCell::new();
    thread.cancel_wait();
    thread.begin_wait(Phase::Queued, Sending::Call, 0);
    thread.cancel_wait();
    assert!(Claim::queued(thread.clone()).is_none());
    let sequence = thread.begin_wait(Phase::Taken, Sending::Call, 0);
    assert!(Holder::Kept(&cell).hook(thread.clone(), sequence).is_none());
    thread.cancel_wait();
    assert!(thread.claim_taken(sequence).is_none());
    let before = sequence;
    let sequence = thread.begin_wait(Phase::Taken, Sending::Call, 0);
    thread.claim_taken(sequence).unwrap().complete(Err(Error::PeerGone));
    thread.cancel_wait();
    assert!(!thread.take_ready());
    assert_eq!(thread.begin_wait(Phase::Queued, Sending::Call, 0), sequence + (sequence - before));
    thread.cancel_wait();
}

#[test]
fn what_a_sender_notes_is_found_by_its_partner() {
    let mut kernel = Kernel::boot();
    let thread = threads(&mut kernel, 1).remove(0);
    use Sending::{Call, Message};
    for (badge, sending) in [(0, Message), (u64::MAX, Call), (7, Message)] {
        thread.set_badge(badge);
        thread.begin_wait(Phase::Queued, sending, 0);
        let claim = Claim::queued(thread.clone()).unwrap();
        assert_eq!(claim.sending(), (badge, sending));
        claim.complete(Ok(Registers::default()));
        assert!(thread.take_ready());
    }
}

#[test]
fn a_thread_control_block_is_small() {
    println!("TCB: {} bytes, slot: {SLOT_BYTES}", size_of::<Tcb>());
    assert!(size_of::<Tcb>() <= 1024, "{} bytes", size_of::<Tcb>());
}
