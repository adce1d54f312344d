//! Typed calls.
#![forbid(unsafe_code)]

use alloc::{string::String, vec, vec::Vec};

use guests::threads::{MIDDLE, at, endpoint};
use orbital_user::{
    CapSlot, Endpoint, IpcError, MemoryObject, Message, Reply, Rights,
    capability::inspect,
    passing::reply_with,
    rpc::{Answer, Call, CallError, Client, answer, serve},
    thread::JoinHandle,
};

type Served<A> = (Client<Vec<u8>, A>, JoinHandle<Result<(), IpcError>>);

/// A server of byte strings, which stops at an empty one, and a client.
fn server<A: serde::Serialize + serde::de::DeserializeOwned + 'static>(
    mut handler: impl FnMut(Call<Vec<u8>>) -> Answer<A> + Send + 'static,
) -> Served<A> {
    let service = Endpoint::create().unwrap();
    let client = Client::new(service.copy(Rights::SEND | Rights::GRANT, 0).unwrap());
    let thread = at(MIDDLE, move || serve(&service, &mut handler));
    (client, thread)
}

/// Numbers that tell whether a byte is where it was.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 31 + place / 251) as u8).collect()
}

pub fn values_of_all_sizes_come_through() {
    let (client, thread) = server(|call| {
        let back: Vec<u8> = call.question.iter().map(|byte| !byte).collect();
        if call.question.is_empty() { Answer::Stop(back) } else { Answer::Reply(back) }
    });
    let sizes = (1..80).chain(3_900..3_990).chain([10_000, 300_000, (1 << 20) - 3]);
    for length in sizes {
        let question = pattern(length);
        let answer = client.call(&question).unwrap();
        assert!(answer.iter().zip(&question).all(|(a, q)| *a == !q), "{length}");
        assert_eq!(answer.len(), length);
    }
    let too_long = client.call(&vec![0; (1 << 20) - 2]);
    assert_eq!(too_long, Err(CallError::Ipc(IpcError::InvalidMessage)));
    assert_eq!(client.call(&Vec::new()), Ok(Vec::new()));
    assert_eq!(thread.join(), Ok(Ok(())));
}

pub fn capabilities_come_with_values() {
    let (client, thread) = server(|call| {
        let Call { question, mut capabilities, .. } = call;
        if question.is_empty() {
            return Answer::Stop(0);
        }
        let count = capabilities.len();
        for capability in &capabilities {
            let seen = inspect(capability.slot()).unwrap();
            assert_eq!(seen.rights, Rights::READ | Rights::GRANT);
        }
        capabilities.truncate(2);
        Answer::ReplyWith(count, capabilities)
    });
    let memory = MemoryObject::create(4096).unwrap();
    let copies: Vec<_> = (0..4)
        .map(|_| {
            orbital_user::capability::copy_to(
                memory.slot(),
                CapSlot::NULL,
                Rights::READ | Rights::GRANT,
                0,
            )
            .unwrap()
        })
        .collect();
    for length in [1, 60, 3_000, 5_000] {
        for count in 0..=4 {
            let asked = client.call_with(&pattern(length), &copies[..count]);
            if length > 3_968 && count == 4 {
                assert_eq!(asked.err(), Some(CallError::Ipc(IpcError::InvalidMessage)));
                continue;
            }
            let (seen, came) = asked.unwrap();
            assert_eq!((seen, came.len()), (count, count.min(2)));
        }
    }
    client.call(&Vec::new()).unwrap();
    assert_eq!(thread.join(), Ok(Ok(())));
}

pub fn questions_that_can_not_be_read_are_refused() {
    let (client, thread) =
        server(|call| if call.question.is_empty() { Answer::Stop(()) } else { Answer::Reply(()) });
    let raw = client.endpoint();
    // Longer than it is, without its memory, with a length that lies, and no call at all.
    for (label, words) in [(64, [u64::MAX; 8]), (u32::MAX, [0; 8]), (5000, [0; 8]), (1, [200; 8])] {
        let answer = raw.call(&Message::new(label, &words).unwrap()).unwrap();
        assert_eq!((answer.label(), answer.tag.words()), (u32::MAX, 0), "{label}");
    }
    let answer = raw.call(&Message::new(5000, &[]).unwrap()).unwrap();
    assert_eq!(answer.label(), u32::MAX);
    let memory = MemoryObject::create(4096).unwrap();
    let short = raw.call_with(&Message::new(500_000, &[]).unwrap(), &[memory.slot()], 0);
    assert_eq!(short.unwrap().0.label(), u32::MAX);
    let kind = raw.call_with(&Message::new(5000, &[]).unwrap(), &[raw_copy(raw)], 0);
    assert_eq!(kind.unwrap().0.label(), u32::MAX);
    raw.send(&Message::new(1, &[1]).unwrap()).unwrap();
    let wrong = Client::<String, u64>::new(raw.copy(Rights::SEND, 0).unwrap());
    assert_eq!(wrong.call(&String::from("\u{1}")), Err(CallError::NoAnswer));
    client.call(&Vec::new()).unwrap();
    assert_eq!(thread.join(), Ok(Ok(())));
}

/// A copy that may be handed on.
fn raw_copy(endpoint: &Endpoint) -> CapSlot {
    let own = Endpoint::create().unwrap();
    assert_ne!(own.slot(), endpoint.slot());
    core::mem::ManuallyDrop::new(own).slot()
}

pub fn a_caller_that_accepts_nothing_harms_nobody() {
    let (client, thread) = server(|call| {
        if call.question.is_empty() { Answer::Stop(vec![]) } else { Answer::Reply(pattern(9_000)) }
    });
    let stingy = client.endpoint().call(&Message::new(2, &[0x0101]).unwrap());
    assert_eq!(stingy, Err(IpcError::PeerGone));
    assert_eq!(client.call(&vec![1]).unwrap(), pattern(9_000));
    client.call(&Vec::new()).unwrap();
    assert_eq!(thread.join(), Ok(Ok(())));
}

pub fn kept_questions_are_answered_later() {
    let mut kept = Vec::new();
    let (client, thread) = server(move |call| {
        if call.question.len() == 1 {
            kept.push((Reply::keep().unwrap(), call.question));
            return Answer::Later;
        }
        for (reply, question) in kept.drain(..) {
            answer(reply, &question).unwrap();
        }
        if call.question.is_empty() { Answer::Stop(vec![]) } else { Answer::Reply(vec![0]) }
    });
    let slot = client.endpoint().slot();
    let callers: Vec<_> = (1..5_u8)
        .map(|number| {
            at(MIDDLE, move || {
                let own = endpoint(slot).copy(Rights::SEND, 0).unwrap();
                Client::<Vec<u8>, Vec<u8>>::new(own).call(&vec![number])
            })
        })
        .collect();
    guests::threads::settle();
    assert_eq!(client.call(&vec![1, 2]), Ok(vec![0]));
    for (number, caller) in (1..).zip(callers) {
        assert_eq!(caller.join(), Ok(Ok(vec![number])));
    }
    client.call(&Vec::new()).unwrap();
    assert_eq!(thread.join(), Ok(Ok(())));
    assert_eq!(reply_with(&Message::default(), &[]), Err(IpcError::NoReplyOwed));
}
