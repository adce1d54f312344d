//! Threads by themselves: queues, and the word over which completers compete.
//!
//! The calls that need a promise of the caller's are made here as the layers above make them.

use orbital_abi::{Error, Registers};

use super::{Claim, Current, Owed, Phase, ReadyQueue, SLOT_BYTES, Sending, Tcb, WaitingQueue};
use crate::{object::Ref, tests::kernel::Kernel};

fn threads(kernel: &mut Kernel, count: usize) -> Vec<Ref<Tcb>> {
    let process = kernel.init.clone();
    (0..count).map(|_| kernel.thread(&process, 7, async { 0 })).collect()
}

/// The order in which a queue gives its threads.
fn drain(queue: &mut WaitingQueue, threads: &[Ref<Tcb>]) -> Vec<usize> {
    let popped = core::iter::from_fn(|| queue.pop_front());
    popped.map(|thread| threads.iter().position(|other| other.is(&thread)).unwrap()).collect()
}

fn remove(queue: &mut WaitingQueue, thread: &Tcb) -> bool {
    // SAFETY: the tests below use one queue at a time.
    unsafe { queue.remove(thread) }.is_some()
}

#[test]
fn a_queue_is_first_in_first_out_but_for_the_front() {
    let mut kernel = Kernel::boot();
    let threads = threads(&mut kernel, 4);
    let mut queue = WaitingQueue::new();
    assert!(queue.is_empty() && queue.pop_front().is_none());
    queue.push_back(threads[0].clone());
    queue.push_back(threads[1].clone());
    queue.push_front(threads[2].clone());
    queue.push_back(threads[3].clone());
    assert!(!queue.is_empty());
    assert_eq!(drain(&mut queue, &threads), [2, 0, 1, 3]);
    assert!(queue.is_empty());
    queue.push_front(threads[1].clone());
    assert_eq!(drain(&mut queue, &threads), [1], "it can be used again");
}

#[test]
fn any_thread_can_be_taken_out_and_comes_back_at_the_end() {
    let mut kernel = Kernel::boot();
    let threads = threads(&mut kernel, 4);
    for victim in 0..4 {
        let mut queue = WaitingQueue::new();
        threads.iter().for_each(|thread| queue.push_back(thread.clone()));
        assert!(remove(&mut queue, &threads[victim]));
        assert!(!remove(&mut queue, &threads[victim]), "it is in none now");
        queue.push_back(threads[victim].clone());
        let mut expected: Vec<usize> = (0..4).filter(|index| *index != victim).collect();
        expected.push(victim);
        assert_eq!(drain(&mut queue, &threads), expected);
    }
    let mut queue = WaitingQueue::new();
    queue.push_back(threads[0].clone());
    assert!(remove(&mut queue, &threads[0]) && queue.is_empty());
}

/// A kill makes a thread ready while it still stands in an endpoint's queue.
#[test]
fn a_thread_can_be_ready_and_wait_at_once() {
    let mut kernel = Kernel::boot();
    let threads = threads(&mut kernel, 3);
    let (mut ready, mut waiting) = (ReadyQueue::new(), WaitingQueue::new());
    for thread in &threads {
        waiting.push_back(thread.clone());
    }
    for thread in threads.iter().rev() {
        ready.push_back(thread.clone());
    }
    assert!(ready.pop_front().is_some_and(|thread| thread.is(&threads[2])));
    assert!(remove(&mut waiting, &threads[0]));
    assert!(ready.pop_front().is_some_and(|thread| thread.is(&threads[1])));
    assert_eq!(drain(&mut waiting, &threads), [1, 2]);
    assert!(ready.pop_front().is_some_and(|thread| thread.is(&threads[0])));
}

/// The fixture finds the threads that a queue would keep.
#[test]
fn a_queue_that_goes_lets_its_threads_go() {
    let mut kernel = Kernel::boot();
    let threads = threads(&mut kernel, 3);
    let mut queue = WaitingQueue::new();
    threads.into_iter().for_each(|thread| queue.push_back(thread));
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
