//! One side is killed at any time: the other is told, or goes on with whoever comes next.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use guests::{
    cpus::{pairs, scaled, seed, spin},
    random::Random,
    threads::label,
    workers::{Own, Worker},
};
use orbital_user::{Endpoint, ExitReason, IpcError, Message, endpoint::reply, thread::yield_now};

use super::record::{
    MOST, RECEIVED, SENT, WELL, begin, blocks, finish, length, on, outcome, shared,
};

/// The number of the next message.
static NEXT: AtomicUsize = AtomicUsize::new(0);

fn next() -> Option<(usize, Message)> {
    let number = NEXT.fetch_add(1, SeqCst);
    (number < length()).then(|| (number, Message::new(0, &[number as u64]).unwrap()))
}

/// Those who send end when the numbers are used up, or here.
fn stop_here() {
    NEXT.store(MOST, SeqCst);
}

fn number(message: &Message) -> Option<usize> {
    message.words().first().map(|number| *number as usize)
}

/// Lets others go on for a while.
fn wait_a_while(random: &mut Random) {
    for _ in 0..random.below(6) {
        yield_now();
    }
    spin(random.below(2000));
}

/// Starts a thread and kills it a while later, `times` times. Gives how many of them lived until then.
fn kill_again_and_again(cpu: usize, body: fn(&Own), times: u64, random: &mut Random) -> usize {
    let mut killed = 0;
    for _ in 0..times {
        let victim = on(cpu, body, 0);
        wait_a_while(random);
        killed += usize::from(victim.kill().is_ok());
        let ended = victim.try_wait();
        assert!([Ok(ExitReason::Killed), Ok(ExitReason::Exited(0))].contains(&ended), "{ended:?}");
    }
    killed
}

fn calls(_: &Own) {
    while let Some((number, message)) = next() {
        SENT.note(number, outcome(shared().call(&message)));
    }
}

fn answers(_: &Own) {
    while let Ok(received) = shared().receive() {
        let Some(number) = number(&received.message) else { return };
        RECEIVED.note(number, outcome(reply(&received.message)));
    }
}

fn callers(from: usize, to: usize, times: u64, random: &mut Random) {
    let endpoint = begin(MOST);
    NEXT.store(0, SeqCst);
    let server = on(to, answers, 0);
    kill_again_and_again(from, calls, times, random);
    stop_here();
    endpoint.send(&label(1)).unwrap();
    finish(&server);
    let gone = IpcError::PeerGone as u64;
    let mut unfinished = 0;
    for number in 0..MOST {
        match (SENT.get(number), RECEIVED.get(number)) {
            (WELL, WELL) | (0, 0) => {}
            // It was killed in this call, or behind it.
            (0, answered) if answered == gone || answered == WELL => unfinished += 1,
            other => panic!("call {number} from {from} to {to}: {other:?}"),
        }
    }
    assert!(unfinished <= times, "{unfinished} without an end of {times} that were killed");
}

fn sweep(round: fn(usize, usize, u64, &mut Random)) {
    let (times, mut random) = (scaled(200), Random::new(seed()));
    for (from, to) in pairs() {
        round(from, to, times, &mut random);
    }
}

/// A caller is killed before, in and after its calls: the server learns that it is gone, or has
/// answered; every call that came back was answered once.
pub(super) fn a_caller_is_killed_at_any_time() {
    sweep(callers);
}

fn servers(from: usize, to: usize, times: u64, random: &mut Random) {
    let endpoint = begin(MOST);
    NEXT.store(0, SeqCst);
    let client = on(from, calls, 0);
    let killed = kill_again_and_again(to, answers, times, random);
    stop_here();
    // Whatever the client still waits for has an answer.
    let last = on(to, answers, 0);
    finish(&client);
    endpoint.send(&label(1)).unwrap();
    finish(&last);
    let gone = IpcError::PeerGone as u64;
    let mut told = 0;
    for number in 0..MOST {
        match (SENT.get(number), RECEIVED.get(number)) {
            (WELL, WELL) | (0, 0) => {}
            // It was killed between its answer and the note of it.
            (WELL, 0) => told += 1,
            (sent, 0) if sent == gone => told += 1,
            other => panic!("call {number} from {from} to {to}: {other:?}"),
        }
    }
    assert!(told <= killed, "{told} calls without an answer of {killed} servers");
}

/// A server is killed before, in and after the calls that it takes: its caller is told, once for each
/// server at most, and the next server goes on.
pub(super) fn a_server_is_killed_at_any_time() {
    sweep(servers);
}

fn sends(_: &Own) {
    while let Some((number, message)) = next() {
        SENT.note(number, outcome(shared().send(&message)));
    }
}

fn receives(_: &Own) {
    while let Ok(received) = shared().receive() {
        let Some(number) = number(&received.message) else { return };
        RECEIVED.note(number, WELL);
    }
}

fn senders(from: usize, to: usize, times: u64, random: &mut Random) {
    let endpoint = begin(MOST);
    NEXT.store(0, SeqCst);
    let receiver = on(to, receives, 0);
    kill_again_and_again(from, sends, times, random);
    stop_here();
    endpoint.send(&label(1)).unwrap();
    finish(&receiver);
    let mut unfinished = 0;
    for number in 0..MOST {
        match (SENT.get(number), RECEIVED.get(number)) {
            (WELL, WELL) | (0, 0) => {}
            (0, WELL) => unfinished += 1,
            other => panic!("message {number} from {from} to {to}: {other:?}"),
        }
    }
    assert!(unfinished <= times, "{unfinished} without an end of {times} that were killed");
}

/// A sender is killed before, in and after its sends: what it has sent has come, once.
pub(super) fn a_sender_is_killed_at_any_time() {
    sweep(senders);
}

fn receivers(from: usize, to: usize, times: u64, random: &mut Random) {
    let endpoint = begin(MOST);
    NEXT.store(0, SeqCst);
    let sender = on(from, sends, 0);
    let killed = kill_again_and_again(to, receives, times, random);
    stop_here();
    let last = on(to, receives, 0);
    finish(&sender);
    endpoint.send(&label(1)).unwrap();
    finish(&last);
    let mut forgotten = 0;
    for number in 0..MOST {
        match (SENT.get(number), RECEIVED.get(number)) {
            (WELL, WELL) | (0, 0) => {}
            // Its receiver was killed before it could note it.
            (WELL, 0) => forgotten += 1,
            other => panic!("message {number} from {from} to {to}: {other:?}"),
        }
    }
    assert!(forgotten <= killed, "{forgotten} messages lost by {killed} receivers");
}

/// A receiver is killed before, in and after it receives: at most what it has just taken goes with it.
pub(super) fn a_receiver_is_killed_at_any_time() {
    sweep(receivers);
}

/// A little of all, and one of each side that is killed where it waits.
pub(super) fn one_round_of_kills(from: usize, to: usize) {
    let mut random = Random::new(1);
    for round in [callers, servers, senders, receivers] {
        round(from, to, 2, &mut random);
    }
    let _endpoint: Endpoint = begin(1);
    for body in [calls as fn(&Own), sends, receives] {
        NEXT.store(0, SeqCst);
        let waits: Worker = on(from, body, 0);
        blocks(&waits);
        assert_eq!(waits.kill(), Ok(()));
    }
}
