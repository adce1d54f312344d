//! What one thread asks of another, in each state of that.
#![forbid(unsafe_code)]

use guests::{
    counters::leaves_nothing,
    places,
    threads::{MIDDLE, at, settle},
};
use orbital_user::{
    CapSlot, Error, ExitReason, Rights, Thread, capability::copy_to, thread::yield_now,
};

use super::{result, scene::every_scene};

/// Suspended once or twice in whatever it does, a thread does not run though what it waited for comes;
/// resumed once, it goes on with that.
pub(super) fn a_suspended_thread_waits_to_be_resumed() {
    for times in [1, 2] {
        every_scene(|scene| {
            (0..times).for_each(|_| assert_eq!(scene.worker.suspend(), Ok(()), "{:?}", scene.at));
            settle();
            assert_eq!(scene.worker.inspect().unwrap().state, scene.at.state(), "{:?}", scene.at);
            scene.release();
            settle();
            assert_eq!(result(), 0, "{:?}", scene.at);
            assert_eq!(scene.worker.try_wait(), Err(Error::WouldBlock));
            assert_eq!(scene.worker.resume(), Ok(()));
            scene.finishes();
        });
    }
}

/// Resumed before anything has happened, and once more, it is where it was; so is one that was never
/// suspended.
pub(super) fn one_that_is_resumed_early_goes_on_as_if_nothing_was() {
    for suspended in [true, false] {
        every_scene(|scene| {
            if suspended {
                scene.worker.suspend().unwrap();
                settle();
            }
            (0..2).for_each(|_| assert_eq!(scene.worker.resume(), Ok(()), "{:?}", scene.at));
            assert_eq!(scene.worker.inspect().unwrap().state, scene.at.state(), "{:?}", scene.at);
            assert_eq!(result(), 0);
            scene.release();
            scene.finishes();
        });
    }
}

/// A thread that is killed in whatever it does has ended when the call returns, waits nowhere any more,
/// and never does what comes next.
pub(super) fn a_killed_thread_ends_there_and_then() {
    every_scene(|scene| {
        scene.is_killed();
        scene.is_gone();
        settle();
        assert_eq!(result(), 0, "{:?}", scene.at);
        assert_eq!(scene.worker.kill(), Err(Error::Ended));
        assert_eq!(scene.worker.wait(), Ok(ExitReason::Killed));
    });
}

/// The same for one that is suspended, before and after what it waited for came; a resume does not
/// bring it back.
pub(super) fn a_suspended_thread_is_killed() {
    for released in [false, true] {
        every_scene(|scene| {
            scene.worker.suspend().unwrap();
            settle();
            if released {
                scene.release();
                settle();
            }
            scene.is_killed();
            if !released {
                scene.is_gone();
            }
            assert_eq!(scene.worker.resume(), Err(Error::Ended));
            settle();
            assert_eq!(result(), 0, "{:?}", scene.at);
        });
    }
}

/// However such a thread goes on or ends, all it had is given back.
pub(super) fn nothing_is_left_of_suspended_and_killed_threads() {
    places::pave(64 << 20);
    leaves_nothing(3, || {
        every_scene(|scene| scene.is_killed());
        every_scene(|scene| {
            scene.worker.suspend().unwrap();
            scene.is_killed();
        });
        every_scene(|scene| {
            scene.worker.suspend().unwrap();
            scene.release();
            scene.worker.resume().unwrap();
            scene.finishes();
        });
        // Ended by the worker's drop, in the middle and suspended.
        every_scene(|scene| scene.worker.suspend().unwrap());
        every_scene(drop);
    });
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
