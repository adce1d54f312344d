//! A line by which devices interrupt: whose it is, what its interrupts signal, and what is still to be
//! acknowledged.
//!
//! ```text
//!              1             3            5               7
//!   nobody's ────► unbound ────► open ────────► told ────────► again
//!       ▲            │  ▲         ▲               │ ▲             │
//!       └────────────┘  │         └───────────────┘ └─────────────┘
//!              2        │ 4: from each       6               8
//! ```
//! 1. Taken by an object. 2. Let go, from each of the others too: the object's last capability is gone. 3. Bound to a
//! notification. 4. Unbound; or the notification is gone, or the capability to it was revoked through which it was bound.
//! 5. An interrupt came, and has signalled. 6. Acknowledged. 7. By an edge alone: another one came before that, and is
//! noted. 8. Acknowledged: it signals for that.
//!
//! **No storm.** A line by level is masked from when its interrupt has come until that is acknowledged; one by edge
//! from when a second one has come. So there are two for an acknowledgement at most. What comes where nothing is bound is
//! counted, and masks the line.
//!
//! **No interrupt is lost** of a line that is bound. One by level comes again while the device wants it. An edge comes
//! while the line is unmasked, or else another one stands for it, whose signal is to come after the line was unmasked
//! again: whoever sees that finds what the device had to say at any of them.
//!
//! **Races.** All of a line stands under its lock, the controller's input with it. An object has a number of its own
//! for the time that it has the line, so what comes too late finds that it is another's. What leaves is dropped without the
//! lock.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use orbital_abi::Error;
use spin::{Mutex, MutexGuard};

use crate::{
    arch::{Trigger, lines},
    ipc::{Binding, Notification, notification::Posted},
};

/// How far an interrupt has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// None has come, or it was acknowledged.
    Open,
    /// One has signalled.
    Told,
    /// And another one has come, by an edge: the line is masked.
    Again,
}

struct State {
    /// How often the line was taken.
    number: u64,
    is_taken: bool,
    bound: Option<(Binding, Phase)>,
}

/// One line.
struct Line(Mutex<State>);

static LINES: [Line; lines::MOST] = [const { Line::new() }; _];
static STRAYS: AtomicU64 = AtomicU64::new(0);

/// Who has a line: which, and for the how manieth time it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    line: u8,
    number: u64,
}

/// What has left a line, and what is to be told: to be finished without its lock.
#[must_use = "a chosen thread never wakes unless it is told"]
struct Left {
    posted: Posted,
    _binding: Option<Binding>,
}

impl Left {
    fn finish(self) {
        self.posted.deliver();
    }
}

impl From<Option<Binding>> for Left {
    fn from(binding: Option<Binding>) -> Self {
        Self { posted: Posted::NOBODY, _binding: binding }
    }
}

impl State {
    fn unbind(&mut self, line: u8) -> Option<Binding> {
        lines::mask(line);
        self.bound.take().map(|(binding, _)| binding)
    }

    /// Signals, and is told; or is unbound where nobody can be.
    fn signal(&mut self, line: u8) -> (Left, Result<(), Error>) {
        let posted = match &mut self.bound {
            None => Err(Error::NotificationGone),
            Some((binding, phase)) => {
                *phase = Phase::Told;
                binding.post()
            }
        };
        match posted {
            Ok(posted) => (Left { posted, _binding: None }, Ok(())),
            Err(error) => (self.unbind(line).into(), Err(error)),
        }
    }
}

impl Line {
    const fn new() -> Self {
        Self(Mutex::new(State { number: 0, is_taken: false, bound: None }))
    }
}

fn lock(line: u8) -> MutexGuard<'static, State> {
    LINES[usize::from(line)].0.lock()
}

/// How many interrupts came by lines that nobody had bound.
pub fn strays() -> u64 {
    STRAYS.load(Relaxed)
}

