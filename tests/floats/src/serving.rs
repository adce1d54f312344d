//! Servers and clients that both compute.
#![forbid(unsafe_code)]

use core::hint::black_box;

use guests::{
    children,
    cpus::scaled,
    threads::{MIDDLE, at, endpoint, granted},
};
use orbital_user::{
    Endpoint, ExitReason, IpcError, Message, Rights,
    abi::{Deadline, Syscall},
    server::{Next, serve},
};

use crate::{computing::chaos, registers::hold};

const ROOT: u32 = 1;
const STOP: u32 = 2;

/// Answers numbers with their roots, and computes something of its own before each answer.
fn serve_roots(endpoint: &Endpoint) -> Result<(), IpcError> {
    let alone = chaos(1, 50, || ());
    serve(endpoint, |request| {
        assert_eq!(chaos(1, 50, || ()), alone);
        match (request.message.label(), request.message.words()) {
            (ROOT, &[bits]) => {
                let root = libm::sqrt(f64::from_bits(bits));
                Next::Reply(Message::new(ROOT, &[root.to_bits()]).expect("one word"))
            }
            _ => Next::ReplyAndStop(Message::default()),
        }
    })
}

/// Computes, and calls between any two turns; the answers are right, and so is what was computed.
fn ask(server: &Endpoint, seed: u64, turns: u64) {
    let mut number = 1.5_f64;
    let mut turn = seed << 32;
    let mut is_right = true;
    let tag = Message::new(ROOT, &[0]).expect("one word").tag;
    let found = chaos(seed, turns, || {
        turn += 1;
        let control = [server.slot().bits(), tag.bits(), Deadline::Never.bits(), 0];
        let (is_kept, result, root) = hold(turn, Syscall::Call, control, number.to_bits());
        is_right &= is_kept && result == 0 && root == libm::sqrt(number).to_bits();
        number += 0.25;
    });
    assert_eq!(found, chaos(seed, turns, || ()));
    assert!(is_right, "a wrong root, or other values after a call");
}

fn stop(server: &Endpoint) {
    let asked = Message::new(STOP, &[]).expect("no words");
    server.call(&asked).expect("the server's last answer");
}

/// Calls are the fast way from thread to thread: what is in the registers goes along with none of them.
pub fn values_survive_calls_between_threads() {
    let server = Endpoint::create().expect("an endpoint");
    let slot = server.slot();
    let serving = at(MIDDLE, move || serve_roots(&endpoint(slot)));
    let turns = scaled(2000);
    let clients = [2, 3, 4].map(|seed| at(MIDDLE, move || ask(&endpoint(slot), seed, turns)));
    for client in clients {
        client.join().expect("a client's success");
    }
    stop(&server);
    assert_eq!(serving.join(), Ok(Ok(())));
}

/// The role of the server in a process of its own.
pub fn answers() {
    serve_roots(&granted(0)).expect("the server's success");
}

/// The same from address space to address space.
pub fn another_process_computes() {
    let server = Endpoint::create().expect("an endpoint");
    let child = children::start("answers", |spawn| spawn.grant(server.slot(), Rights::RECEIVE, 0));
    ask(&server, 5, scaled(2000));
    stop(&server);
    children::succeed(&child);
}

/// The role that fails with a number in its last words.
pub fn panics() {
    panic!("0.1 + 0.2 is {}", black_box(0.1_f64) + black_box(0.2));
}

/// The harness's tests look for what it said in the log.
pub fn a_panic_says_a_number() {
    let child = children::start("panics", |spawn| spawn);
    assert_eq!(child.wait(), Ok(ExitReason::Exited(101)));
}
