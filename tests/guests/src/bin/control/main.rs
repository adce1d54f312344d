//! Threads that are stopped, let go on, ended and made more or less urgent, in whatever they are doing:
//! on one CPU, where all that follows is known to the step.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

mod more;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use guests::{
    bare::{Bare, Program},
    code,
    counters::leaves_nothing,
    pattern::General,
    places, suite,
    threads::{MIDDLE, at, endpoint, label, settle},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, IpcError, MemoryObject, Process, Rights, Thread,
    capability::copy_to,
    endpoint::reply,
    thread::{self, Inspection, yield_now},
};

use more::*;

suite! {
    cases: [
        a_suspended_thread_waits_to_be_resumed,
        one_that_is_resumed_early_goes_on_as_if_nothing_was,
        a_killed_thread_ends_there_and_then,
        a_suspended_thread_is_killed,
        nothing_is_left_of_suspended_and_killed_threads,
        a_suspended_thread_stands_still,
        a_thread_suspends_itself,
        a_thread_kills_itself,
        registers_survive_suspension,
        a_suspended_sender_keeps_its_place,
        a_suspended_receiver_keeps_its_place,
        a_suspended_server_keeps_its_caller,
        a_killed_server_lets_its_caller_go,
        who_waits_for_a_killed_thread_is_told,
        what_has_ended_can_t_be_controlled,
        rights_and_kinds_are_checked,
        the_last_thread_of_a_process_is_killed,
        a_process_with_suspended_threads_ends,
    ],
    roles: [],
}

code! {
    // ProcessExit with the argument.
    exits: ["mov eax, 33", "syscall"] ["ud2"];
    yields: ["2: mov eax, 16", "syscall", "jmp 2b"] ["ud2"];
}

/// What a worker found, plus 100; 0 as long as it has not come so far.
static RESULT: AtomicU64 = AtomicU64::new(0);
static GO: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn note(result: Result<u64, u64>) {
    RESULT.store(result.map_or_else(|code| code, |value| 100 + value), SeqCst);
}

fn result() -> u64 {
    RESULT.load(SeqCst)
}

/// What a thread is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    NotStarted,
    Ready,
    Preempted,
    Sending,
    Receiving,
    Calling,
    Taken,
    WaitingForThread,
    WaitingForProcess,
    /// What it waited for has come, and it has not had its turn.
    Woken,
    /// The kernel makes memory for it.
    Working,
}

impl At {
    const ALL: [Self; 11] = [
        Self::NotStarted,
        Self::Ready,
        Self::Preempted,
        Self::Sending,
        Self::Receiving,
        Self::Calling,
        Self::Taken,
        Self::WaitingForThread,
        Self::WaitingForProcess,
        Self::Woken,
        Self::Working,
    ];

    /// The number of its state.
    fn state(self) -> u64 {
        match self {
            Self::NotStarted => 0,
            Self::Ready | Self::Woken | Self::Working => 1,
            Self::Preempted => 2,
            _ => 4,
        }
    }

    fn body(self) -> fn(&Own) {
        match self {
            Self::NotStarted | Self::Ready => |_| note(Ok(0)),
            Self::Preempted => |_| {
                while !GO.load(SeqCst) {
                    COUNT.fetch_add(1, SeqCst);
                }
                note(Ok(0));
            },
            Self::Sending => |own| {
                note(endpoint(own.slot()).send(&label(7)).map(|()| 0).map_err(|e| e as u64));
            },
            Self::Receiving | Self::Woken => |own| {
                let received = endpoint(own.slot()).receive();
                note(received.map(|r| r.message.label().into()).map_err(|e| e as u64));
            },
            Self::Calling | Self::Taken => |own| {
                let answer = endpoint(own.slot()).call(&label(7));
                note(answer.map(|answer| answer.label().into()).map_err(|e| e as u64));
            },
            Self::WaitingForThread => |own| {
                let thread = core::mem::ManuallyDrop::new(Thread::from_slot(own.slot()));
                note(thread.wait().map(|_| 0).map_err(|error| error as u64));
            },
            Self::WaitingForProcess => |own| {
                let process = core::mem::ManuallyDrop::new(Process::from_slot(own.slot()));
                note(process.wait().map(|_| 0).map_err(|error| error as u64));
            },
            Self::Working => |_| {
                note(MemoryObject::create(4 << 20).map(|_| 0).map_err(|error| error as u64));
            },
        }
    }
}

/// A thread in the middle of something, and what it needs.
struct Scene {
    at: At,
    worker: Worker,
    endpoint: Endpoint,
    other: Worker,
    child: Bare,
}

