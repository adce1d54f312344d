//! Endpoints that are bound to a thread, and calls that would close a cycle of waits for such threads.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never, Now},
    Error, ExitReason, Rights, Syscall,
};

use super::{Kernel, Notes, grant, message, user, words};
use crate::{
    arch::host::clock,
    capability::transfer,
    ipc::{binding::bind_endpoint, deadlock::MOST_HOPS},
    object::Ref,
    process::Process,
    tests::kernel::endpoint,
    thread::{Tcb, state::ThreadState},
};

const BIND: Syscall = Syscall::EndpointBind;
const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

#[test]
fn nobody_else_receives_at_a_bound_endpoint() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = endpoint(&process);
    let owner = kernel.thread(&process, 20, async move {
        assert!(user::receive(slot, Never).await.unwrap().is_call);
        user::reply(words()).await.unwrap();
        let _ = user::receive(slot, Never).await;
        unreachable!("nobody comes");
    });
    let named = grant(&process, &owner, Rights::MANAGE, 0);
    let others = kernel.spawn(&process, 10, async move {
        user::bind(BIND, slot, named).await.unwrap();
        let refused = async || {
            for deadline in [Now, Never, At(1), At(clock::nanoseconds() + 10)] {
                let refused = user::receive(slot, deadline).await;
                assert_eq!(refused.unwrap_err(), Error::BoundToAnother);
            }
        };
        refused().await;
        user::control(Syscall::ThreadStart, [named.bits(), 0, 0, 0]).await.unwrap();
        user::give_way().await;
        // While it waits there, and afterwards.
        refused().await;
        assert_eq!(user::call(slot, words(), Never).await, Ok(words()));
        refused().await;
    });
    kernel.run_until_idle();
    assert_eq!(others.exit_reason(), WELL);
}

#[test]
fn one_endpoint_for_a_thread_and_one_thread_for_an_endpoint() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let ((end, slot), (_, second)) = (endpoint(&process), endpoint(&process));
    let threads = [0, 1].map(|_| {
        kernel.thread(&process, 20, async move {
            let _ = user::receive(second, Never).await;
            0
        })
    });
    let [first, other] = [0, 1].map(|at: usize| grant(&process, &threads[at], Rights::MANAGE, 0));
    let powerless = grant(&process, &threads[0], Rights::WAIT, 0);
    let send_only = grant(&process, &end, Rights::SEND, 0);
    let driver = kernel.spawn(&process, 10, async move {
        let bind = |slot, thread| user::bind(BIND, slot, thread);
        for (slot, thread, error) in [
            (CapSlot::NULL, first, Error::EmptySlot),
            (first, first, Error::WrongKind),
            (send_only, first, Error::MissingRights),
            (slot, slot, Error::WrongKind),
            (slot, powerless, Error::MissingRights),
        ] {
            assert_eq!(bind(slot, thread).await, Err(error));
        }
        assert_eq!(bind(slot, first).await, Ok(()));
        for (slot, thread) in [(slot, first), (slot, other), (second, first)] {
            assert_eq!(bind(slot, thread).await, Err(Error::AlreadyBound));
        }
        for _ in 0..2 {
            assert_eq!(bind(slot, CapSlot::NULL).await, Ok(()));
        }
        assert_eq!(user::receive(slot, Now).await.unwrap_err(), Error::WouldBlock);
        // Another thread waits to receive.
        user::control(Syscall::ThreadStart, [other.bits(), 0, 0, 0]).await.unwrap();
        user::give_way().await;
        assert_eq!(bind(second, first).await, Err(Error::AlreadyBound));
        assert_eq!(bind(second, other).await, Ok(()), "its own receive is none");
        // Ends unbind.
        user::control(Syscall::ThreadKill, [other.bits(), 0, 0, 0]).await.unwrap();
        assert_eq!(bind(slot, other).await, Err(Error::Ended));
        assert_eq!(bind(second, first).await, Ok(()));
        user::close(second).await.unwrap();
        assert_eq!(bind(slot, first).await, Ok(()));
    });
    kernel.run_until_idle();
    assert_eq!(driver.exit_reason(), WELL);
}

