//! Messages between programs of the simulated machine: every operation in either order, and what
//! happens to those who wait when the other side goes.
#![forbid(unsafe_code)]

mod bound;
mod capabilities;
mod deadlock;
mod deserted;
mod differential;
mod ends;
mod faults;
mod kept;
mod lending;
mod long;
mod long_pages;
mod notifications;
mod parted;
mod payers;
mod random;
mod refusals;
mod revokes;
mod timers;
mod traced;

use std::{cell::RefCell, rc::Rc};

use orbital_abi::{CapSlot, Deadline::Never, Message, Rights};

use crate::{
    object::Ref,
    process::Process,
    tests::{
        kernel::{Kernel, endpoint, grant},
        user::{self, message},
    },
    thread::{BlockReason, state::ThreadState},
};

/// What programs noted, in the order in which they did.
type Notes<T> = Rc<RefCell<Vec<T>>>;

/// A server and a client process, an endpoint of the server's, and the slots of both.
struct Pair {
    server: Ref<Process>,
    client: Ref<Process>,
    receiver: CapSlot,
    sender: CapSlot,
}

const BADGE: u64 = 77;

fn pair(kernel: &Kernel) -> Pair {
    let (server, client) = (kernel.process("server"), kernel.process("client"));
    let (endpoint, receiver) = endpoint(&server);
    let sender = grant(&client, &endpoint, Rights::SEND, BADGE);
    Pair { server, client, receiver, sender }
}

fn words() -> Message {
    message(5, &[1, 2, 3, 4, 5, 6, 7, u64::MAX])
}

#[test]
fn basic_ipc() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    kernel.spawn(&pair.server, 10, async move {
        let mut request = user::receive(receiver, Never).await.unwrap();
        loop {
            assert!(request.is_call && request.badge == BADGE);
            request = user::reply_receive(receiver, request.message, Never).await.unwrap();
        }
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        for count in 0..100 {
            let sent = message(count, &[count.into(); 8]);
            assert_eq!(user::call(sender, sent, Never).await, Ok(sent));
        }
    });
    kernel.run_until_idle();
    assert_eq!(client.exit_reason(), Some(orbital_abi::ExitReason::Exited(0)));
}

/// Both orders: whoever has the higher priority comes first.
const ORDERS: [(u8, u8); 3] = [(20, 10), (10, 20), (10, 10)];

#[test]
fn a_message_arrives_whichever_side_comes_first() {
    for (server, client) in ORDERS {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let server = kernel.spawn(&pair.server, server, async move {
            let received = user::receive(receiver, Never).await.unwrap();
            assert_eq!(received.message, words());
            assert_eq!((received.badge, received.is_call), (BADGE, false));
        });
        let client = kernel.spawn(&pair.client, client, async move {
            assert_eq!(user::send(sender, words(), Never).await, Ok(()));
        });
        kernel.run_until_idle();
        assert!(server.exit_reason().is_some() && client.exit_reason().is_some());
    }
}

#[test]
fn a_call_is_answered_whichever_side_comes_first() {
    for (server, client) in ORDERS {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        kernel.spawn(&pair.server, server, async move {
            let received = user::receive(receiver, Never).await.unwrap();
            assert_eq!((received.message, received.is_call), (words(), true));
            assert_eq!(user::reply(message(6, &[9])).await, Ok(()));
            let error = user::reply(message(6, &[9])).await;
            assert_eq!(error, Err(orbital_abi::Error::NoReplyOwed), "once");
        });
        let client = kernel.spawn(&pair.client, client, async move {
            assert_eq!(user::call(sender, words(), Never).await, Ok(message(6, &[9])));
        });
        kernel.run_until_idle();
        assert!(client.exit_reason().is_some());
    }
}

#[test]
fn words_behind_the_count_do_not_travel() {
    for (server, client) in ORDERS {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        kernel.spawn(&pair.server, server, async move {
            let received = user::receive(receiver, Never).await.unwrap();
            assert_eq!(received.message, message(1, &[1, 2]), "both ways in");
            let mut answer = words();
            answer.tag = message(2, &[1, 2, 3]).tag;
            user::reply(answer).await.unwrap();
        });
        let client = kernel.spawn(&pair.client, client, async move {
            let mut sent = words();
            sent.tag = message(1, &[1, 2]).tag;
            let answer = user::call(sender, sent, Never).await;
            assert_eq!(answer, Ok(message(2, &[1, 2, 3])));
        });
        kernel.run_until_idle();
        assert!(client.exit_reason().is_some());
    }
}

