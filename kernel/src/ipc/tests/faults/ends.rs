//! What becomes of a thread that waits for its handler when one of the two, or what is between them, goes.
#![forbid(unsafe_code)]

use orbital_abi::{
    Deadline::{Never, Now},
    Error, ExitReason,
    fault::{END, RESUME},
};

use super::{
    super::endpoint, ADDRESS, BADGE, Kernel, handler, message, pair, reader, take, unread, user,
    waiting_reader,
};
use crate::thread::{FaultHandler, state::ThreadState};

/// How a handler fails the thread whose fault it has taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Failing {
    Exits,
    TakesAnotherFault,
    Faults,
    IsKilled,
}

#[test]
fn a_handler_that_fails_ends_the_thread_with_its_fault() {
    for failing in [Failing::Exits, Failing::TakesAnotherFault, Failing::Faults, Failing::IsKilled]
    {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let receiver = pair.receiver;
        let first = waiting_reader(&mut kernel, &pair);
        let second =
            (failing == Failing::TakesAnotherFault).then(|| waiting_reader(&mut kernel, &pair));
        // It keeps the client's process.
        let other = kernel.spawn(&pair.client, 10, user::work(1_000_000_000));
        let server = kernel.spawn(&pair.server, 10, async move {
            take(receiver).await;
            match failing {
                Failing::Exits => {}
                Failing::TakesAnotherFault => {
                    take(receiver).await;
                    user::reply(message(RESUME, &[])).await.unwrap();
                }
                Failing::Faults => user::fault(ADDRESS).await,
                Failing::IsKilled => {
                    let _ = user::receive(receiver, Never).await;
                }
            }
        });
        kernel.run_until_idle();
        if failing == Failing::IsKilled {
            assert_eq!(first.exit_reason(), None);
            server.kill();
            kernel.run_until_idle();
        }
        assert_eq!(first.exit_reason(), unread(&first), "{failing:?}");
        for thread in second.iter().chain([&other]) {
            assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)), "{failing:?}");
        }
    }
}

#[test]
fn a_handler_s_own_fault_is_its_handler_s() {
    for resumed in [true, false] {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (above, over_all) = endpoint(&pair.server);
        let receiver = pair.receiver;
        let server = kernel.thread(&pair.server, 10, async move {
            take(receiver).await;
            user::fault(2 * ADDRESS).await;
            user::reply(message(RESUME, &[])).await.unwrap();
            0
        });
        let above = FaultHandler { endpoint: above.erase(), badge: BADGE, kept: None };
        server.set_fault_handler(Some(above)).unwrap();
        server.start().unwrap();
        let thread = waiting_reader(&mut kernel, &pair);
        kernel.spawn(&pair.server, 10, async move {
            assert_eq!(take(over_all).await.fault.address, 2 * ADDRESS);
            user::reply(message(if resumed { RESUME } else { END }, &[])).await.unwrap();
        });
        kernel.run_until_idle();
        let expected = if resumed { Some(ExitReason::Exited(0)) } else { unread(&thread) };
        assert_eq!(thread.exit_reason(), expected);
        assert_eq!(server.exit_reason() == Some(ExitReason::Exited(0)), resumed);
    }
}

/// Before the fault, while it is queued, and after it was taken: then it can still be answered.
#[test]
fn an_endpoint_that_goes_takes_the_faults_along_that_nobody_has_taken() {
    for state in 0..3 {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let thread = match state {
            0 => reader(&mut kernel, &pair, 20),
            _ => waiting_reader(&mut kernel, &pair),
        };
        pair.client.close(sender).unwrap();
        match state {
            2 => {
                kernel.spawn(&pair.server, 10, async move {
                    take(receiver).await;
                    user::close(receiver).await.unwrap();
                    user::reply(message(RESUME, &[])).await.unwrap();
                });
            }
            _ => pair.server.close(receiver).unwrap(),
        }
        // It may have been started.
        let _ = thread.start();
        kernel.run_until_idle();
        let expected = if state == 2 { Some(ExitReason::Exited(0)) } else { unread(&thread) };
        assert_eq!(thread.exit_reason(), expected, "{state}");
    }
}

#[test]
fn a_thread_that_waits_for_its_handler_can_be_killed() {
    for taken in [false, true] {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let receiver = pair.receiver;
        let thread = waiting_reader(&mut kernel, &pair);
        let killed = thread.clone();
        let server = kernel.spawn(&pair.server, 10, async move {
            if taken {
                take(receiver).await;
            }
            killed.kill();
            user::give_way().await;
            assert_eq!(killed.exit_reason(), Some(ExitReason::Killed));
            assert_eq!(user::receive(receiver, Now).await, Err(Error::WouldBlock));
            let answered = if taken { Error::PeerGone } else { Error::NoReplyOwed };
            assert_eq!(user::reply(message(RESUME, &[])).await, Err(answered));
        });
        kernel.run_until_idle();
        assert_eq!(server.exit_reason(), Some(ExitReason::Exited(0)), "{taken}");
    }
}

#[test]
fn a_thread_that_is_its_own_only_receiver_can_be_killed() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let thread = kernel.thread(&pair.server, 10, async move {
        user::fault(ADDRESS).await;
        user::receive(receiver, Never).await.unwrap();
        0
    });
    thread.set_fault_handler(Some(handler(&pair))).unwrap();
    thread.start().unwrap();
    kernel.run_until_idle();
    assert_eq!((thread.exit_reason(), thread.state()), (None, ThreadState::Blocked));
    thread.kill();
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Killed));
}

/// It waits, and is answered, as one that is not suspended; but it goes on when it is resumed.
#[test]
fn a_suspended_thread_is_answered_and_stands_still() {
    for (before, resumed) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let receiver = pair.receiver;
        let thread = waiting_reader(&mut kernel, &pair);
        if before {
            thread.suspend();
            kernel.run_until_idle();
        }
        let suspended = thread.clone();
        kernel.spawn(&pair.server, 10, async move {
            take(receiver).await;
            suspended.suspend();
            user::give_way().await;
            user::reply(message(if resumed { RESUME } else { END }, &[])).await.unwrap();
        });
        kernel.run_until_idle();
        assert_eq!(thread.exit_reason(), None, "it is suspended");
        assert!(thread.claim_fault().is_none(), "it is answered");
        thread.resume();
        kernel.run_until_idle();
        let expected = if resumed { Some(ExitReason::Exited(0)) } else { unread(&thread) };
        assert_eq!(thread.exit_reason(), expected);
    }
}

#[test]
fn a_handler_that_is_taken_away_answers_what_it_was_told() {
    for taken in [false, true] {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let receiver = pair.receiver;
        let thread = kernel.thread(&pair.client, 20, async {
            user::fault(ADDRESS).await;
            user::fault(ADDRESS).await;
            0
        });
        thread.set_fault_handler(Some(handler(&pair))).unwrap();
        thread.start().unwrap();
        kernel.run_until_idle();
        if !taken {
            thread.set_fault_handler(None).unwrap();
        }
        let handled = thread.clone();
        kernel.spawn(&pair.server, 10, async move {
            take(receiver).await;
            handled.set_fault_handler(None).unwrap();
            user::reply(message(RESUME, &[])).await.unwrap();
            assert_eq!(user::receive(receiver, Now).await, Err(Error::WouldBlock));
        });
        kernel.run_until_idle();
        assert_eq!(thread.exit_reason(), unread(&thread), "by its second fault");
    }
}