/// Lets those of middle priority have some turns.
fn let_run() {
    at(MIDDLE, || (0..3).for_each(|_| yield_now())).join().unwrap();
}

impl Scene {
    fn new(program: &Program, at: At) -> Self {
        loop {
            if let Some(scene) = Self::attempt(program, at) {
                return scene;
            }
        }
    }

    /// One may fail where a slice ends too early.
    fn attempt(program: &Program, at: At) -> Option<Self> {
        RESULT.store(0, SeqCst);
        GO.store(false, SeqCst);
        let endpoint = Endpoint::create().unwrap();
        let other = Worker::new(MIDDLE, |_| (), 0);
        let child = program.prepare(0);
        let slot = match at {
            At::WaitingForThread => other.slot(),
            At::WaitingForProcess => child.process.slot(),
            _ => endpoint.slot(),
        };
        let worker = Worker::new(MIDDLE, at.body(), slot.bits());
        if at != At::NotStarted {
            worker.start().unwrap();
        }
        match at {
            At::NotStarted | At::Ready => {}
            At::Preempted => let_run(),
            At::Working => {
                let tells =
                    |own: &Own| guests::threads::endpoint(own.slot()).send(&label(1)).unwrap();
                let _equal = Worker::start(MIDDLE, tells, endpoint.slot().bits());
                endpoint.receive().unwrap();
            }
            _ => settle(),
        }
        match at {
            At::Woken => endpoint.try_send(&label(5)).unwrap(),
            At::Taken => assert!(endpoint.try_receive().unwrap().is_call),
            _ => {}
        }
        let state = worker.inspect().unwrap().state;
        if at == At::Working && state != at.state() {
            return None;
        }
        assert_eq!(state, at.state(), "{at:?}");
        assert_eq!(result(), 0, "{at:?}");
        Some(Self { at, worker, endpoint, other, child })
    }

    /// What it waits for comes.
    fn release(&self) {
        match self.at {
            At::NotStarted => self.worker.start().unwrap(),
            At::Ready | At::Woken | At::Working => {}
            At::Preempted => GO.store(true, SeqCst),
            At::Sending => assert_eq!(self.endpoint.try_receive().unwrap().message.label(), 7),
            At::Receiving => self.endpoint.try_send(&label(5)).unwrap(),
            At::Calling => {
                assert_eq!(self.endpoint.try_receive().unwrap().message.label(), 7);
                reply(&label(5)).unwrap();
            }
            At::Taken => reply(&label(5)).unwrap(),
            At::WaitingForThread => {
                self.other.start().unwrap();
                self.other.wait().unwrap();
            }
            At::WaitingForProcess => assert_eq!(self.child.run(), ExitReason::Exited(0)),
        }
    }

    /// Nobody is where it was: it has been killed.
    fn is_gone(&self) {
        let blocks = Err(IpcError::WouldBlock);
        match self.at {
            At::NotStarted => assert_eq!(self.worker.start(), Err(Error::Ended)),
            At::Sending | At::Calling => assert_eq!(self.endpoint.try_receive().map(drop), blocks),
            At::Receiving | At::Woken => assert_eq!(self.endpoint.try_send(&label(0)), blocks),
            At::Taken => assert_eq!(reply(&label(0)), Err(IpcError::PeerGone)),
            _ => self.release(),
        }
    }

    /// It goes on as if nothing had been.
    fn finishes(&self) {
        settle();
        let answered = matches!(self.at, At::Receiving | At::Calling | At::Taken | At::Woken);
        assert_eq!(result(), if answered { 105 } else { 100 }, "{:?}", self.at);
        assert_eq!(self.worker.try_wait(), Ok(ExitReason::Exited(0)), "{:?}", self.at);
    }

    fn is_killed(&self) {
        assert_eq!(self.worker.kill(), Ok(()), "{:?}", self.at);
        assert_eq!(self.worker.try_wait(), Ok(ExitReason::Killed), "{:?}", self.at);
        assert_eq!(self.worker.inspect().map(|i| i.state), Ok(5));
    }
}

fn every_scene(mut play: impl FnMut(Scene)) {
    let program = Program::new(exits);
    for at in At::ALL {
        play(Scene::new(&program, at));
    }
}

/// Suspended once or twice in whatever it does, a thread does not run though what it waited for comes;
/// resumed once, it goes on with that.
fn a_suspended_thread_waits_to_be_resumed() {
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
fn one_that_is_resumed_early_goes_on_as_if_nothing_was() {
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
fn a_killed_thread_ends_there_and_then() {
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
fn a_suspended_thread_is_killed() {
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
fn nothing_is_left_of_suspended_and_killed_threads() {
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

static COUNTS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