/// Threads, each with an endpoint of its own, bound to it: what each does is given its own endpoint, and all.
struct Ring {
    /// Some threads each; all endpoints are in the same slots of each.
    processes: Vec<Ref<Process>>,
    slots: Vec<CapSlot>,
    ends: Vec<Ref<crate::ipc::Endpoint>>,
}

fn ring(kernel: &Kernel, count: usize) -> Ring {
    let processes: Vec<_> = (0..count.div_ceil(16)).map(|_| kernel.process("ring")).collect();
    let (ends, slots): (Vec<_>, Vec<_>) = (0..count).map(|_| endpoint(&processes[0])).unzip();
    for process in &processes[1..] {
        let rights = Rights::SEND | Rights::RECEIVE;
        let same: Vec<_> = ends.iter().map(|end| grant(process, end, rights, 0)).collect();
        assert_eq!(same, slots);
    }
    Ring { processes, slots, ends }
}

impl Ring {
    fn bind(&self, place: usize, thread: &Ref<Tcb>) {
        bind_endpoint(&self.ends[place], Some(thread), None).unwrap();
    }
}

/// Takes a call, then calls `next`, and answers with what came of that.
async fn pass_on(own: CapSlot, next: CapSlot, outcomes: Notes<Result<(), Error>>) {
    assert!(user::receive(own, Never).await.unwrap().is_call);
    let passed = user::call(next, words(), Never).await;
    outcomes.borrow_mut().push(passed.map(|_| ()));
    user::reply(words()).await.unwrap();
}

