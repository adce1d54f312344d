//! Messages with words that registers have no room for: they go from page to page, and nothing else does.
#![forbid(unsafe_code)]

use orbital_abi::{
    Deadline::{Never, Now},
    Error, ExitReason, Rights,
    fault::{END, RESUME},
};

use super::{BADGE, Kernel, Notes, ORDERS, differential::ShortCuts, message, pair, user};
use crate::{
    ipc::Endpoint,
    object::Ref,
    tests::page::{self, after, in_registers},
    thread::{FaultHandler, state::ThreadState},
};

const LENGTHS: [usize; 12] = [0, 1, 7, 8, 9, 10, 63, 64, 65, 495, 496, 8];

/// How it ended: well.
const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

/// The numbers that messages and pages tell.
const SENDERS: u64 = 1000;
const SERVERS: u64 = 2000;

/// Every length of a send, a call, and both kinds of answer, whoever comes first, by both paths; with pages whose
/// every other word stays.
#[test]
fn every_length_arrives_in_the_page_and_leaves_the_rest() {
    for (server, client) in ORDERS {
        for short_cuts in [true, false] {
            let mut kernel = Kernel::boot();
            let _short_cuts = ShortCuts::set(short_cuts);
            let pair = pair(&kernel);
            let (receiver, sender) = (pair.receiver, pair.sender);
            let lengths = (0..=496).chain(LENGTHS);
            let server = kernel.spawn(&pair.server, server, {
                let lengths = lengths.clone();
                async move {
                    let page = page::own().await;
                    for (number, length) in (0..).zip(lengths) {
                        page.message(SERVERS + number, 0);
                        let received = user::receive(receiver, Never).await.unwrap();
                        assert_eq!((received.badge, received.is_call), (BADGE, false));
                        assert_eq!(received.message.tag.words(), length);
                        let words = in_registers(SENDERS + number, length);
                        assert_eq!(received.message.words, words, "{length}");
                        let expected = after(SERVERS + number, SENDERS + number, length);
                        assert!(page.read() == expected, "send of {length}");
                    }
                }
            });
            let client = kernel.spawn(&pair.client, client, async move {
                let page = page::own().await;
                for (number, length) in (0..).zip(lengths) {
                    let sent = page.message(SENDERS + number, length);
                    user::send(sender, sent, Never).await.unwrap();
                    assert!(page.read() == after(SENDERS + number, 0, 0), "its own {length}");
                }
            });
            kernel.run_until_idle();
            assert_eq!((server.exit_reason(), client.exit_reason()), (WELL, WELL));
        }
    }
}

/// The answer is as long as the message before was.
#[test]
fn every_length_of_call_and_answer_arrives() {
    for (server, client) in ORDERS {
        for (short_cuts, both) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut kernel = Kernel::boot();
            let _short_cuts = ShortCuts::set(short_cuts);
            let pair = pair(&kernel);
            let (receiver, sender) = (pair.receiver, pair.sender);
            kernel.spawn(&pair.server, server, async move {
                let page = page::own().await;
                page.message(SERVERS, 0);
                let mut received = user::receive(receiver, Never).await.unwrap();
                for number in 0.. {
                    let length = received.message.tag.words();
                    assert_eq!(received.message.words, in_registers(SENDERS + number, length));
                    let expected = after(SERVERS + number, SENDERS + number, length);
                    assert!(received.is_call && page.read() == expected, "call of {length}");
                    let answer = page.message(SERVERS + number + 1, 496 - length);
                    received = match both {
                        true => user::reply_receive(receiver, answer, Never).await.unwrap(),
                        false => {
                            user::reply(answer).await.unwrap();
                            user::receive(receiver, Never).await.unwrap()
                        }
                    };
                }
            });
            let client = kernel.spawn(&pair.client, client, async move {
                let page = page::own().await;
                for (number, length) in (0..).zip((0..=496).step_by(7).chain(LENGTHS)) {
                    let sent = page.message(SENDERS + number, length);
                    let answer = user::call(sender, sent, Never).await.unwrap();
                    let length = 496 - length;
                    assert_eq!(answer.tag.words(), length);
                    assert_eq!(answer.words, in_registers(SERVERS + number + 1, length));
                    let expected = after(SENDERS + number, SERVERS + number + 1, length);
                    assert!(page.read() == expected, "answer of {length}");
                }
            });
            kernel.run_until_idle();
            assert_eq!(client.exit_reason(), WELL);
        }
    }
}

