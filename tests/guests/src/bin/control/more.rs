//! The rest of the cases.
#![forbid(unsafe_code)]

use super::*;

pub(super) fn counts(own: &Own) {
    loop {
        COUNTS[own.part(0)].fetch_add(1, SeqCst);
    }
}

pub(super) fn counted() -> [u64; 2] {
    COUNTS.each_ref().map(|count| count.load(SeqCst))
}

/// Of two threads that spin, the one that is suspended stands still while the other goes on.
pub(super) fn a_suspended_thread_stands_still() {
    let threads = [0, 1].map(|me| Worker::start(MIDDLE, counts, me));
    for round in 0..20 {
        let still = round % 2;
        threads[still].suspend().unwrap();
        let before = counted();
        let_run();
        let after = counted();
        assert_eq!(after[still], before[still], "round {round}");
        assert_ne!(after[1 - still], before[1 - still], "round {round}");
        threads[still].resume().unwrap();
        let_run();
        assert_ne!(counted()[still], after[still], "round {round}");
    }
}

/// A thread that suspends itself stops in the call, and comes out of it when it is resumed.
pub(super) fn a_thread_suspends_itself() {
    let suspends = |own: &Own| {
        for turn in 0..50 {
            RESULT.store(2 * turn + 1, SeqCst);
            assert_eq!(own.suspend(), Ok(()));
            RESULT.store(2 * turn + 2, SeqCst);
        }
    };
    let worker = Worker::start(MIDDLE, suspends, 0);
    for turn in 0..50 {
        settle();
        assert_eq!(result(), 2 * turn + 1);
        assert_eq!(worker.resume(), Ok(()));
    }
    assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(result(), 100);
}

/// A thread that kills itself does not come out of the call.
pub(super) fn a_thread_kills_itself() {
    let kills = |own: &Own| {
        RESULT.store(1, SeqCst);
        let _ = own.kill();
        RESULT.store(2, SeqCst);
    };
    let worker = Worker::start(MIDDLE, kills, 0);
    assert_eq!(worker.wait(), Ok(ExitReason::Killed));
    settle();
    assert_eq!(result(), 1);
}

/// A thread with a pattern in all registers is stopped at random places, beside another; the pattern
/// is whole.
pub(super) fn registers_survive_suspension() {
    static BROKEN: AtomicBool = AtomicBool::new(false);
    let holds = |own: &Own| {
        let mut pattern = General::new(own.argument);
        while pattern.hold(1000) {
            COUNTS[own.part(0)].fetch_add(1, SeqCst);
        }
        BROKEN.store(true, SeqCst);
    };
    let threads = [0, 1].map(|me| Worker::start(MIDDLE, holds, me));
    for round in 0..100 {
        let thread = &threads[round % 2];
        thread.suspend().unwrap();
        let_run();
        thread.resume().unwrap();
        let_run();
    }
    let before = counted();
    let_run();
    (0..2).for_each(|me| assert_ne!(counted()[me], before[me], "thread {me} stands still"));
    assert!(!BROKEN.load(SeqCst));
}

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
        RESULT.store(0, SeqCst);
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

/// Three wait for one thread, which is killed in each of its states; all are told.
pub(super) fn who_waits_for_a_killed_thread_is_told() {
    every_scene(|scene| {
        let waiters = [(); 3].map(|()| {
            let own = copy_to(scene.worker.slot(), CapSlot::NULL, Rights::WAIT, 0).unwrap();
            at(MIDDLE + 1, move || Thread::from_slot(own).wait())
        });
        // They are above it, and wait by now.
        at(MIDDLE + 1, yield_now).join().unwrap();
        scene.worker.suspend().unwrap();
        scene.worker.kill().unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join(), Ok(Ok(ExitReason::Killed)));
        }
    });
}

/// Every control of a thread that exited, faulted or was killed is refused, and it is as it was.
pub(super) fn what_has_ended_can_t_be_controlled() {
    let exits = Worker::start(MIDDLE, |_| thread::exit(3), 0);
    let faults = Worker::start(MIDDLE, |_| guests::raw::fault(), 0);
    let killed = Worker::new(MIDDLE, |_| (), 0);
    killed.kill().unwrap();
    for thread in [&exits, &faults, &killed] {
        let reason = thread.wait();
        let before = thread.inspect().unwrap();
        assert_eq!(before.state, 5);
        assert_eq!(thread.suspend(), Err(Error::Ended));
        assert_eq!(thread.resume(), Err(Error::Ended));
        assert_eq!(thread.kill(), Err(Error::Ended));
        assert_eq!(thread.set_priority(1), Err(Error::Ended));
        assert_eq!(thread.set_affinity(1), Err(Error::Ended));
        assert_eq!(thread.start(), Err(Error::Ended));
        assert_eq!((thread.inspect(), thread.wait()), (Ok(before), reason));
    }
    assert_eq!(exits.wait(), Ok(ExitReason::Exited(3)));
    assert!(matches!(faults.wait(), Ok(ExitReason::Faulted(_))));
    assert_eq!(killed.wait(), Ok(ExitReason::Killed));
}