#[test]
fn a_call_to_oneself_is_refused() {
    let mut kernel = Kernel::boot();
    let ring = ring(&kernel, 1);
    let slot = ring.slots[0];
    let thread = kernel.thread(&ring.processes[0], 20, async move {
        for deadline in [Never, At(u64::MAX - 1)] {
            assert_eq!(user::call(slot, words(), deadline).await, Err(Error::WouldDeadlock));
        }
        assert_eq!(user::call(slot, words(), Now).await, Err(Error::WouldBlock));
        // Nothing is left of it, and a message that nobody answers is no call.
        assert_eq!(user::receive(slot, Now).await.unwrap_err(), Error::WouldBlock);
        let patience = At(clock::nanoseconds() + 1000);
        assert_eq!(user::send(slot, words(), patience).await, Err(Error::TimedOut));
        0
    });
    ring.bind(0, &thread);
    thread.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

/// Every length up to the most that is followed, and one more, which nobody sees.
#[test]
fn the_last_call_of_a_ring_is_refused() {
    for count in [2, 3, MOST_HOPS, MOST_HOPS + 1, MOST_HOPS + 2] {
        for taken in [true, false] {
            let mut kernel = Kernel::boot();
            let ring = ring(&kernel, count);
            let outcomes = Notes::default();
            let threads: Vec<Ref<Tcb>> = (0..count)
                .map(|place| {
                    let (own, next) = (ring.slots[place], ring.slots[(place + 1) % count]);
                    let noted: Notes<Result<(), Error>> = outcomes.clone();
                    let first = place == 0;
                    let priority = if first == taken { 10 } else { 20 };
                    let thread = kernel.thread(&ring.processes[place / 16], priority, async move {
                        if taken && !first {
                            // Its call is taken by the next one, which waits for it.
                            pass_on(own, next, noted).await;
                        } else {
                            // All are queued: nobody receives.
                            let called = user::call(next, words(), Never).await;
                            noted.borrow_mut().push(called.map(|_| ()));
                        }
                        0
                    });
                    ring.bind(place, &thread);
                    thread
                })
                .collect();
            for thread in &threads {
                thread.start().unwrap();
            }
            kernel.run_until_idle();
            let refused =
                outcomes.borrow().iter().filter(|it| **it == Err(Error::WouldDeadlock)).count();
            let is_seen = count <= MOST_HOPS + 1;
            assert_eq!(refused, usize::from(is_seen), "{count} {taken}: {:?}", outcomes.borrow());
            if is_seen && taken {
                assert!(threads.iter().all(|thread| thread.exit_reason() == WELL));
                assert_eq!(outcomes.borrow().iter().filter(|it| it.is_ok()).count(), count - 1);
            }
        }
    }
}

/// What ends the wait ends the cycle: the call goes through.
#[test]
fn where_somebody_can_go_on_no_call_is_refused() {
    // An answer before the call, a reply that is kept, an endpoint that is not bound, a plain message.
    for case in 0..4 {
        let mut kernel = Kernel::boot();
        let ring = ring(&kernel, 2);
        let (first, second) = (ring.slots[0], ring.slots[1]);
        let caller = kernel.thread(&ring.processes[0], 10, async move {
            assert_eq!(user::call(second, words(), Never).await, Ok(message(4, &[])));
            if user::receive(first, Never).await.unwrap().is_call {
                user::reply(words()).await.unwrap();
            }
            0
        });
        let server = kernel.thread(&ring.processes[0], 20, async move {
            user::receive(second, Never).await.unwrap();
            let patience = At(clock::nanoseconds() + 1000);
            let slot = match case {
                0 => user::reply(message(4, &[])).await.map(|()| CapSlot::NULL).unwrap(),
                1 => user::keep_reply().await.unwrap(),
                _ => CapSlot::NULL,
            };
            let outcome = match case {
                0 => user::call(first, words(), Never).await.map(|_| ()),
                3 => user::send(first, words(), patience).await,
                _ => user::call(first, words(), patience).await.map(|_| ()),
            };
            assert_eq!(outcome, if case == 0 { Ok(()) } else { Err(Error::TimedOut) });
            if case != 0 {
                user::reply_to(slot, message(4, &[])).await.unwrap();
                user::send(first, words(), Never).await.unwrap();
            }
            0
        });
        ring.bind(1, &server);
        if case != 2 {
            ring.bind(0, &caller);
        }
        server.start().unwrap();
        caller.start().unwrap();
        kernel.run_until_idle();
        assert_eq!((caller.exit_reason(), server.exit_reason()), (WELL, WELL), "{case}");
    }
}

/// A thread that ends in the middle of a chain leaves nothing that is followed.
#[test]
fn a_chain_that_is_broken_is_no_cycle() {
    let mut kernel = Kernel::boot();
    let ring = ring(&kernel, 3);
    let [a, b, c] = [0, 1, 2].map(|place: usize| ring.slots[place]);
    let first = kernel.thread(&ring.processes[0], 10, async move {
        let called = user::call(b, words(), Never).await;
        assert_eq!(called, Err(Error::PeerGone));
        assert!(user::receive(a, Never).await.unwrap().is_call);
        user::reply(words()).await.unwrap();
        0
    });
    let middle = kernel.thread(&ring.processes[0], 20, async move {
        user::receive(b, Never).await.unwrap();
        let _ = user::call(c, words(), Never).await;
        unreachable!("it is killed");
    });
    let last = kernel.thread(&ring.processes[0], 20, async move {
        user::receive(c, Never).await.unwrap();
        assert_eq!(user::call(a, words(), Never).await, Err(Error::WouldDeadlock));
        user::work(5_000_000).await;
        assert_eq!(user::call(a, words(), Never).await, Ok(words()));
        0
    });
    for (place, thread) in [&first, &middle, &last].into_iter().enumerate() {
        ring.bind(place, thread);
    }
    for thread in [&last, &middle, &first] {
        thread.start().unwrap();
    }
    let killed = middle.clone();
    let killer = kernel.spawn(&ring.processes[0], 30, async move {
        user::control(Syscall::ThreadSleep, [clock::nanoseconds() + 1_000_000, 0, 0, 0])
            .await
            .unwrap();
        killed.kill();
    });
    kernel.run_until_idle();
    assert_eq!((first.exit_reason(), last.exit_reason(), killer.exit_reason()), (WELL, WELL, WELL));
    assert_eq!(middle.state(), ThreadState::Ended);
}

/// Calls that queue before their endpoint is bound are waits for its thread from then on; sends are none.
#[test]
fn a_call_that_was_queued_first_is_part_of_a_cycle_too() {
    for is_call in [true, false] {
        let mut kernel = Kernel::boot();
        let ring = ring(&kernel, 2);
        let process = ring.processes[0].clone();
        let [a, b] = [0, 1].map(|place: usize| ring.slots[place]);
        let first = kernel.thread(&process, 20, async move {
            match is_call {
                true => drop(user::call(b, words(), Never).await.unwrap()),
                false => user::send(b, words(), Never).await.unwrap(),
            }
            // That is over, and noted no more.
            user::receive(a, Never).await.unwrap();
            user::reply(words()).await.unwrap();
            0
        });
        ring.bind(0, &first);
        first.start().unwrap();
        kernel.run_until_idle();
        assert!(!first.is_queued_at_bound());
        let second = kernel.thread(&process, 20, async move {
            if is_call {
                assert_eq!(user::call(a, words(), Never).await, Err(Error::WouldDeadlock));
            }
            user::receive(b, Never).await.unwrap();
            if is_call {
                user::reply(words()).await.unwrap();
            }
            assert_eq!(user::call(a, words(), Never).await, Ok(words()));
            0
        });
        ring.bind(1, &second);
        assert_eq!(first.is_queued_at_bound(), is_call);
        second.start().unwrap();
        kernel.run_until_idle();
        assert_eq!((first.exit_reason(), second.exit_reason()), (WELL, WELL), "{is_call}");
        assert!(!first.is_queued_at_bound());
    }
}

/// How someone else ends a call that is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Revoke,
    Close,
}