/// A sender without a page has no long message to send, and nobody hears of it.
#[test]
fn without_a_page_nothing_long_is_sent() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    kernel.spawn(&pair.server, 20, async move {
        page::own().await;
        let received = user::receive(receiver, Never).await.unwrap();
        assert_eq!(received.message, message(1, &[]));
        let long = message_of(9);
        assert_eq!(user::reply(message(2, &[])).await, Ok(()));
        assert_eq!(user::reply(long).await, Err(Error::NoReplyOwed), "it has a page");
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        for length in [9, 496] {
            let long = message_of(length);
            assert_eq!(user::send(sender, long, Never).await, Err(Error::InvalidMessage));
            assert_eq!(user::call(sender, long, Never).await, Err(Error::InvalidMessage));
            assert_eq!(user::reply(long).await, Err(Error::InvalidMessage));
        }
        assert_eq!(user::call(sender, message(1, &[]), Never).await, Ok(message(2, &[])));
    });
    kernel.run_until_idle();
    assert_eq!(client.exit_reason(), WELL);
}

/// A message that takes so many words from wherever they are.
fn message_of(length: usize) -> orbital_abi::Message {
    let mut long = message(3, &[7; 8]);
    long.tag = orbital_abi::Tag::new(3, length).unwrap();
    long
}

/// A receiver without a page goes on waiting, and its next message comes as if nothing had been.
#[test]
fn a_receiver_without_a_page_goes_on_waiting() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let server = kernel.spawn(&pair.server, 20, async move {
            let received = user::receive(receiver, Never).await.unwrap();
            assert_eq!(received.message, message(1, &[5]));
            user::reply(message(2, &[])).await.unwrap();
        });
        kernel.run_until_idle();
        let client = kernel.spawn(&pair.client, 10, async move {
            page::own().await;
            for deadline in [Never, Now] {
                let refused = user::send(sender, message_of(9), deadline).await;
                assert_eq!(refused, Err(Error::NoRoom));
                let refused = user::call(sender, message_of(496), deadline).await;
                assert_eq!(refused, Err(Error::NoRoom));
            }
            assert_eq!(user::call(sender, message(1, &[5]), Never).await, Ok(message(2, &[])));
        });
        kernel.run_until_idle();
        assert_eq!((server.exit_reason(), client.exit_reason()), (WELL, WELL));
    }
}

/// Any number of senders whose messages it has no room for are told so before a receiver takes one that it has
/// room for, or waits.
#[test]
fn a_receiver_without_a_page_refuses_those_who_wait() {
    for count in [1, 7, 8, 9, 16, 24] {
        for short in [true, false] {
            let mut kernel = Kernel::boot();
            let pair = pair(&kernel);
            let (receiver, sender) = (pair.receiver, pair.sender);
            let notes = Notes::default();
            for number in 0..count {
                let noted = notes.clone();
                kernel.spawn(&pair.client, 10, async move {
                    page::own().await;
                    let error = match number % 2 {
                        0 => user::send(sender, message_of(9), Never).await.unwrap_err(),
                        _ => user::call(sender, message_of(9), Never).await.unwrap_err(),
                    };
                    noted.borrow_mut().push((number, error));
                });
            }
            kernel.run_until_idle();
            assert_eq!(notes.borrow().len(), 0);
            if short {
                kernel.spawn(&pair.client, 10, async move {
                    user::send(sender, message(1, &[]), Never).await.unwrap();
                });
                kernel.run_until_idle();
            }
            let server = kernel.spawn(&pair.server, 20, async move {
                let received = user::receive(receiver, Now).await;
                match short {
                    true => assert_eq!(received.unwrap().message, message(1, &[])),
                    false => assert_eq!(received, Err(Error::WouldBlock)),
                }
                user::receive(receiver, Never).await.unwrap();
            });
            kernel.run_until_idle();
            let expected: Vec<_> = (0..count).map(|number| (number, Error::NoRoom)).collect();
            assert_eq!(*notes.borrow(), expected, "in their order");
            assert_eq!(server.state(), ThreadState::Blocked);
        }
    }
}

