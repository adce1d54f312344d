//! The states that a thread can be in, and how it gets there.
#![forbid(unsafe_code)]

use core::{mem::ManuallyDrop, sync::atomic::Ordering::SeqCst};

use orbital_user::{Process, Thread, clock};

use super::{COUNT, GO, note};
use crate::{
    threads::{endpoint, label},
    work::undo_work,
    workers::Own,
};

/// What a thread is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Nothing: it has not been started.
    NotStarted,
    /// It was started, and has not had its turn.
    Ready,
    /// It spins, and a more urgent one has taken its CPU.
    Preempted,
    /// It spins; where that is the case's own CPU, it was preempted.
    Running,
    /// Waits for a receiver.
    Sending,
    /// Waits for a sender.
    Receiving,
    /// Waits for someone who takes its call.
    Calling,
    /// Its call was taken.
    Taken,
    /// Waits for a thread's end.
    WaitingForThread,
    /// Waits for a process's end.
    WaitingForProcess,
    /// Asks another CPU to stop a thread and to let it go on, again and again.
    Asking,
    /// Waits for a time that comes soon.
    Sleeping,
    /// Waits for a time that never comes.
    SleepingForEver,
    /// What it waited for has come, and it has not had its turn.
    Woken,
    /// The kernel unmaps much memory for it, and it has not had its next turn.
    Working,
    /// It has suspended itself. A resume is all that it waits for, so not all that is done in the other
    /// scenes makes sense in this one.
    StoppedByItself,
}

impl At {
    /// All but [`At::StoppedByItself`].
    pub const ALL: [Self; 15] = [
        Self::NotStarted,
        Self::Ready,
        Self::Preempted,
        Self::Running,
        Self::Sending,
        Self::Receiving,
        Self::Calling,
        Self::Taken,
        Self::WaitingForThread,
        Self::WaitingForProcess,
        Self::Asking,
        Self::Sleeping,
        Self::SleepingForEver,
        Self::Woken,
        Self::Working,
    ];

    /// Whether someone more urgent has to keep it from its turn.
    pub(super) fn is_held(self) -> bool {
        matches!(self, Self::Ready | Self::Preempted | Self::Woken | Self::Working)
    }

    /// Whether it can go on at all: a sleep without an end has nothing to wait for.
    pub fn can_finish(self) -> bool {
        self != Self::SleepingForEver
    }

    /// Whether it can go on without being let.
    pub fn goes_on_by_itself(self) -> bool {
        matches!(self, Self::Sleeping)
    }

    /// The numbers of the states that it may show, where the case runs on another CPU or on its own.
    pub(super) fn states(self, apart: bool) -> &'static [u64] {
        match self {
            Self::NotStarted => &[0],
            // Its CPU, which has something more urgent, need not know yet.
            Self::Woken if apart => &[1, 4],
            Self::Ready | Self::Woken | Self::Working => &[1],
            Self::Preempted | Self::StoppedByItself => &[2],
            Self::Running if apart => &[3],
            Self::Running => &[2],
            Self::Asking if apart => &[1, 2, 3, 4],
            Self::Asking => &[1, 2, 4],
            _ => &[4],
        }
    }

    /// The same once it is suspended: it does not run.
    pub(super) fn states_suspended(self, apart: bool) -> &'static [u64] {
        match self {
            Self::Running => &[2],
            Self::Asking => &[1, 2, 4],
            other => other.states(apart),
        }
    }

    /// What such a thread does; its argument is a slot, or a time.
    pub fn body(self) -> fn(&Own) {
        match self {
            Self::NotStarted | Self::Ready => |_| note(Ok(0)),
            Self::Preempted | Self::Running => |_| {
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
                let thread = ManuallyDrop::new(Thread::from_slot(own.slot()));
                note(thread.wait().map(|_| 0).map_err(|error| error as u64));
            },
            Self::WaitingForProcess => |own| {
                let process = ManuallyDrop::new(Process::from_slot(own.slot()));
                note(process.wait().map(|_| 0).map_err(|error| error as u64));
            },
            Self::Asking => |own| {
                let thread = ManuallyDrop::new(Thread::from_slot(own.slot()));
                let mut asked = Ok(());
                while asked.is_ok() && !GO.load(SeqCst) {
                    asked = thread.suspend().and_then(|()| thread.resume());
                    COUNT.fetch_add(1, SeqCst);
                }
                note(asked.map(|()| 0).map_err(|error| error as u64));
            },
            Self::Sleeping | Self::SleepingForEver => |own| {
                clock::sleep_until(own.argument);
                note(Ok(0));
            },
            Self::StoppedByItself => |own| {
                note(own.suspend().map(|()| 0).map_err(|error| error as u64));
            },
            Self::Working => |_| {
                note(undo_work().map(|()| 0).map_err(|error| error as u64));
            },
        }
    }
}
