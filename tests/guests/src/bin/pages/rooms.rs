//! Partners without a page: who is told so, and who goes on.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use guests::threads::{self, MIDDLE, caller, endpoint, is_alive, label, settle};
use orbital_user::{CapSlot, Endpoint, IpcError, Message, MessagePage, abi::Tag, endpoint::reply};

fn long(length: usize) -> Message {
    let page = MessagePage::of_thread().unwrap();
    page.message(7, &[5; 496][..length]).unwrap()
}

/// A thread without a page that receives once, and waits by now.
fn waits(slot: CapSlot) -> orbital_user::thread::JoinHandle<Message> {
    let receiver = threads::at(MIDDLE, move || {
        let received = endpoint(slot).receive().unwrap();
        if received.is_call {
            reply(&label(2)).unwrap();
        }
        received.message
    });
    settle();
    receiver
}

pub fn a_receiver_without_a_page_goes_on_waiting() {
    let endpoint = Endpoint::create().unwrap();
    for is_call in [false, true] {
        let receiver = waits(endpoint.slot());
        for length in [9, 64, 496] {
            assert_eq!(endpoint.send(&long(length)), Err(IpcError::NoRoom));
            assert_eq!(endpoint.try_send(&long(length)), Err(IpcError::NoRoom));
            assert_eq!(endpoint.call(&long(length)), Err(IpcError::NoRoom));
            assert_eq!(endpoint.call_until(u64::MAX - 1, &long(length)), Err(IpcError::NoRoom));
        }
        settle();
        assert!(is_alive(&receiver));
        match is_call {
            false => endpoint.send(&label(1)).unwrap(),
            true => assert_eq!(endpoint.call(&label(1)), Ok(label(2))),
        }
        assert_eq!(receiver.join(), Ok(label(1)));
        assert_eq!(endpoint.try_send(&long(9)), Err(IpcError::WouldBlock), "nobody is left");
    }
    // One that gets a page while it waits.
    let receiver = waits(endpoint.slot());
    receiver.thread().give_message_page(0).unwrap();
    endpoint.send(&long(9)).unwrap();
    assert_eq!(receiver.join().map(|message| message.tag.words()), Ok(9));
    // A sender without a page has nothing long to send.
    let sender = threads::at(MIDDLE, {
        let slot = endpoint.slot();
        move || {
            let message = Message { tag: Tag::new(1, 9).unwrap(), words: [0; 8] };
            threads::endpoint(slot).send(&message)
        }
    });
    assert_eq!(sender.join(), Ok(Err(IpcError::InvalidMessage)));
}

/// More than a receiver refuses at a time; behind them one whose message it takes.
pub fn senders_are_refused_where_the_receiver_has_no_page() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let sends = move |number: usize| {
        let thread = threads::at(MIDDLE, move || match number % 2 {
            0 => threads::endpoint(slot).send(&long(9)),
            _ => threads::endpoint(slot).call(&long(9)).map(|_| ()),
        });
        settle();
        thread
    };
    for count in [1, 8, 9, 30] {
        let refused: Vec<_> = (0..count).map(sends).collect();
        let served = caller(slot, 3);
        let receiver = waits(slot);
        assert_eq!(receiver.join(), Ok(label(3)));
        assert_eq!(served.join(), Ok(Ok(label(2))));
        for sender in refused {
            assert_eq!(sender.join(), Ok(Err(IpcError::NoRoom)));
        }
    }
}

pub fn an_answer_without_room_is_still_owed() {
    let endpoint = Endpoint::create().unwrap();
    let caller = caller(endpoint.slot(), 1);
    endpoint.receive().unwrap();
    for length in [9, 496] {
        assert_eq!(reply(&long(length)), Err(IpcError::NoRoom));
        assert_eq!(endpoint.reply_receive(&long(length)), Err(IpcError::NoRoom));
    }
    settle();
    assert!(is_alive(&caller));
    reply(&label(2)).unwrap();
    assert_eq!(caller.join(), Ok(Ok(label(2))));
    assert_eq!(reply(&long(9)), Err(IpcError::NoReplyOwed));
}
