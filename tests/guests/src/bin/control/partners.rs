//! Those who exchange messages with a thread that is stopped or ended.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    scene::{At, COUNT, GO, forget, result},
    threads::{MIDDLE, at, label, settle},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, IpcError, endpoint::reply, thread::yield_now,
};

use super::let_run;

/// Of three threads that wait to send, one is suspended: its message is taken in its turn.
pub(super) fn a_suspended_sender_keeps_its_place() {
    let endpoint = Endpoint::create().unwrap();
    let sends = |own: &Own| {
        let slot = CapSlot::from_bits(own.argument & 0xffff_ffff_ffff);
        guests::threads::endpoint(slot).send(&label(own.part(3) as u32)).unwrap();
        COUNT.fetch_add(1, SeqCst);
    };
    for suspended in 0..3 {
        COUNT.store(0, SeqCst);
        let senders = [0, 1, 2].map(|me| {
            let slot = endpoint.slot().bits();
            assert_eq!(slot >> 48, 0, "a place for the label");
            let sender = Worker::start(MIDDLE, sends, slot | me << 48);
            settle();
            sender
        });
        senders[suspended].suspend().unwrap();
        let labels = [(); 3].map(|()| endpoint.try_receive().unwrap().message.label());
        assert_eq!(labels, [0, 1, 2]);
        settle();
        assert_eq!(COUNT.load(SeqCst), 2, "without the suspended one");
        senders[suspended].resume().unwrap();
        for sender in &senders {
            sender.wait().unwrap();
        }
        assert_eq!(COUNT.load(SeqCst), 3);
    }
}

/// Of three threads that wait to receive, one is suspended: it still gets the message of its turn, and
/// finds it when it is resumed.
pub(super) fn a_suspended_receiver_keeps_its_place() {
    static LABELS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    let endpoint = Endpoint::create().unwrap();
    let receives = |own: &Own| {
        let slot = CapSlot::from_bits(own.argument & 0xffff_ffff_ffff);
        let received = guests::threads::endpoint(slot).receive().unwrap();
        LABELS[own.part(3)].store(received.message.label().into(), SeqCst);
    };
    let labels = || LABELS.each_ref().map(|label| label.load(SeqCst));
    for suspended in 0..3 {
        LABELS.iter().for_each(|label| label.store(0, SeqCst));
        let receivers = [0, 1, 2].map(|me| {
            let receiver = Worker::start(MIDDLE, receives, endpoint.slot().bits() | me << 48);
            settle();
            receiver
        });
        receivers[suspended].suspend().unwrap();
        [1, 2, 3].iter().for_each(|number| endpoint.try_send(&label(*number)).unwrap());
        settle();
        let mut expected = [1, 2, 3];
        expected[suspended] = 0;
        assert_eq!(labels(), expected);
        receivers[suspended].resume().unwrap();
        settle();
        assert_eq!(labels(), [1, 2, 3]);
    }
}

/// A server that has taken a call and is suspended answers it when it is resumed.
pub(super) fn a_suspended_server_keeps_its_caller() {
    let endpoint = Endpoint::create().unwrap();
    let serves = |own: &Own| {
        let mut received = guests::threads::endpoint(own.slot()).receive().unwrap();
        loop {
            while !GO.load(SeqCst) {
                yield_now();
            }
            let answer = label(received.message.label() + 1);
            received = guests::threads::endpoint(own.slot()).reply_receive(&answer).unwrap();
        }
    };
    let server = Worker::start(MIDDLE, serves, endpoint.slot().bits());
    let caller = Worker::start(MIDDLE, At::Calling.body(), endpoint.slot().bits());
    let_run();
    server.suspend().unwrap();
    GO.store(true, SeqCst);
    settle();
    assert_eq!((result(), caller.inspect().unwrap().state), (0, 4));
    server.resume().unwrap();
    assert_eq!(caller.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(result(), 108);
}

/// A server is killed with a call that it has taken: ready, waiting for the next one, and suspended.
/// The caller is told that it is gone; one that is still in the queue waits for another server.
pub(super) fn a_killed_server_lets_its_caller_go() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot().bits();
    let takes_and_spins = |own: &Own| {
        guests::threads::endpoint(own.slot()).receive().unwrap();
        loop {
            COUNT.fetch_add(1, SeqCst);
        }
    };
    let takes_and_waits = |own: &Own| {
        guests::threads::endpoint(own.slot()).receive().unwrap();
        let _ = Endpoint::create().unwrap().receive();
    };
    let waits: fn(&Own) = takes_and_waits;
    for (body, suspended) in [
        (takes_and_spins as fn(&Own), false),
        (takes_and_spins, true),
        (waits, false),
        (waits, true),
    ] {
        forget();
        let server = Worker::start(MIDDLE, body, slot);
        let caller = Worker::start(MIDDLE, At::Calling.body(), slot);
        let_run();
        let second =
            at(MIDDLE, move || guests::threads::endpoint(CapSlot::from_bits(slot)).call(&label(8)));
        let_run();
        if suspended {
            server.suspend().unwrap();
        }
        assert_eq!(caller.try_wait(), Err(Error::WouldBlock));
        server.kill().unwrap();
        assert_eq!(caller.wait(), Ok(ExitReason::Exited(0)));
        assert_eq!(result(), IpcError::PeerGone as u64);
        settle();
        assert_eq!(endpoint.try_receive().unwrap().message.label(), 8);
        reply(&label(9)).unwrap();
        assert_eq!(second.join().unwrap().map(|answer| answer.label()), Ok(9));
    }
}
