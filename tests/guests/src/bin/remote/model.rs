//! What is known of a thread that is asked for things in a random order: which answers it may give, and
//! how it may have ended.
#![forbid(unsafe_code)]

use guests::scene::{At, Scene, result};
use orbital_user::{Error, ExitReason, abi::Syscall};

/// What is asked of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Suspend,
    Resume,
    Kill,
    /// To these CPUs, a bit each.
    Move(u64),
    Priority(u8),
}

impl Wish {
    /// The call, and its value.
    pub(super) fn call(self) -> (Syscall, u64) {
        match self {
            Self::Suspend => (Syscall::ThreadSuspend, 0),
            Self::Resume => (Syscall::ThreadResume, 0),
            Self::Kill => (Syscall::ThreadKill, 0),
            Self::Move(cpus) => (Syscall::ThreadSetAffinity, cpus),
            Self::Priority(priority) => (Syscall::ThreadSetPriority, priority.into()),
        }
    }
}

/// Whether it is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspended {
    Yes,
    No,
    /// Two asked for the opposite at once.
    Perhaps,
}

/// How it is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It can't have ended.
    Lives,
    /// It had the chance to end by itself.
    MayHaveEnded,
    /// It has ended by itself.
    Finished,
    /// It was killed before it could end by itself.
    Killed,
    /// One of the two.
    Over,
}

/// What is known.
pub(super) struct Model<'s, 'a> {
    scene: &'s Scene<'a>,
    suspended: Suspended,
    life: Life,
    /// What it waited for has come, or it waits for nothing but its turn.
    is_free: bool,
    pub(super) is_released: bool,
}

impl<'s, 'a> Model<'s, 'a> {
    /// A scene that has just begun.
    pub(super) fn new(scene: &'s Scene<'a>) -> Self {
        let only_for_its_turn = matches!(scene.at, At::Ready | At::Woken | At::Working);
        let is_stopped = scene.at == At::StoppedByItself;
        let is_free = only_for_its_turn || is_stopped || scene.at.goes_on_by_itself();
        let suspended = if is_stopped { Suspended::Yes } else { Suspended::No };
        let mut model = Self { scene, suspended, life: Life::Lives, is_free, is_released: false };
        model.go_on();
        model
    }

    /// It ends where it can.
    fn go_on(&mut self) {
        if self.life == Life::Lives && self.is_free && self.suspended != Suspended::Yes {
            self.life = Life::MayHaveEnded;
        }
    }

    /// What it waited for has come.
    pub(super) fn released(&mut self) {
        self.is_released = true;
        self.is_free = self.scene.at.can_finish();
        self.go_on();
    }

    /// Whether it has been killed, or has ended by itself.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.life, Life::Finished | Life::Killed | Life::Over)
    }

    /// Checks the answers to wishes that were made at the same time, and draws the conclusions.
    pub(super) fn answered(&mut self, wishes: &[Wish], answers: &[Result<(), Error>]) {
        let is_ended = |answer: &Result<(), Error>| *answer == Err(Error::Ended);
        assert!(answers.iter().all(|a| a.is_ok() || is_ended(a)), "{wishes:?}: {answers:?}");
        let kills = wishes.iter().filter(|wish| **wish == Wish::Kill).count();
        let has = |wish| wishes.contains(&wish);
        // Resumed before the other wishes come, it may have ended before them too.
        let may_go_on = has(Wish::Resume) || self.suspended != Suspended::Yes;
        if self.life == Life::Lives && self.is_free && may_go_on {
            self.life = Life::MayHaveEnded;
        }
        let context = || (self.scene.at, self.life, self.suspended, wishes, answers);
        match self.life {
            Life::Lives if kills == 0 => {
                assert!(answers.iter().all(|answer| answer.is_ok()), "{:?}", context());
            }
            // The first kill finds it alive.
            Life::Lives => {
                let mut of_kills = wishes.iter().zip(answers).filter(|(w, _)| **w == Wish::Kill);
                assert!(of_kills.any(|(_, answer)| answer.is_ok()), "{:?}", context());
            }
            Life::MayHaveEnded => {}
            _ => assert!(answers.iter().all(is_ended), "{:?}", context()),
        }
        self.suspended = match (has(Wish::Suspend), has(Wish::Resume)) {
            (true, true) => Suspended::Perhaps,
            (true, false) => Suspended::Yes,
            (false, true) => Suspended::No,
            (false, false) => self.suspended,
        };
        if kills > 0 {
            self.life = match self.life {
                Life::Lives => Life::Killed,
                Life::MayHaveEnded => Life::Over,
                over => over,
            };
        } else if self.life == Life::MayHaveEnded && answers.iter().any(is_ended) {
            self.life = Life::Finished;
        }
        self.go_on();
        self.check();
    }

    /// What can be seen of it is what is known.
    pub(super) fn check(&self) {
        let Self { scene, life, .. } = self;
        let (ended, noted, wanted) = (scene.worker.try_wait(), result(), scene.expected());
        let context = (scene.at, life, ended, noted);
        let was_killed = ended == Ok(ExitReason::Killed) && (noted == 0 || noted == wanted);
        let has_finished = ended == Ok(ExitReason::Exited(0)) && noted == wanted;
        let is_right = match life {
            Life::Lives => ended == Err(Error::WouldBlock) && noted == 0,
            Life::MayHaveEnded => ended == Err(Error::WouldBlock) || has_finished,
            Life::Finished => has_finished,
            Life::Killed => was_killed && noted == 0,
            Life::Over => was_killed || has_finished,
        };
        assert!(is_right, "{context:?}");
    }

    /// It is known to be suspended, and not to have ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.suspended == Suspended::Yes && self.life == Life::Lives
    }
}