#[test]
fn every_length_of_a_message_arrives() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let notes = Notes::default();
    let noted = notes.clone();
    kernel.spawn(&pair.server, 10, async move {
        while let Ok(received) = user::receive(receiver, Never).await {
            noted.borrow_mut().push(received.message);
        }
    });
    kernel.spawn(&pair.client, 10, async move {
        for length in 0..=8 {
            user::send(sender, message(length as u32, &[length; 8][..length as usize]), Never)
                .await
                .unwrap();
        }
    });
    kernel.run_until_idle();
    let expected: Vec<_> = (0..=8_u64).map(|n| message(n as u32, &[n; 8][..n as usize])).collect();
    assert_eq!(*notes.borrow(), expected);
}

#[test]
fn the_more_urgent_senders_are_served_first_and_equals_as_they_came() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let notes = Notes::default();
    for (count, priority) in [50, 200, 100, 200, 100, 255].into_iter().enumerate() {
        kernel.spawn(&pair.client, priority, async move {
            if count % 2 == 0 {
                user::send(sender, message(count as u32, &[]), Never).await.unwrap();
            } else {
                user::call(sender, message(count as u32, &[]), Never).await.unwrap();
            }
        });
        kernel.run_until_idle();
    }
    let noted = notes.clone();
    kernel.spawn(&pair.server, 250, async move {
        loop {
            let received = user::receive(receiver, Never).await.unwrap();
            noted.borrow_mut().push(received.message.label());
            if received.is_call {
                user::reply(message(0, &[])).await.unwrap();
            }
        }
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [5, 1, 3, 2, 4, 0]);
}

#[test]
fn the_more_urgent_receivers_are_served_first_and_equals_as_they_came() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let notes = Notes::default();
    for (count, priority) in [50, 200, 100, 200, 50].into_iter().enumerate() {
        let noted = notes.clone();
        kernel.spawn(&pair.server, priority, async move {
            let received = user::receive(receiver, Never).await.unwrap();
            noted.borrow_mut().push((count, received.message.label()));
        });
        kernel.run_until_idle();
    }
    kernel.spawn(&pair.client, 10, async move {
        for label in 0..5 {
            user::send(sender, message(label, &[]), Never).await.unwrap();
        }
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [(1, 0), (3, 1), (2, 2), (0, 3), (4, 4)]);
}

#[test]
fn a_blocked_thread_says_what_it_waits_for() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let sending = kernel.spawn(&pair.client, 30, async move {
        user::send(sender, words(), Never).await.unwrap();
    });
    let calling = kernel.spawn(&pair.client, 20, async move {
        user::call(sender, words(), Never).await.unwrap_err();
    });
    kernel.run_until_idle();
    assert_eq!((sending.state(), calling.state()), (ThreadState::Blocked, ThreadState::Blocked));
    assert_eq!(sending.block_reason(), BlockReason::Sending);
    assert_eq!(calling.block_reason(), BlockReason::WaitingReply { from: None });
    let server = kernel.spawn(&pair.server, 10, async move {
        for _ in 0..4 {
            user::receive(receiver, Never).await.unwrap();
        }
    });
    kernel.run_until_idle();
    assert_eq!(server.block_reason(), BlockReason::Receiving);
    let taken = BlockReason::WaitingReply { from: Some(server.id) };
    assert_eq!(calling.block_reason(), taken, "taken from the queue");
    let late = kernel.spawn(&pair.client, 20, async move {
        user::call(sender, words(), Never).await.unwrap_err();
    });
    kernel.run_until_idle();
    // The last call found the server waiting.
    assert_eq!((late.block_reason(), late.state()), (taken, ThreadState::Blocked));
}

#[test]
fn a_thread_can_call_while_it_owes_a_reply() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (back, back_receiver) = endpoint(&pair.server);
    let middle = grant(&pair.client, &back, Rights::RECEIVE, 0);
    let (receiver, sender) = (pair.receiver, pair.sender);
    // client -> server -> a second thread of the client's process, and back again.
    kernel.spawn(&pair.server, 10, async move {
        let received = user::receive(receiver, Never).await.unwrap();
        let answer = user::call(back_receiver, received.message, Never).await.unwrap();
        user::reply(message(answer.label() + 1, answer.words())).await.unwrap();
    });
    kernel.spawn(&pair.client, 10, async move {
        let received = user::receive(middle, Never).await.unwrap();
        user::reply(message(received.message.label() + 1, &[4])).await.unwrap();
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        let answer = user::call(sender, message(1, &[3]), Never).await;
        assert_eq!(answer, Ok(message(3, &[4])));
    });
    kernel.run_until_idle();
    assert!(client.exit_reason().is_some());
}