pub(super) fn all_controls(thread: &Thread) -> [Result<(), Error>; 6] {
    [
        thread.suspend(),
        thread.resume(),
        thread.set_priority(100),
        thread.set_affinity(1),
        thread.kill(),
        thread.inspect().map(|_| ()),
    ]
}

/// Control needs `MANAGE` on a thread, a look at it nothing; other objects, empty and stale slots are
/// refused; and the thread is as it was.
pub(super) fn rights_and_kinds_are_checked() {
    let worker = Worker::start(MIDDLE, |_| note(Ok(0)), 0);
    let before = worker.inspect().unwrap();
    let expected = Inspection { state: 1, priority: MIDDLE, cpu: 0, affinity: 1 };
    assert_eq!(before, expected);
    let weak = copy_to(worker.slot(), CapSlot::NULL, Rights::WAIT | Rights::GRANT, 0).unwrap();
    let weak = Thread::from_slot(weak);
    let refused = Err(Error::MissingRights);
    assert_eq!(all_controls(&weak), [refused, refused, refused, refused, refused, Ok(())]);
    assert_eq!(weak.inspect(), Ok(before));
    let endpoint = Endpoint::create().unwrap();
    let (stale, empty) = (weak.slot(), CapSlot::new(u32::MAX, 1));
    drop(weak);
    for (slot, error) in [
        (CapSlot::NULL, Error::EmptySlot),
        (empty, Error::EmptySlot),
        (stale, Error::StaleCapability),
        (endpoint.slot(), Error::WrongKind),
        (orbital_user::start::bootstrap().process, Error::WrongKind),
        (orbital_user::start::bootstrap().system, Error::WrongKind),
    ] {
        let wrong = core::mem::ManuallyDrop::new(Thread::from_slot(slot));
        assert_eq!(all_controls(&wrong), [Err(error); 6], "{slot:?}");
    }
    assert_eq!(worker.inspect(), Ok(before));
    let manage = copy_to(worker.slot(), CapSlot::NULL, Rights::MANAGE, 0).unwrap();
    let manage = Thread::from_slot(manage);
    assert_eq!([manage.suspend(), manage.set_priority(7), manage.resume()], [Ok(()); 3]);
    assert_eq!(worker.inspect(), Ok(Inspection { priority: 7, ..before }));
    assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
}

/// The kill of a process's only thread is the process's end; of one of two it is not.
pub(super) fn the_last_thread_of_a_process_is_killed() {
    let program = Program::new(yields);
    leaves_nothing(5, || {
        let Bare { process, thread } = program.start(0);
        let second = program.thread(&process, 0, 0, MIDDLE);
        second.start().unwrap();
        let_run();
        thread.kill().unwrap();
        let_run();
        assert_eq!(process.try_wait(), Err(Error::WouldBlock));
        second.kill().unwrap();
        assert_eq!(process.wait(), Ok(ExitReason::Killed));
    });
}

/// A process ends though threads of its are suspended, in every state; killed, and by its own exit.
pub(super) fn a_process_with_suspended_threads_ends() {
    let (spinning, exiting) = (Program::new(yields), Program::new(exits));
    leaves_nothing(5, || {
        for (program, killed) in [(&spinning, true), (&exiting, false)] {
            let Bare { process, thread } = program.prepare(4);
            let others = [(); 4].map(|()| program.thread(&process, 0, 4, MIDDLE));
            others[..3].iter().for_each(|other| other.start().unwrap());
            others[1..].iter().for_each(|other| other.suspend().unwrap());
            thread.start().unwrap();
            if killed {
                let_run();
                process.kill().unwrap();
            }
            let expected = if killed { ExitReason::Killed } else { ExitReason::Exited(4) };
            assert_eq!(process.wait(), Ok(expected));
            for other in &others[1..] {
                assert_eq!(other.wait(), Ok(ExitReason::Killed));
            }
        }
    });
}
