//! Programs that end in their ways, and services and clients of theirs.
#![forbid(unsafe_code)]

use alloc::{vec, vec::Vec};

use guests::{option, raw};
use orbital_init::{own_service, protocol::processes::Question};
use orbital_user::{
    Endpoint, Error, Interrupt, IoPort, IpcError, Message, Notification, println,
    rpc::{self, CallError},
    start::{bootstrap, exit, take_named},
};

use crate::{
    authority::{description, handles},
    programs::{self, ask, role, start, wait},
};

/// How many calls a client of the storm makes.
pub const CALLS: u64 = 300;
/// After how many calls its server ends.
const LIFE: u64 = 5;
/// The number behind a word of the command line.
fn number(key: &str) -> u64 {
    option(key).map_or(0, |text| text.parse().expect("a number"))
}

/// A client of the service that the manifest names.
pub fn client<Q: serde::Serialize, A: serde::de::DeserializeOwned>(
    name: &str,
) -> rpc::Client<Q, A> {
    rpc::Client::new(Endpoint::from_slot(take_named(name).expect(name).into_slot()))
}

/// Tells the session that all went well, and what is to be counted.
fn report(count: u64) {
    let told = client::<(), ()>("session");
    let message = Message::new(1, &[count]).unwrap();
    told.endpoint().call(&message).unwrap();
}

pub fn exits() {
    exit(number("code"));
}

pub fn faults() {
    raw::fault();
}

pub fn spins() {
    loop {
        core::hint::spin_loop();
    }
}

pub fn rests() {
    let nobody = Endpoint::create().unwrap();
    let _ = nobody.receive();
}

pub fn hoards() {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 10_000]);
    }
}

pub fn prints() {
    for line in 1..=3 {
        println!("line {line}");
    }
    exit(4);
}

/// Uses its port and its interrupt, and ends without giving anything back.
pub fn drives() {
    let port = IoPort::from_slot(take_named("port-80").unwrap().into_slot());
    port.write_u8(0x80, 1).unwrap();
    assert!(port.read_u8(0x81).is_err());
    let line = Interrupt::from_slot(take_named("interrupt-11").unwrap().into_slot());
    // The one before has left nothing bound.
    assert_eq!(line.acknowledge(), Err(Error::NotificationGone));
    let word = Notification::create().unwrap();
    line.bind(&word, 1).unwrap();
    line.acknowledge().unwrap();
    exit(number("code"));
}

/// Tells what it was given, and ends with the number of its capabilities.
pub fn shows() {
    let block = bootstrap();
    let given = block.granted.iter().zip(&block.names).filter(|(slot, _)| !slot.is_null());
    for (slot, name) in given {
        let name = core::str::from_utf8(name).unwrap().trim_end_matches('\0');
        println!("{name}: {}", description(*slot));
    }
    println!("all");
    counts();
}

/// Ends with the number of its capabilities.
pub fn counts() {
    exit(handles().len() as u64);
}

/// Serves a few calls, and takes one more.
pub fn dies_now_and_then() {
    let mut served = 0;
    let served = rpc::serve(&own_service().unwrap(), |call: rpc::Call<u64>| {
        served += 1;
        if served > LIFE {
            exit(7);
        }
        rpc::Answer::Reply(call.question + 1)
    });
    panic!("{served:?}");
}

/// Its calls are answered, or it is told that they are not.
pub fn calls_often() {
    let echo = client::<u64, u64>("echo");
    let mut dropped = 0;
    for number in 0..CALLS {
        match echo.call(&number) {
            Ok(answer) => assert_eq!(answer, number + 1),
            Err(CallError::Ipc(IpcError::PeerGone)) => dropped += 1,
            Err(error) => panic!("{error}"),
        }
    }
    report(dropped);
}

/// May start programs, and no more.
pub fn starts_only() {
    use orbital_init::protocol::processes::Answer::NotAllowed;
    let processes: programs::Client = client("processes");
    let id = start(&processes, "actor", "exits code=9");
    assert_eq!(wait(&processes, id), orbital_user::ExitReason::Exited(9));
    assert_eq!(ask(&processes, Question::Kill(id)), NotAllowed);
    assert_eq!(ask(&processes, Question::List), NotAllowed);
    assert!(!matches!(ask(&processes, role("actor", "exits")), NotAllowed));
    report(0);
}
