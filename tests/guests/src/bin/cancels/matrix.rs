//! Each state of a call, cut off from each side.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use guests::{
    cpus::{leave_nothing, pairs},
    places,
};
use orbital_user::{Error, ExitReason, IpcError};

use super::cell::{Cell, Order, WELL, answer, forget, shared};

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No server has taken it.
    Queued,
    /// A server has it that came later, and owes the answer.
    Taken,
    /// The same, but the server was there first.
    TakenAtOnce,
    /// A server has taken it and put it into a slot of its process's.
    Kept,
    /// The answer is there, and the client, which is suspended, has not seen it.
    Answered,
}

/// What cuts it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Deadline,
    KillClient,
    KillServer,
    Close,
    Revoke,
    SuspendClient,
    SuspendServer,
}

const STATES: [State; 5] =
    [State::Queued, State::Taken, State::TakenAtOnce, State::Kept, State::Answered];
const CUTS: [Cut; 7] = [
    Cut::Deadline,
    Cut::KillClient,
    Cut::KillServer,
    Cut::Close,
    Cut::Revoke,
    Cut::SuspendClient,
    Cut::SuspendServer,
];

/// The client's patience where its deadline shall come, in nanoseconds: at first.
const PATIENCE: u64 = 4_000_000;

/// A call in this state; `None` where the client's deadline came too early.
fn bring_about(from: usize, to: usize, state: State, patience: Option<u64>) -> Option<Cell> {
    let cell = Cell::new(from, to, patience);
    let is_there = match state {
        State::Queued => cell.call(),
        State::Taken => cell.call() && cell.serve(Order::Take, WELL),
        State::Kept => {
            cell.call() && cell.serve(Order::Take, WELL) && cell.serve(Order::Keep, WELL)
        }
        State::TakenAtOnce => {
            cell.order(Order::Take);
            cell.settle();
            cell.call() && cell.did() == WELL
        }
        State::Answered => {
            cell.call()
                && cell.serve(Order::Take, WELL)
                && cell.client.suspend() == Ok(())
                && cell.serve(Order::Answer, WELL)
        }
    };
    if is_there {
        return Some(cell);
    }
    // It may just have been kept.
    drop(cell);
    forget();
    None
}

fn play(from: usize, to: usize, state: State, cut: Cut) {
    let mut patience = (cut == Cut::Deadline).then_some(PATIENCE);
    let mut cell = loop {
        if let Some(cell) = bring_about(from, to, state, patience) {
            break cell;
        }
        patience = patience.map(|patience| 2 * patience);
        assert!(patience.is_some_and(|patience| patience < 1 << 36), "{state:?} {cut:?}");
    };
    match state {
        State::Queued => of_a_queued_call(&mut cell, cut),
        State::Taken | State::TakenAtOnce => of_a_taken_call(&mut cell, cut, false),
        State::Kept => of_a_taken_call(&mut cell, cut, true),
        State::Answered => of_an_answered_call(&mut cell, cut),
    }
    if cut != Cut::KillServer {
        cell.server_ends();
    }
    if cell.endpoint.is_some() {
        cell.nobody_waits();
    }
}

fn is_killed(ended: Result<ExitReason, Error>) {
    assert_eq!(ended, Ok(ExitReason::Killed));
}

/// The client learns that nobody has its call, and nobody has; or someone takes it later.
fn of_a_queued_call(cell: &mut Cell, cut: Cut) {
    match cut {
        Cut::Deadline => {
            cell.be_late();
            cell.client_is_told(IpcError::TimedOut as u64);
            cell.nobody_waits();
        }
        Cut::KillClient => {
            cell.client.kill().unwrap();
            is_killed(cell.client.try_wait());
            assert_eq!(cell.told(), 0);
            cell.nobody_waits();
        }
        Cut::KillServer => {
            cell.server.kill().unwrap();
            is_killed(cell.server.try_wait());
            cell.client_waits();
            assert!(shared().receive().unwrap().is_call);
            assert_eq!(answer(), Ok(()));
            cell.client_is_told(WELL);
        }
        Cut::Close => {
            cell.endpoint = None;
            cell.client_is_told(IpcError::EndpointGone as u64);
            // The server too learns of it.
            cell.serve(Order::Take, IpcError::StaleCapability as u64);
        }
        Cut::Revoke => {
            cell.revoke();
            cell.client_is_told(IpcError::Revoked as u64);
            cell.nobody_waits();
        }
        Cut::SuspendClient => {
            cell.client.suspend().unwrap();
            cell.serve(Order::Take, WELL);
            cell.serve(Order::Answer, WELL);
            cell.client_waits();
            cell.client.resume().unwrap();
            cell.client_is_told(WELL);
        }
        Cut::SuspendServer => {
            cell.server.suspend().unwrap();
            cell.order(Order::Take);
            cell.client_waits();
            assert_eq!(cell.did(), 0, "it acts though it is suspended");
            cell.server.resume().unwrap();
            cell.settle();
            cell.serve(Order::Answer, WELL);
            cell.client_is_told(WELL);
        }
    }
}

