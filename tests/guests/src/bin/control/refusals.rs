//! What is refused: control of what has ended, without the right, and of what is no thread.
#![forbid(unsafe_code)]

use guests::{scene::note, threads::MIDDLE, workers::Worker};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, Rights, Thread,
    capability::copy_to,
    thread::{self, Inspection},
};

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

fn all_controls(thread: &Thread) -> [Result<(), Error>; 6] {
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
