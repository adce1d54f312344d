//! Threads that wait for their handler, and are ended or suspended meanwhile.
#![forbid(unsafe_code)]

use guests::{
    cpus::{be_equal, leave_nothing, until},
    mapped::{PLACE, read},
    threads::{MIDDLE, label},
    workers::Worker,
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, IpcError,
    abi::fault::{END, RESUME, RegisterBank},
    endpoint::reply,
};

use crate::{Handled, is_blocked, next_fault, reads};

/// Its fault is queued, or taken.
pub fn a_thread_that_waits_for_its_handler_can_be_killed() {
    be_equal();
    leave_nothing(2, || {
        for (is_taken, whole) in [(false, false), (false, true), (true, false), (true, true)] {
            let handled = Handled::new(reads, 0);
            let Handled { bare, endpoint, .. } = &handled;
            handled.start_until_it_waits();
            if is_taken {
                next_fault(endpoint);
            }
            if whole { bare.process.kill() } else { bare.thread.kill() }.unwrap();
            assert_eq!(bare.process.wait(), Ok(ExitReason::Killed));
            assert_eq!(endpoint.try_receive().map(drop), Err(IpcError::WouldBlock));
            let expected = if is_taken { IpcError::PeerGone } else { IpcError::NoReplyOwed };
            assert_eq!(reply(&label(RESUME)), Err(expected));
        }
    });
}

/// It alone could receive its fault.
pub fn a_thread_that_waits_for_itself_can_be_killed() {
    be_equal();
    leave_nothing(10, || {
        let endpoint = Endpoint::create().unwrap();
        let worker = Worker::new(
            MIDDLE,
            |_| {
                let _ = read(PLACE);
            },
            0,
        );
        worker.set_fault_handler(endpoint.slot()).unwrap();
        worker.start().unwrap();
        until(|| is_blocked(&worker));
        worker.kill().unwrap();
        assert_eq!(worker.wait(), Ok(ExitReason::Killed));
    });
}

/// Suspended before its fault is taken, or after.
pub fn a_suspended_thread_is_answered_and_stands_still() {
    be_equal();
    leave_nothing(2, || {
        for (early, resumed) in [(true, true), (true, false), (false, true), (false, false)] {
            let handled = Handled::new(reads, 0);
            let Handled { bare, endpoint, .. } = &handled;
            handled.start_until_it_waits();
            if early {
                bare.thread.suspend().unwrap();
            }
            next_fault(endpoint);
            if !early {
                bare.thread.suspend().unwrap();
            }
            handled.help();
            reply(&label(if resumed { RESUME } else { END })).unwrap();
            let read = bare.thread.read_registers(RegisterBank::First);
            assert_eq!(read, Err(Error::NotStopped));
            assert_eq!(bare.thread.try_wait(), Err(Error::WouldBlock));
            bare.thread.resume().unwrap();
            let expected = if resumed { ExitReason::Exited(0) } else { handled.unread() };
            assert_eq!(bare.process.wait(), Ok(expected));
        }
    });
}

/// Before it has taken the fault, or after; the next fault ends the thread.
pub fn a_handler_that_is_taken_away_answers_what_it_was_told() {
    be_equal();
    leave_nothing(2, || {
        for early in [true, false] {
            let handled = Handled::new(reads, 0);
            let Handled { bare, endpoint, .. } = &handled;
            handled.start_until_it_waits();
            if early {
                bare.thread.set_fault_handler(CapSlot::NULL).unwrap();
            }
            next_fault(endpoint);
            bare.thread.set_fault_handler(CapSlot::NULL).unwrap();
            // It faults again.
            reply(&label(RESUME)).unwrap();
            assert_eq!(bare.process.wait(), Ok(handled.unread()));
            assert_eq!(endpoint.try_receive().map(drop), Err(IpcError::WouldBlock));
        }
    });
}
