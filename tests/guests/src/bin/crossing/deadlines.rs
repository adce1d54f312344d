//! Deadlines that come about when the partner does: both sides agree on what was first.
#![forbid(unsafe_code)]

use guests::{
    cpus::{pairs, scaled, seed, spin},
    random::Random,
    threads::label,
    workers::Own,
};
use orbital_user::{IpcError, Message, clock, endpoint::reply, println};

use super::record::{MOST, RECEIVED, SENT, WELL, begin, finish, length, on, outcome, shared};

/// About as long as a message takes.
fn soon(random: &mut Random) -> u64 {
    clock::now() + random.below(60_000)
}

fn calls(own: &Own) {
    let mut random = Random::new(own.argument);
    for number in 0..length() {
        let message = Message::new(0, &[number as u64]).unwrap();
        SENT.note(number, outcome(shared().call_until(soon(&mut random), &message)));
        spin(random.below(3000));
    }
}

fn answers(own: &Own) {
    let mut random = Random::new(own.argument);
    loop {
        let received = shared().receive().expect("a call");
        let [number] = received.message.words() else { return };
        spin(random.below(20_000));
        RECEIVED.note(*number as usize, outcome(reply(&received.message)));
    }
}

fn of_calls(from: usize, to: usize, length: usize, seed: u64) -> [usize; 3] {
    let endpoint = begin(length);
    let (server, client) = (on(to, answers, seed), on(from, calls, seed + 1));
    finish(&client);
    endpoint.send(&label(1)).unwrap();
    finish(&server);
    let [gone, unanswered, timed_out] =
        [IpcError::PeerGone, IpcError::Unanswered, IpcError::TimedOut].map(|error| error as u64);
    for number in 0..length {
        let both = (SENT.get(number), RECEIVED.get(number));
        let agree = [(WELL, WELL), (unanswered, gone), (timed_out, 0)].contains(&both);
        assert!(agree, "call {number} from {from} to {to}: {both:?}");
    }
    [WELL, unanswered, timed_out].map(|outcome| SENT.count(outcome))
}

fn sweep<const N: usize>(round: fn(usize, usize, usize, u64) -> [usize; N]) {
    let (length, mut random) = (scaled(2000) as usize, Random::new(seed()));
    let mut sums = [0; N];
    for (from, to) in pairs() {
        let counts = round(from, to, length, random.below(1 << 32));
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    println!("in time, too late: {sums:?}");
}

/// A call's deadline comes before it is taken, before it is answered, or after: the server's reply goes
/// well where the client has its answer, is refused where the client was told so, and there was no call
/// where the client was told that.
pub(super) fn deadlines_of_calls_race_with_replies() {
    sweep(of_calls);
}

fn sends(own: &Own) {
    let mut random = Random::new(own.argument);
    for number in 0..length() {
        let message = Message::new(0, &[number as u64]).unwrap();
        let sent = if random.once_in(4) {
            shared().try_send(&message)
        } else {
            shared().send_until(soon(&mut random), &message)
        };
        SENT.note(number, outcome(sent));
        spin(random.below(3000));
    }
}

fn receives_now_and_then(own: &Own) {
    let mut random = Random::new(own.argument);
    loop {
        let received = shared().receive().expect("a message");
        let [number] = received.message.words() else { return };
        RECEIVED.note(*number as usize, WELL);
        spin(random.below(20_000));
    }
}

fn of_sends(from: usize, to: usize, length: usize, seed: u64) -> [usize; 3] {
    let endpoint = begin(length);
    let (receiver, sender) = (on(to, receives_now_and_then, seed), on(from, sends, seed + 1));
    finish(&sender);
    endpoint.send(&label(1)).unwrap();
    finish(&receiver);
    let [timed_out, blocks] = [IpcError::TimedOut, IpcError::WouldBlock].map(|error| error as u64);
    for number in 0..length {
        let both = (SENT.get(number), RECEIVED.get(number));
        let agree = [(WELL, WELL), (timed_out, 0), (blocks, 0)].contains(&both);
        assert!(agree, "message {number} from {from} to {to}: {both:?}");
    }
    [WELL, timed_out, blocks].map(|outcome| SENT.count(outcome))
}

/// A message whose sender was told that it is too late has not come; every other has, once.
pub(super) fn deadlines_of_sends_race_with_receivers() {
    sweep(of_sends);
}

fn sends_now_and_then(own: &Own) {
    let mut random = Random::new(own.argument);
    for number in 0..length() {
        spin(random.below(20_000));
        let sent = shared().send(&Message::new(0, &[number as u64]).unwrap());
        SENT.note(number, outcome(sent));
    }
}

/// Receives all; for each message that came too late it notes one more.
fn receives_until(own: &Own) {
    let mut random = Random::new(own.argument);
    let (mut number, mut too_late) = (0, 0);
    while number < length() {
        match shared().receive_until(soon(&mut random)) {
            Ok(received) => {
                assert_eq!(received.message.words(), [number as u64]);
                RECEIVED.note(number, WELL + too_late);
                (number, too_late) = (number + 1, 0);
            }
            Err(error) => {
                assert_eq!(error, IpcError::TimedOut);
                too_late += 1;
            }
        }
    }
}

fn of_receivers(from: usize, to: usize, length: usize, seed: u64) -> [usize; 2] {
    let _endpoint = begin(length);
    let (receiver, sender) = (on(to, receives_until, seed), on(from, sends_now_and_then, seed + 1));
    finish(&sender);
    finish(&receiver);
    assert_eq!(SENT.count(WELL), length, "{from} to {to}");
    let in_time = RECEIVED.count(WELL);
    assert_eq!(RECEIVED.count(0), MOST - length, "{from} to {to}");
    [in_time, length - in_time]
}

/// A receiver gives up again and again; no message is lost by that, and all come in their order.
pub(super) fn deadlines_of_receivers_race_with_senders() {
    sweep(of_receivers);
}

/// A little of all.
pub(super) fn one_round_of_deadlines(from: usize, to: usize) {
    of_calls(from, to, 20, 1);
    of_sends(from, to, 20, 2);
    of_receivers(from, to, 20, 3);
}