/// A call that was ended by someone else is looked at no more, and the next one is looked at again.
#[test]
fn a_call_that_others_have_ended_is_no_longer_noted() {
    for (ending, told) in [(Ending::Revoke, Error::Revoked), (Ending::Close, Error::EndpointGone)] {
        let mut kernel = Kernel::boot();
        let mut ring = ring(&kernel, 3);
        let process = ring.processes[0].clone();
        let [a, b, c] = [0, 1, 2].map(|place: usize| ring.slots[place]);
        let by = match ending {
            Ending::Revoke => {
                transfer::copy(&process.table, c, (Rights::SEND, 0), &process.table, &process.quota)
                    .unwrap()
            }
            Ending::Close => c,
        };
        let first = kernel.thread(&process, 20, async move {
            assert_eq!(user::call(by, words(), Never).await, Err(told));
            assert_eq!(user::call(b, words(), Never).await, Err(Error::WouldDeadlock));
            user::receive(a, Never).await.unwrap();
            user::reply(words()).await.unwrap();
            0
        });
        let second = kernel.thread(&process, 20, async move {
            user::call(a, words(), Never).await.unwrap();
            0
        });
        let third = kernel.thread(&process, 20, async move { 0 });
        for (place, thread) in [&first, &second, &third].into_iter().enumerate() {
            ring.bind(place, thread);
        }
        [&first, &second].into_iter().for_each(|thread| thread.start().unwrap());
        kernel.run_until_idle();
        assert!(first.is_queued_at_bound() && second.is_queued_at_bound());
        ring.ends.clear();
        kernel.spawn(&process, 30, async move {
            match ending {
                Ending::Revoke => user::revoke(c).await.unwrap(),
                Ending::Close => user::close(c).await.unwrap(),
            }
        });
        kernel.run_until_idle();
        assert_eq!((first.exit_reason(), second.exit_reason()), (WELL, WELL), "{ending:?}");
    }
}
