//! Those who must not notice: what they have in their registers stays whole, and the kernel answers
//! them right.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use guests::{
    cpus::spin,
    pattern::{General, Vectors, has_bases, hold_bases, hold_flags},
    raw::{control, refuse},
    threads::{MIDDLE, at, endpoint},
};
use orbital_user::{
    CapSlot, Endpoint, Error, Message,
    abi::Syscall,
    thread::{JoinHandle, yield_now},
};

static IS_OVER: AtomicBool = AtomicBool::new(false);
static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// Repeats `round` until the siege is over.
fn hold(mut round: impl FnMut()) {
    while !IS_OVER.load(Relaxed) {
        round();
        ROUNDS.fetch_add(1, Relaxed);
    }
}

fn general() {
    let mut pattern = General::new(7);
    hold(|| assert!(pattern.hold(2000), "a register is not what it was"));
}

fn flags() {
    let mut flags = 0xcd5;
    hold(|| {
        flags ^= 0x881;
        assert_eq!(hold_flags(flags | 2, 5000), flags | 0x202);
    });
}

fn bases() {
    let mut bases = [0x1234_5000, 0xffff_9000_0000_1000];
    hold(|| {
        if has_bases() {
            assert_eq!(hold_bases(bases, 5000), bases);
        }
        bases.swap(0, 1);
    });
}

fn vectors(seed: u8) {
    let pattern = Vectors::pattern(seed);
    hold(|| {
        pattern.load();
        let held = Vectors::now();
        spin(2000);
        assert!(Vectors::now() == held, "vectors {seed}");
        yield_now();
        assert!(Vectors::now() == held, "vectors {seed}, after a call");
    });
}

/// Calls that are refused leave their code and zeros, each time.
fn calls() {
    let nothing = control([CapSlot::NULL.bits(), 0]);
    hold(|| {
        refuse(Syscall::Receive, nothing, Error::EmptySlot);
        refuse(Syscall::SystemStatistics, nothing, Error::EmptySlot);
    });
}

/// Words that go to a server and come back.
fn asks(slot: CapSlot) {
    let mut number = 0_u64;
    hold(|| {
        number += 1;
        let words = core::array::from_fn::<_, 8, _>(|n| number.wrapping_mul(n as u64 + 3));
        let answer = endpoint(slot).call(&Message::new(number as u32, &words).expect("8 words"));
        assert_eq!(answer.expect("an answer").words(), words.map(|word| !word));
    });
}

fn answers(slot: CapSlot) {
    let mut received = endpoint(slot).receive();
    while let Ok(call) = received {
        let words: Vec<_> = call.message.words().iter().map(|word| !word).collect();
        let answer = Message::new(call.message.label(), &words).expect("as many");
        received = endpoint(slot).reply_receive(&answer);
    }
}

/// The victims at work.
pub struct Victims {
    threads: Vec<JoinHandle<()>>,
    server: JoinHandle<()>,
    endpoint: Endpoint,
}

impl Victims {
    pub fn start() -> Self {
        let endpoint = Endpoint::create().expect("an endpoint");
        let slot = endpoint.slot();
        let server = at(MIDDLE, move || answers(slot));
        let threads = [
            at(MIDDLE, general),
            at(MIDDLE, flags),
            at(MIDDLE, bases),
            at(MIDDLE, || vectors(1)),
            at(MIDDLE, || vectors(2)),
            at(MIDDLE, calls),
            at(MIDDLE, move || asks(slot)),
        ];
        Self { threads: threads.into(), server, endpoint }
    }

    /// The siege is over: none of them has noticed.
    pub fn end(self) {
        IS_OVER.store(true, Relaxed);
        for thread in self.threads {
            assert_eq!(thread.join(), Ok(()));
        }
        assert!(ROUNDS.load(Relaxed) > 100, "they did not get their turns");
        drop(self.endpoint);
        let _ = self.server.thread().kill();
    }
}
