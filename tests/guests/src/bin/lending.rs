//! Priorities that calls lend: a thread in the middle, which spins, keeps nobody waiting who is more urgent.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use guests::{
    cpus::{bit, pairs, spin},
    suite,
    threads::{Naps, at, endpoint, label, settle},
    workers::{Own, Worker},
};
use orbital_user::{CapSlot, Endpoint, IpcError, clock, endpoint::reply, thread::JoinHandle};

suite! {
    on "icount pinned memory=256M": [
        a_chain_of_64_lends_through_to_its_end,
        a_kill_in_the_middle_of_a_chain_unwinds_it,
        who_waits_at_a_bound_endpoint_lends,
    ],
    on "cpus=2,4": [
        servers_on_other_cpus_are_lent_too,
        who_gives_up_lends_no_more,
    ],
    roles: [],
}

const LOW: u8 = 10;
const MIDDLE: u8 = 50;
const HIGH: u8 = 100;
const LENGTH: usize = 64;

/// Turns of the one in the middle, and of the last server.
static SPUN: AtomicU64 = AtomicU64::new(0);
static WORKED: AtomicU64 = AtomicU64::new(0);
static MAY_ANSWER: AtomicBool = AtomicBool::new(false);

fn spins(_: &Own) {
    loop {
        SPUN.fetch_add(1, Relaxed);
    }
}

/// Answers each call when it may.
fn serves(own: &Own) {
    let server = endpoint(own.slot());
    let mut received = server.receive();
    while received.is_ok() {
        loop {
            WORKED.fetch_add(1, SeqCst);
            if MAY_ANSWER.load(SeqCst) {
                break;
            }
        }
        // At once: who has answered is less urgent than the one in the middle.
        received = server.reply_receive(&label(2));
    }
}

/// Servers, each of which calls the next one for each call.
struct Chain {
    last: Worker,
    links: Vec<Worker>,
    ends: Vec<Endpoint>,
}

/// Hands a call on: its own slot and the next one's stand in the order in which they were made.
fn hands_on(own: &Own) {
    let [mine, next] = [0, 1].map(|place| {
        let index = own.part(place) as u32;
        endpoint(CapSlot::new(index, own.part(place + 2) as u32))
    });
    let mut received = mine.receive();
    while received.is_ok() {
        received = match next.call(&label(1)) {
            Ok(_) => mine.reply_receive(&label(2)),
            // Its end tells the one that it should have answered.
            Err(_) => return,
        };
    }
}

fn chain() -> Chain {
    let mut ends: Vec<Endpoint> = (0..LENGTH).map(|_| Endpoint::create().unwrap()).collect();
    ends.reverse();
    let last = Worker::start(LOW, serves, ends[LENGTH - 1].slot().bits());
    let link = |place: usize| {
        let [own, next] = [place, place + 1].map(|place| ends[place].slot());
        let parts = [own.index(), next.index(), own.generation(), next.generation()];
        let parts = parts.map(|part| part as usize);
        Worker::start(LOW, hands_on, guests::workers::parts(&parts))
    };
    let links = (0..LENGTH - 1).map(link).collect();
    settle();
    Chain { last, links, ends }
}

/// A client of high priority calls; what it is told, and how often the one in the middle had a turn meanwhile.
fn call(server: &Endpoint) -> JoinHandle<(Result<(), IpcError>, u64)> {
    let slot = server.slot();
    at(HIGH, move || {
        let before = SPUN.load(SeqCst);
        let told = endpoint(slot).call(&label(1)).map(|_| ());
        (told, SPUN.load(SeqCst) - before)
    })
}

/// Instructions, or nanoseconds, between a call and its answer through 64 servers.
const LONGEST: u64 = 1_000_000;

fn a_chain_of_64_lends_through_to_its_end() {
    let chain = chain();
    MAY_ANSWER.store(true, SeqCst);
    let _middle = Worker::start(MIDDLE, spins, 0);
    for _ in 0..10 {
        let from = clock::now();
        let client = call(&chain.ends[0]);
        assert_eq!(client.join(), Ok((Ok(()), 0)), "the one in the middle had its turn");
        let took = clock::now() - from;
        assert!(took < LONGEST, "{took} ns");
    }
    assert!(WORKED.load(SeqCst) >= 10);
    drop(chain);
}

