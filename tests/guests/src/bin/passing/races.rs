//! What is sent goes away at the same time, and partners end in the middle: who sends learns it, who receives has all
//! or nothing, and nothing is left.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{be_equal, bit, leave_nothing, pairs, scaled, seed, spin},
    random::Random,
    threads::{MIDDLE, label},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason, IpcError, Notification, Rights,
    abi::{Registers, Syscall, Tag, message::PAGE_SLOTS},
    capability::{close, copy_to, inspect, revoke},
    message_page::MessagePage,
    thread::yield_now,
};

use guests::raw;

const NEVER: u64 = u64::MAX;
const RIGHTS: Rights = Rights::SEND.union(Rights::GRANT);

fn tag(label: u32, sent: usize, accepts: usize) -> u64 {
    Tag::new(label, 0).and_then(|tag| tag.with_capabilities(sent, accepts)).unwrap().bits()
}

/// Receives without the heap, which a thread that is killed could leave locked, and closes what comes: two or none.
fn closes(own: &Own) {
    let page = MessagePage::of_thread().unwrap();
    let mut syscall = Syscall::Receive;
    loop {
        let tag = if syscall == Syscall::Receive { tag(0, 0, 2) } else { tag(3, 0, 2) };
        let control = [own.slot().bits(), tag, NEVER, 0];
        let left = raw::call(syscall, Registers { control, words: [0; 8] });
        if left.code != 0 {
            return;
        }
        let got = Tag::from_bits(left.registers.control[1]).unwrap();
        let second = page.entries()[PAGE_SLOTS.start].get();
        assert!([0, 2].contains(&got.capabilities()), "all or none");
        if got.capabilities() == 2 {
            for slot in [left.registers.control[3], second].map(CapSlot::from_bits) {
                // Either may have been revoked since.
                let _ = close(slot);
            }
        }
        if got.label() == 1 {
            let control = [0, 0, 0, 0];
            assert_eq!(raw::call(Syscall::Reply, Registers { control, words: [0; 8] }).code, 0);
            return;
        }
        syscall = Syscall::ReplyReceive;
    }
}

/// The two capabilities that are sent, by one and taken away by another.
static SENT: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static STOP: AtomicBool = AtomicBool::new(false);

/// Replaces one of them again and again: closed, or revoked and closed.
fn takes_away(own: &Own) {
    let mut is_revoked = false;
    while !STOP.load(SeqCst) {
        let new = copy_to(own.slot(), CapSlot::NULL, RIGHTS, 0).unwrap();
        let old = CapSlot::from_bits(SENT[1].swap(new.bits(), SeqCst));
        if is_revoked {
            revoke(old).unwrap();
        }
        is_revoked = !is_revoked;
        close(old).unwrap();
        yield_now();
    }
}

/// Calls with both once; the error's code.
fn call_once(endpoint: CapSlot, page: &MessagePage) -> u64 {
    page.entries()[PAGE_SLOTS.start].set(SENT[1].load(SeqCst));
    let control = [endpoint.bits(), tag(2, 2, 0), NEVER, SENT[0].load(SeqCst)];
    raw::call(Syscall::Call, Registers { control, words: [0; 8] }).code
}

/// On each pair of CPUs, while one of the two that are sent goes: the sender is told so or all comes.
pub fn capabilities_are_closed_while_they_are_sent() {
    be_equal();
    let rounds = scaled(5_000);
    let page = MessagePage::of_thread().unwrap();
    for (from, to) in pairs() {
        STOP.store(false, SeqCst);
        let endpoint = Endpoint::create().unwrap();
        let notification = Notification::create().unwrap();
        for sent in &SENT {
            let copy = copy_to(notification.slot(), CapSlot::NULL, RIGHTS, 0).unwrap();
            sent.store(copy.bits(), SeqCst);
        }
        let server = Worker::on(bit(to), MIDDLE, closes, endpoint.slot().bits());
        let thief = Worker::on(bit(to), MIDDLE, takes_away, notification.slot().bits());
        guests::own_thread().set_affinity(bit(from)).unwrap();
        let known = [IpcError::StaleCapability, IpcError::Revoked].map(|error| error as u64);
        for _ in 0..rounds {
            let code = call_once(endpoint.slot(), &page);
            assert!(code == 0 || known.contains(&code), "{code}");
        }
        STOP.store(true, SeqCst);
        assert_eq!(thief.wait(), Ok(ExitReason::Exited(0)));
        assert_eq!(endpoint.call(&label(1)), Ok(label(0)), "it still receives");
        assert_eq!(server.wait(), Ok(ExitReason::Exited(0)));
        for sent in &SENT {
            close(CapSlot::from_bits(sent.load(SeqCst))).unwrap();
        }
        assert!(inspect(notification.slot()).is_ok());
    }
}

fn calls(own: &Own) {
    let page = MessagePage::of_thread().unwrap();
    while call_once(own.slot(), &page) == 0 {}
}

/// Either is killed at any time: tables, slots that were set aside, and all else come back.
pub fn partners_are_killed_in_the_middle() {
    be_equal();
    let mut random = Random::new(seed());
    leave_nothing(scaled(300), || {
        for (from, to) in pairs() {
            let endpoint = Endpoint::create().unwrap();
            let notification = Notification::create().unwrap();
            let slot = endpoint.slot().bits();
            for sent in &SENT {
                let copy = copy_to(notification.slot(), CapSlot::NULL, RIGHTS, 0).unwrap();
                sent.store(copy.bits(), SeqCst);
            }
            let server = Worker::on(bit(to), MIDDLE, closes, slot);
            let client = Worker::on(bit(from), MIDDLE, calls, slot);
            for _ in 0..random.below(4) {
                yield_now();
            }
            spin(random.below(2_000));
            let victim = if random.once_in(2) { &server } else { &client };
            let _ = victim.kill();
            drop(endpoint);
            for worker in [&server, &client] {
                let ended = worker.wait();
                let expected = [Ok(ExitReason::Killed), Ok(ExitReason::Exited(0))];
                assert!(expected.contains(&ended), "{ended:?}");
            }
            // What a killed server had received and not closed is in this process's table.
            revoke(notification.slot()).unwrap();
        }
    });
}
