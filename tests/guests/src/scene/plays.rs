//! What is done to a thread in each scene, and what follows: the same wherever the two run.
#![forbid(unsafe_code)]

use core::mem::ManuallyDrop;

use orbital_user::{Error, ExitReason, Thread, thread::exit};

use super::{At, Scene, Stage, result, run_on};
use crate::{
    cpus::bit,
    threads::MIDDLE,
    workers::{Own, Worker},
};

/// The state number of a thread that waits.
const BLOCKED: u64 = 4;

/// Suspended once or twice in whatever it does, a thread does not run though what it waited for comes;
/// resumed once, it goes on with that.
pub fn a_suspended_thread_waits_to_be_resumed(stage: &Stage) {
    for (at, times) in At::ALL.into_iter().flat_map(|at| [(at, 1), (at, 2)]) {
        let scene = stage.suspended(at, times);
        scene.stands_still();
        scene.release();
        if at != At::NotStarted && at.can_finish() {
            stage.settle();
            assert_eq!(result(), 0, "{at:?}");
        }
        assert_eq!(scene.worker.try_wait(), Err(Error::WouldBlock), "{at:?}");
        assert_eq!(scene.worker.resume(), Ok(()));
        finishes_or_is_killed(&scene);
    }
}

fn finishes_or_is_killed(scene: &Scene<'_>) {
    if scene.at.can_finish() { scene.finishes() } else { scene.is_killed() }
}

/// Resumed before anything has happened, and once more, it is where it was; so is one that was never
/// suspended.
pub fn one_that_is_resumed_early_goes_on_as_if_nothing_was(stage: &Stage) {
    for at in At::ALL {
        for times in [0, 1] {
            let scene = stage.suspended(at, times);
            for _ in 0..2 {
                let resumed = scene.worker.resume();
                let is_over = resumed == Err(Error::Ended) && scene.time_has_come();
                assert!(resumed == Ok(()) || is_over, "{at:?}: {resumed:?}");
            }
            scene.is_where_it_was();
            scene.release();
            finishes_or_is_killed(&scene);
        }
    }
}

/// A thread that is killed in whatever it does has ended when the call returns, waits nowhere any more,
/// and never does what comes next.
pub fn a_killed_thread_ends_there_and_then(stage: &Stage) {
    let all = At::ALL.into_iter().chain([At::StoppedByItself]);
    for at in all.filter(|at| !at.goes_on_by_itself()) {
        let scene = stage.scene(at);
        scene.is_killed();
        scene.is_gone();
        stage.settle();
        assert_eq!(result(), 0, "{at:?}");
        assert_eq!(scene.worker.kill(), Err(Error::Ended));
        assert_eq!(scene.worker.wait(), Ok(ExitReason::Killed));
    }
}

/// The same for one that is suspended, before and after what it waited for came; a resume does not
/// bring it back.
pub fn a_suspended_thread_is_killed(stage: &Stage) {
    for (at, released) in At::ALL.into_iter().flat_map(|at| [(at, false), (at, true)]) {
        let scene = stage.suspended(at, 1);
        if released {
            scene.release();
            stage.settle();
        }
        scene.is_killed();
        if !released {
            scene.is_gone();
        }
        assert_eq!(scene.worker.resume(), Err(Error::Ended));
        stage.settle();
        assert_eq!(result(), 0, "{at:?}");
    }
}

/// However a thread goes on or ends: for a case that looks at the counters.
pub fn every_way(stage: &Stage) {
    for at in At::ALL {
        if !at.goes_on_by_itself() {
            stage.scene(at).is_killed();
        }
        stage.suspended(at, 1).is_killed();
        let scene = stage.suspended(at, 1);
        scene.release();
        scene.worker.resume().unwrap();
        finishes_or_is_killed(&scene);
        // Ended by the worker's drop, in the middle and suspended.
        drop(stage.suspended(at, 1));
        drop(stage.scene(at));
    }
}

/// Codes of a waiter's exit.
const TOLD_OF_KILL: u64 = 1;
const TOLD_OF_EXIT: u64 = 2;

/// Waits for the end of a thread, and ends with what it was.
fn waits(own: &Own) {
    let waited = ManuallyDrop::new(Thread::from_slot(own.slot())).wait();
    exit(match waited {
        Ok(ExitReason::Killed) => TOLD_OF_KILL,
        Ok(ExitReason::Exited(0)) => TOLD_OF_EXIT,
        _ => 0,
    })
}

/// Threads on both CPUs wait for one, which is killed or goes on in each of its states; all are told.
pub fn who_waits_for_its_end_is_told(stage: &Stage) {
    let kinds = |at: At| {
        let killed = Some(true).filter(|_| !at.goes_on_by_itself());
        [killed, Some(false).filter(|_| at.can_finish())]
    };
    for (at, killed) in At::ALL.into_iter().flat_map(|at| kinds(at).map(|kind| (at, kind))) {
        let Some(killed) = killed else { continue };
        let scene = stage.scene(at);
        // Above the hog.
        let priority = MIDDLE + 2;
        let waiters = [stage.here, stage.there, stage.there].map(|cpu| {
            let waiter = Worker::on(bit(cpu), priority, waits, scene.worker.slot().bits());
            while waiter.inspect().unwrap().state != BLOCKED
                && waiter.try_wait() == Err(Error::WouldBlock)
            {
                run_on(cpu, priority, |_| ());
            }
            waiter
        });
        if killed {
            scene.is_killed()
        } else {
            scene.release()
        }
        let told = if killed { TOLD_OF_KILL } else { TOLD_OF_EXIT };
        for waiter in waiters {
            assert_eq!(waiter.wait(), Ok(ExitReason::Exited(told)), "{at:?}");
        }
    }
}