/// The client learns that a server has it, or has the answer; the server learns that the client is gone. A call that
/// is kept outlives its server, as the slot is the process's.
fn of_a_taken_call(cell: &mut Cell, cut: Cut, is_kept: bool) {
    let used_up = if is_kept { IpcError::StaleCapability } else { IpcError::NoReplyOwed };
    match cut {
        Cut::Deadline => {
            cell.be_late();
            cell.client_is_told(IpcError::Unanswered as u64);
            cell.late_serve(Order::Answer, IpcError::PeerGone as u64);
            cell.late_serve(Order::Answer, used_up as u64);
        }
        Cut::KillClient => {
            cell.client.kill().unwrap();
            is_killed(cell.client.try_wait());
            cell.serve(Order::Answer, IpcError::PeerGone as u64);
            cell.serve(Order::Answer, used_up as u64);
            assert_eq!(cell.told(), 0);
        }
        Cut::KillServer => {
            cell.server.kill().unwrap();
            is_killed(cell.server.try_wait());
            if is_kept {
                cell.client_waits();
                assert_eq!(answer(), Ok(()));
            }
            cell.client_is_told(if is_kept { WELL } else { IpcError::PeerGone as u64 });
        }
        Cut::Close | Cut::Revoke => {
            match cut {
                Cut::Close => cell.endpoint = None,
                _ => cell.revoke(),
            }
            cell.client_waits();
            cell.serve(Order::Answer, WELL);
            cell.client_is_told(WELL);
        }
        Cut::SuspendClient => {
            cell.client.suspend().unwrap();
            cell.serve(Order::Answer, WELL);
            cell.client_waits();
            cell.client.resume().unwrap();
            cell.client_is_told(WELL);
        }
        Cut::SuspendServer => {
            cell.server.suspend().unwrap();
            cell.order(Order::Answer);
            cell.client_waits();
            assert_eq!(cell.did(), 0, "it acts though it is suspended");
            cell.server.resume().unwrap();
            cell.client_is_told(WELL);
        }
    }
}

/// The answer is there, whatever happens then; only who is killed does not see it.
fn of_an_answered_call(cell: &mut Cell, cut: Cut) {
    match cut {
        Cut::Deadline => cell.be_late(),
        Cut::KillClient => {
            cell.client.kill().unwrap();
            is_killed(cell.client.try_wait());
            assert_eq!(cell.told(), 0);
            return;
        }
        Cut::KillServer => {
            cell.server.kill().unwrap();
            is_killed(cell.server.try_wait());
        }
        Cut::Close => cell.endpoint = None,
        Cut::Revoke => cell.revoke(),
        Cut::SuspendClient => cell.client.suspend().unwrap(),
        Cut::SuspendServer => {
            cell.server.suspend().unwrap();
            cell.server.resume().unwrap();
        }
    }
    cell.client_waits();
    cell.client.resume().unwrap();
    cell.client_is_told(WELL);
}

fn all(from: usize, to: usize) {
    for (state, cut) in STATES.into_iter().flat_map(|state| CUTS.map(|cut| (state, cut))) {
        play(from, to, state, cut);
    }
}

/// Each combination has the outcome that is written down above.
pub(super) fn each_cut_in_each_state_has_its_outcome() {
    for (from, to) in pairs() {
        all(from, to);
    }
}

/// Whatever was cut off: all counters are what they were.
pub(super) fn nothing_is_left_of_calls_that_were_cut_off() {
    places::pave(256 << 20);
    let pairs: Vec<_> = pairs().collect();
    let mut pairs = pairs.iter().cycle();
    leave_nothing(3, || {
        let (from, to) = pairs.next().expect("a pair");
        all(*from, *to);
    });
}