/// An interrupt came by `line`. The controller is to be told afterwards.
pub fn came(line: u8) {
    if usize::from(line) >= lines::MOST {
        return;
    }
    let mut state = lock(line);
    let Some((_, phase)) = &mut state.bound else {
        lines::mask(line);
        drop(state);
        STRAYS.fetch_add(1, Relaxed);
        return;
    };
    let phase_before = *phase;
    let is_level = lines::trigger(line) == Some(Trigger::Level);
    if is_level || phase_before != Phase::Open {
        lines::mask(line);
    }
    if phase_before == Phase::Open {
        let (left, _) = state.signal(line);
        drop(state);
        left.finish();
    } else if !is_level {
        *phase = Phase::Again;
    }
}

/// Lets go of what some lines are bound to: where it is `notification`, and `is_meant`.
pub fn unbind_from(notification: &Notification, is_meant: impl Fn(&Binding) -> bool) {
    for line in 0..lines::end() {
        let mut state = lock(line);
        let is_this =
            |binding: &Binding| binding.notification.is(notification) && is_meant(binding);
        let left = match &state.bound {
            Some((binding, _)) if is_this(binding) => state.unbind(line),
            _ => None,
        };
        drop(state);
        drop(left);
    }
}

/// The same where it was bound through a capability that was revoked since.
pub fn unbind_revoked(notification: &Notification) {
    unbind_from(notification, Binding::is_revoked);
}

impl Claim {
    /// Takes line `line` for an object.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where there is no such line; [`Error::AlreadyBound`] while another object has it.
    pub fn take(line: u64) -> Result<Self, Error> {
        let exists = |line: &u8| lines::trigger(*line).is_some();
        let line = u8::try_from(line).ok().filter(exists).ok_or(Error::InvalidArgument)?;
        let mut state = lock(line);
        if state.is_taken {
            return Err(Error::AlreadyBound);
        }
        state.is_taken = true;
        state.number += 1;
        Ok(Self { line, number: state.number })
    }

    /// Lets go of it, unless that has been done.
    pub fn release(self) {
        let mut state = lock(self.line);
        if !self.has(&state) {
            return;
        }
        state.is_taken = false;
        let left = state.unbind(self.line);
        drop(state);
        drop(left);
    }

    fn has(self, state: &State) -> bool {
        state.is_taken && state.number == self.number
    }

    /// Lets its interrupts signal as `binding` says, or nobody, in place of what was before; they are taken by `cpu`.
    /// Those that came before are forgotten.
    ///
    /// # Errors
    /// [`Error::StaleCapability`] when it has been let go; [`Error::NotificationGone`]; [`Error::Revoked`] when the
    /// capability to the notification was.
    pub fn bind(self, binding: Option<Binding>, cpu: usize) -> Result<(), Error> {
        if let Some(binding) = &binding {
            binding.notification.set_source();
        }
        let mut state = lock(self.line);
        if !self.has(&state) {
            return Err(Error::StaleCapability);
        }
        // Under the lock: who revokes or ends it later comes here afterwards.
        binding.as_ref().map_or(Ok(()), Binding::check)?;
        let left = state.unbind(self.line);
        if let Some(binding) = binding {
            lines::route(self.line, cpu);
            state.bound = Some((binding, Phase::Open));
            lines::unmask(self.line);
        }
        drop(state);
        drop(left);
        Ok(())
    }

    /// What its last interrupt wanted is done: it may interrupt again.
    ///
    /// # Errors
    /// [`Error::StaleCapability`] when it has been let go; [`Error::NotificationGone`] where nothing is bound to
    /// it, or not any more; [`Error::Revoked`] when the capability to the notification was.
    pub fn acknowledge(self) -> Result<(), Error> {
        let mut state = lock(self.line);
        if !self.has(&state) {
            return Err(Error::StaleCapability);
        }
        let Some((_, phase)) = &mut state.bound else { return Err(Error::NotificationGone) };
        match core::mem::replace(phase, Phase::Open) {
            Phase::Open => Ok(()),
            Phase::Told => {
                lines::unmask(self.line);
                Ok(())
            }
            Phase::Again => {
                // First: of an edge from here on the line is told, and what came before is seen by who is told now.
                lines::unmask(self.line);
                let (left, signalled) = state.signal(self.line);
                drop(state);
                left.finish();
                signalled
            }
        }
    }
}
