//! A thread in the middle of something, in each state that there is on one CPU.
#![forbid(unsafe_code)]

use guests::{
    bare::{Bare, Program},
    threads::{MIDDLE, endpoint, label, settle},
    workers::{Own, Worker},
};
use orbital_user::{
    Endpoint, Error, ExitReason, IpcError, MemoryObject, Process, Thread, endpoint::reply,
};

use super::{COUNT, GO, RESULT, SeqCst, exits, let_run, note, result};

/// What a thread is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
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
    pub(super) const ALL: [Self; 11] = [
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
    pub(super) fn state(self) -> u64 {
        match self {
            Self::NotStarted => 0,
            Self::Ready | Self::Woken | Self::Working => 1,
            Self::Preempted => 2,
            _ => 4,
        }
    }

    pub(super) fn body(self) -> fn(&Own) {
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
pub(super) struct Scene {
    pub(super) at: At,
    pub(super) worker: Worker,
    endpoint: Endpoint,
    other: Worker,
    child: Bare,
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
    pub(super) fn release(&self) {
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
    pub(super) fn is_gone(&self) {
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
    pub(super) fn finishes(&self) {
        settle();
        let answered = matches!(self.at, At::Receiving | At::Calling | At::Taken | At::Woken);
        assert_eq!(result(), if answered { 105 } else { 100 }, "{:?}", self.at);
        assert_eq!(self.worker.try_wait(), Ok(ExitReason::Exited(0)), "{:?}", self.at);
    }

    pub(super) fn is_killed(&self) {
        assert_eq!(self.worker.kill(), Ok(()), "{:?}", self.at);
        assert_eq!(self.worker.try_wait(), Ok(ExitReason::Killed), "{:?}", self.at);
        assert_eq!(self.worker.inspect().map(|i| i.state), Ok(5));
    }
}

pub(super) fn every_scene(mut play: impl FnMut(Scene)) {
    let program = Program::new(exits);
    for at in At::ALL {
        play(Scene::new(&program, at));
    }
}