/// Lets the other threads of this CPU run for so long.
fn pause() {
    clock::sleep_until(clock::now() + 5_000_000);
}

/// How far a counter gets in a pause.
fn goes(counter: &AtomicU64) -> u64 {
    let before = counter.load(SeqCst);
    pause();
    counter.load(SeqCst) - before
}

fn a_kill_in_the_middle_of_a_chain_unwinds_it() {
    for place in [0, 31, LENGTH - 2] {
        let chain = chain();
        MAY_ANSWER.store(false, SeqCst);
        let middle = Worker::start(MIDDLE, spins, 0);
        let client = call(&chain.ends[0]);
        assert!(goes(&WORKED) > 0, "the last one works for the client");
        assert_eq!(goes(&SPUN), 0);
        chain.links[place].kill().unwrap();
        // All behind it work for nobody who is more urgent.
        assert_eq!(client.join().unwrap().0, Err(IpcError::PeerGone), "{place}");
        assert_eq!(goes(&WORKED), 0, "{place}");
        assert!(goes(&SPUN) > 0, "{place}");
        for link in chain.links.iter().filter(|link| link.try_wait().is_err()) {
            assert_eq!(link.inspect().unwrap().priority, LOW);
        }
        assert_eq!(chain.last.inspect().unwrap().priority, LOW);
        MAY_ANSWER.store(true, SeqCst);
        drop(middle);
        settle();
    }
}

/// Works before it receives.
fn works_first(own: &Own) {
    while !MAY_ANSWER.load(SeqCst) {
        WORKED.fetch_add(1, SeqCst);
    }
    endpoint(own.slot()).receive().unwrap();
    reply(&label(2)).unwrap();
}

fn who_waits_at_a_bound_endpoint_lends() {
    for is_bound in [true, false] {
        MAY_ANSWER.store(false, SeqCst);
        let end = Endpoint::create().unwrap();
        let server = Worker::new(LOW, works_first, end.slot().bits());
        if is_bound {
            end.bind(server.slot()).unwrap();
        }
        server.thread.start().unwrap();
        let middle = Worker::start(MIDDLE, spins, 0);
        assert_eq!(goes(&WORKED), 0, "nobody waits for it");
        let client = call(&end);
        pause();
        assert_eq!(goes(&WORKED) > 0, is_bound);
        MAY_ANSWER.store(true, SeqCst);
        if !is_bound {
            drop(middle);
        }
        assert_eq!(client.join().unwrap().0, Ok(()));
    }
}

/// A server on that CPU, which waits for a call.
fn waiting(cpu: usize, end: &Endpoint) -> Worker {
    const BLOCKED: u64 = 4;
    let server = Worker::on(bit(cpu), LOW, serves, end.slot().bits());
    let mut naps = Naps::new();
    while server.inspect().unwrap().state != BLOCKED {
        naps.nap();
    }
    server
}

/// Without lending the server would never have a turn.
fn servers_on_other_cpus_are_lent_too() {
    MAY_ANSWER.store(true, SeqCst);
    for (client, server) in pairs() {
        let end = Endpoint::create().unwrap();
        let _server = waiting(server, &end);
        let _middle = Worker::on(bit(server), MIDDLE, spins, 0);
        let calls = |own: &Own| {
            for _ in 0..20 {
                endpoint(own.slot()).call(&label(1)).unwrap();
                spin(1000);
            }
        };
        let client = Worker::on(bit(client), HIGH, calls, end.slot().bits());
        client.wait().unwrap();
    }
}

/// The one in the middle has its turn again when the caller has given up.
fn who_gives_up_lends_no_more() {
    for (client, server) in pairs() {
        MAY_ANSWER.store(false, SeqCst);
        let end = Endpoint::create().unwrap();
        let _server = waiting(server, &end);
        let middle = Worker::on(bit(server), MIDDLE, spins, 0);
        let calls = |own: &Own| {
            let until = clock::now() + 3_000_000;
            let told = endpoint(own.slot()).call_until(until, &label(1));
            assert_eq!(told, Err(IpcError::Unanswered));
        };
        let client = Worker::on(bit(client), HIGH, calls, end.slot().bits());
        client.wait().unwrap();
        let before = SPUN.load(SeqCst);
        let mut naps = Naps::new();
        while SPUN.load(SeqCst) == before {
            naps.nap();
        }
        MAY_ANSWER.store(true, SeqCst);
        drop(middle);
    }
}
