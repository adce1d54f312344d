//! What happens to those who wait when the other side, the endpoint or they themselves come to an
//! end.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, Rights,
};

use super::{Kernel, Notes, grant, message, pair, user, words};
use crate::{
    ipc::{Endpoint, ending::STEP},
    object::Ref,
    process::Process,
    tests::kernel::notification,
    thread::Tcb,
};

/// The client's process ends with its only thread: this one comes after. The endpoint is the server's in that slot.
pub(super) fn another_client(
    kernel: &Kernel,
    server: &Process,
    slot: CapSlot,
) -> (Ref<Process>, CapSlot) {
    let other = kernel.process("other");
    let endpoint = server.capability(slot).unwrap();
    let endpoint: Ref<Endpoint> = endpoint.object(Rights::SEND).unwrap();
    let sender = grant(&other, &endpoint, Rights::SEND, 0);
    (other, sender)
}

#[test]
fn a_caller_is_told_when_its_server_ends() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    kernel.spawn(&pair.server, 10, async move {
        user::receive(receiver, Never).await.unwrap();
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        assert_eq!(user::call(sender, words(), Never).await, Err(Error::PeerGone));
    });
    kernel.run_until_idle();
    assert_eq!(client.exit_reason(), Some(ExitReason::Exited(0)));
}