/// An answer and the wait for more: what is refused after the answer was taken does not send it again.
#[test]
fn an_answer_is_sent_once_where_senders_are_refused() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let server = kernel.spawn(&pair.server, 5, async move {
        user::receive(receiver, Never).await.unwrap();
        user::give_way().await;
        let received = user::reply_receive(receiver, message(2, &[4]), Never).await.unwrap();
        assert_eq!(received.message, message(7, &[]));
    });
    let caller = kernel.spawn(&pair.client, 30, async move {
        assert_eq!(user::call(sender, message(1, &[]), Never).await, Ok(message(2, &[4])));
    });
    for _ in 0..20 {
        kernel.spawn(&pair.client, 20, async move {
            page::own().await;
            assert_eq!(user::call(sender, message_of(20), Never).await, Err(Error::NoRoom));
        });
    }
    kernel.spawn(&pair.client, 10, async move {
        user::send(sender, message(7, &[]), Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!((server.exit_reason(), caller.exit_reason()), (WELL, WELL));
}

/// A server whose answer has no room still owes it.
#[test]
fn an_answer_without_room_is_still_owed() {
    for short_cuts in [true, false] {
        for both in [true, false] {
            let mut kernel = Kernel::boot();
            let _short_cuts = ShortCuts::set(short_cuts);
            let pair = pair(&kernel);
            let (receiver, sender) = (pair.receiver, pair.sender);
            kernel.spawn(&pair.server, 20, async move {
                page::own().await;
                user::receive(receiver, Never).await.unwrap();
                for _ in 0..3 {
                    let refused = match both {
                        true => user::reply_receive(receiver, message_of(9), Never).await.err(),
                        false => user::reply(message_of(9)).await.err(),
                    };
                    assert_eq!(refused, Some(Error::NoRoom));
                }
                user::reply(message(2, &[4])).await.unwrap();
                assert_eq!(user::reply(message_of(9)).await, Err(Error::NoReplyOwed));
            });
            let client = kernel.spawn(&pair.client, 10, async move {
                let answer = user::call(sender, message(1, &[]), Never).await;
                assert_eq!(answer, Ok(message(2, &[4])));
            });
            kernel.run_until_idle();
            assert_eq!(client.exit_reason(), WELL);
        }
    }
}

/// The same for a reply that is kept: the slot stays, until there is an answer that has room.
#[test]
fn a_kept_reply_without_room_is_kept() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let server = kernel.spawn(&pair.server, 20, async move {
        page::own().await;
        user::receive(receiver, Never).await.unwrap();
        let kept = user::keep_reply().await.unwrap();
        for _ in 0..3 {
            assert_eq!(user::reply_to(kept, message_of(9)).await, Err(Error::NoRoom));
        }
        user::reply_to(kept, message(2, &[4])).await.unwrap();
        assert_eq!(user::reply_to(kept, message_of(9)).await, Err(Error::StaleCapability));
        // One with room gets a long one, by either.
        user::receive(receiver, Never).await.unwrap();
        let kept = user::keep_reply().await.unwrap();
        user::reply_to(kept, message_of(9)).await.unwrap();
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        let answer = user::call(sender, message(1, &[]), Never).await;
        assert_eq!(answer, Ok(message(2, &[4])));
        page::own().await;
        let answer = user::call(sender, message(1, &[]), Never).await.unwrap();
        assert_eq!(answer.tag.words(), 9);
    });
    kernel.run_until_idle();
    assert_eq!((server.exit_reason(), client.exit_reason()), (WELL, WELL));
}

/// Whether the caller is gone is said before whether it had room.
#[test]
fn a_caller_that_is_gone_needs_no_room() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let caller = kernel.spawn(&pair.client, 20, async move {
        user::call(sender, message(1, &[]), Never).await.unwrap();
    });
    let server = kernel.spawn(&pair.server, 10, async move {
        page::own().await;
        user::receive(receiver, Never).await.unwrap();
        caller.kill();
        user::give_way().await;
        assert_eq!(user::reply(message_of(9)).await, Err(Error::PeerGone));
    });
    kernel.run_until_idle();
    assert_eq!(server.exit_reason(), WELL);
}

/// The answer to a fault is its label: nothing arrives in the page of a thread that has one, nor in its registers,
/// and one without is as good.
#[test]
fn of_the_answer_to_a_fault_only_the_label_counts() {
    for (short_cuts, has_page) in [(true, true), (true, false), (false, true), (false, false)] {
        for label in [RESUME, END] {
            let mut kernel = Kernel::boot();
            let _short_cuts = ShortCuts::set(short_cuts);
            let pair = pair(&kernel);
            let receiver = pair.receiver;
            kernel.spawn(&pair.server, 20, async move {
                page::own().await;
                user::receive(receiver, Never).await.unwrap();
                let mut answer = message_of(100);
                answer.tag = orbital_abi::Tag::new(label, 100).unwrap();
                user::reply_receive(receiver, answer, Never).await.unwrap();
            });
            let thread = kernel.thread(&pair.client, 10, async move {
                let page = if has_page { Some(page::own().await) } else { None };
                if let Some(page) = page {
                    page.message(SENDERS, 0);
                }
                user::fault(0x1000).await;
                assert!(page.is_none_or(|page| page.read() == after(SENDERS, 0, 0)));
                0
            });
            let endpoint = pair.client.capability(pair.sender).unwrap();
            let endpoint: Ref<Endpoint> = endpoint.object(Rights::SEND).unwrap();
            let handler = FaultHandler { endpoint: endpoint.erase(), badge: BADGE, kept: None };
            thread.set_fault_handler(Some(handler)).unwrap();
            thread.start().unwrap();
            kernel.run_until_idle();
            assert_eq!(thread.exit_reason() == WELL, label == RESUME, "{has_page}");
        }
    }
}