#[test]
fn a_caller_is_told_when_its_server_is_killed_or_faults() {
    for faults in [false, true] {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let server = kernel.spawn(&pair.server, 10, async move {
            user::receive(receiver, Never).await.unwrap();
            if faults {
                user::fault(0x1000).await;
            }
            let _ = user::receive(receiver, Never).await;
        });
        let client = kernel.spawn(&pair.client, 10, async move {
            assert_eq!(user::call(sender, words(), Never).await, Err(Error::PeerGone));
        });
        kernel.run_until_idle();
        if !faults {
            assert_eq!(client.exit_reason(), None, "it waits");
            server.kill();
            kernel.run_until_idle();
        }
        assert_eq!(client.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

#[test]
fn a_server_that_takes_another_call_drops_the_first() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let first = kernel.spawn(&pair.client, 30, async move {
        assert_eq!(user::call(sender, words(), Never).await, Err(Error::PeerGone));
    });
    let second = kernel.spawn(&pair.client, 20, async move {
        assert_eq!(user::call(sender, words(), Never).await, Err(Error::PeerGone));
    });
    kernel.run_until_idle();
    kernel.spawn(&pair.server, 10, async move {
        // Two from the queue, the third while it waits.
        for _ in 0..3 {
            user::receive(receiver, Never).await.unwrap();
        }
        user::reply(message(3, &[])).await.unwrap();
    });
    let third = kernel.spawn(&pair.client, 5, async move {
        assert_eq!(user::call(sender, words(), Never).await, Ok(message(3, &[])));
    });
    kernel.run_until_idle();
    for thread in [first, second, third] {
        assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

#[test]
fn everyone_on_an_endpoint_is_told_when_it_is_destroyed() {
    for receivers in [false, true] {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let waiting: Vec<Ref<Tcb>> = (0..3)
            .map(|count| {
                kernel.spawn(&pair.server, 10, async move {
                    let error = match (receivers, count % 2) {
                        (true, _) => user::receive(receiver, Never).await.unwrap_err(),
                        (false, 0) => user::send(receiver, words(), Never).await.unwrap_err(),
                        (false, _) => user::call(receiver, words(), Never).await.unwrap_err(),
                    };
                    assert_eq!(error, Error::EndpointGone);
                })
            })
            .collect();
        kernel.run_until_idle();
        pair.client.close(sender).unwrap();
        kernel.run_until_idle();
        assert!(waiting.iter().all(|thread| thread.exit_reason().is_none()), "the server has one");
        pair.server.close(receiver).unwrap();
        kernel.run_until_idle();
        for thread in waiting {
            assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
        }
    }
}

#[test]
fn a_call_that_was_taken_is_answered_even_where_the_endpoint_is_gone() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    kernel.spawn(&pair.server, 20, async move {
        user::receive(receiver, Never).await.unwrap();
        user::close(receiver).await.unwrap();
        assert_eq!(user::reply(message(1, &[])).await, Ok(()));
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        assert_eq!(user::call(sender, words(), Never).await, Ok(message(1, &[])));
        // Nobody can receive any more.
        assert_eq!(user::send(sender, words(), Now).await, Err(Error::EndpointGone));
    });
    kernel.run_until_idle();
    assert_eq!(client.exit_reason(), Some(ExitReason::Exited(0)));
}

/// The waits that a kill can find a thread in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    Sending,
    Calling,
    Receiving,
}

/// Kills one of three threads that wait, whichever place it has, and lets the partner come after.
#[test]
fn a_thread_that_is_killed_while_it_waits_leaves_the_others_in_order() {
    for wait in [Wait::Sending, Wait::Calling, Wait::Receiving] {
        for victim in 0..3 {
            let mut kernel = Kernel::boot();
            let pair = pair(&kernel);
            let slot = pair.receiver;
            let notes = Notes::default();
            let waiting: Vec<Ref<Tcb>> = (0..3)
                .map(|count| {
                    let noted = notes.clone();
                    kernel.spawn(&pair.server, 20, async move {
                        match wait {
                            Wait::Sending => {
                                user::send(slot, message(count, &[]), Never).await.unwrap();
                            }
                            Wait::Calling => {
                                user::call(slot, message(count, &[]), Never).await.unwrap();
                            }
                            Wait::Receiving => {
                                user::receive(slot, Never).await.unwrap();
                            }
                        }
                        noted.borrow_mut().push(count);
                    })
                })
                .collect();
            kernel.run_until_idle();
            waiting[victim].kill();
            kernel.run_until_idle();
            assert_eq!(waiting[victim].exit_reason(), Some(ExitReason::Killed), "{wait:?}");
            let partner = kernel.spawn(&pair.server, 10, async move {
                for _ in 0..2 {
                    if wait == Wait::Receiving {
                        user::send(slot, words(), Now).await.unwrap();
                    } else if user::receive(slot, Now).await.unwrap().is_call {
                        user::reply(words()).await.unwrap();
                    }
                }
                assert_eq!(user::receive(slot, Now).await, Err(Error::WouldBlock));
                assert_eq!(user::send(slot, words(), Now).await, Err(Error::WouldBlock));
            });
            kernel.run_until_idle();
            assert_eq!(partner.exit_reason(), Some(ExitReason::Exited(0)), "{wait:?} {victim}");
            let left: Vec<u32> = (0..3).filter(|count| *count != victim as u32).collect();
            assert_eq!(*notes.borrow(), left, "{wait:?}");
        }
    }
}

#[test]
fn a_caller_that_is_killed_after_its_call_was_taken_is_gone_for_the_server() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let client = kernel.spawn(&pair.client, 30, async move {
        let _ = user::call(sender, words(), Never).await;
        unreachable!("it was killed");
    });
    let server = kernel.spawn(&pair.server, 20, async move {
        user::receive(receiver, Never).await.unwrap();
        // Until the test has killed the caller.
        user::receive(receiver, Never).await.unwrap();
        assert_eq!(user::reply(words()).await, Err(Error::PeerGone));
        assert_eq!(user::reply(words()).await, Err(Error::NoReplyOwed));
    });
    kernel.run_until_idle();
    client.kill();
    kernel.run_until_idle();
    assert_eq!(client.exit_reason(), Some(ExitReason::Killed));
    let (other, sender) = another_client(&kernel, &pair.server, pair.receiver);
    kernel.spawn(&other, 10, async move {
        user::send(sender, words(), Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(server.exit_reason(), Some(ExitReason::Exited(0)));
}

#[test]
fn a_caller_that_is_gone_does_not_keep_the_server_from_its_next_message() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let client = kernel.spawn(&pair.client, 30, async move {
        let _ = user::call(sender, words(), Never).await;
    });
    let server = kernel.spawn(&pair.server, 20, async move {
        user::receive(receiver, Never).await.unwrap();
        user::work(1000).await;
        let next = user::reply_receive(receiver, words(), Never).await.unwrap();
        assert_eq!(next.message.label(), 9);
    });
    // The kill comes while the server works.
    let victim = client.clone();
    kernel.preempt = Some(Box::new({
        let mut turns = 0;
        move || {
            turns += 1;
            if turns == 4 {
                victim.kill();
            }
            false
        }
    }));
    kernel.run_until_idle();
    kernel.preempt = None;
    assert_eq!(client.exit_reason(), Some(ExitReason::Killed));
    let (other, sender) = another_client(&kernel, &pair.server, pair.receiver);
    kernel.spawn(&other, 10, async move {
        user::send(sender, message(9, &[]), Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(server.exit_reason(), Some(ExitReason::Exited(0)));
}

#[test]
fn a_message_of_a_sender_that_ended_before_is_still_delivered_once() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let server = kernel.spawn(&pair.server, 10, async move {
        assert_eq!(user::receive(receiver, Never).await.unwrap().message, words());
    });
    kernel.run_until_idle();
    // The receiver has the lower priority: the sender's process is long gone when it runs.
    kernel.spawn(&pair.client, 20, async move {
        user::send(sender, words(), Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert!(pair.client.exit_reason().is_some());
    assert_eq!(server.exit_reason(), Some(ExitReason::Exited(0)));
}

const MANY: u8 = 30;

/// Threads of a new process, which wait for signals until they are told that there will be none, and by what.
fn waiting(kernel: &mut Kernel) -> (Ref<Process>, CapSlot, Vec<Ref<Tcb>>) {
    let process = kernel.process("waiting");
    let (_, slot) = notification(&process);
    let start = |priority| {
        kernel.spawn(&process, priority, async move {
            assert_eq!(user::wait_signal(slot, Never).await, Err(Error::NotificationGone));
        })
    };
    let threads = (1..=MANY).map(start).collect();
    kernel.run_until_idle();
    (process, slot, threads)
}

/// The priorities of those who wait no more.
fn told(threads: &[Ref<Tcb>]) -> Vec<u8> {
    let told = threads.iter().filter(|thread| !thread.is_queued(thread.wait_number()));
    told.map(|thread| thread.priority()).collect()
}

/// However many wait, whoever ends what they wait for goes on after some steps: the most urgent were told, and the
/// others are by and by, also those of another place that ends meanwhile, and whoever is killed is not.
#[test]
fn many_are_told_in_steps() {
    let mut kernel = Kernel::boot();
    let places: [_; 3] = core::array::from_fn(|_| waiting(&mut kernel));
    let killed = &places[1].2[0];
    for (process, slot, threads) in &places {
        process.close(*slot).unwrap();
        assert_eq!(told(threads), (MANY - STEP as u8 + 1..=MANY).collect::<Vec<_>>());
    }
    killed.kill();
    kernel.run_until_idle();
    for thread in places.iter().flat_map(|place| &place.2) {
        let reason = if thread.is(killed) { ExitReason::Killed } else { ExitReason::Exited(0) };
        assert_eq!(thread.exit_reason(), Some(reason));
    }
    // And once more, when the kernel's task has slept.
    let (process, slot, threads) = waiting(&mut kernel);
    process.close(slot).unwrap();
    kernel.run_until_idle();
    assert!(threads.iter().all(|thread| thread.exit_reason() == Some(ExitReason::Exited(0))));
}
