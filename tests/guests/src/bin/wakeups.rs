//! Wake-ups from CPU to CPU: none is lost, whatever the CPU does to which it goes. One that is lost is a
//! thread that waits for ever, and a case that does not end.
//!
//! A hundred thousand in all in a long run, a tenth else.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{self, bit, pairs, scaled},
    suite,
    threads::{MIDDLE, endpoint},
    workers::{Own, Worker},
};
use orbital_user::{Endpoint, ExitReason, Message, endpoint::reply, println};

suite! {
    // A busy host gives a CPU its turn after milliseconds.
    on "cpus=1,2,4 timeout=300": [
        of_cpus_that_sleep,
        of_cpus_with_something_less_urgent,
        of_cpus_with_something_equal,
        from_all_to_all,
    ],
    roles: [],
}

/// A quarter of them.
const QUARTER: u64 = 25_000;

/// How many calls a client makes, and how many all have made.
static CALLS: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);

/// Answers until a message without a word comes.
fn answers(own: &Own) {
    let mut received = endpoint(own.slot()).receive().expect("a call");
    while let [number] = received.message.words() {
        let answer = Message::new(0, &[number + 1]).unwrap();
        received = endpoint(own.slot()).reply_receive(&answer).expect("a call");
    }
    reply(&received.message).expect("the case waits");
}

fn calls(own: &Own) {
    for number in 0..CALLS.load(SeqCst) {
        let answer = endpoint(own.slot()).call(&Message::new(0, &[number]).unwrap());
        assert_eq!(answer.unwrap().words(), [number + 1]);
        DONE.fetch_add(1, SeqCst);
    }
}

fn spins(_: &Own) {
    loop {
        core::hint::spin_loop();
    }
}

/// A thread with something to wait for on `cpu`.
struct Server {
    endpoint: Endpoint,
    worker: Worker,
}

impl Server {
    fn on(cpu: usize) -> Self {
        let endpoint = Endpoint::create().unwrap();
        let worker = Worker::on(bit(cpu), MIDDLE, answers, endpoint.slot().bits());
        Self { endpoint, worker }
    }

    fn client(&self, cpu: usize) -> Worker {
        Worker::on(bit(cpu), MIDDLE, calls, self.endpoint.slot().bits())
    }

    fn end(&self) {
        self.endpoint.call(&Message::default()).unwrap();
        assert_eq!(self.worker.wait(), Ok(ExitReason::Exited(0)));
    }
}

/// Sets how many calls `clients` make each, for `wakes` in all: each call wakes the server and the client.
fn plan(wakes: u64, clients: usize) {
    CALLS.store(wakes.div_ceil(2 * clients as u64), SeqCst);
    DONE.store(0, SeqCst);
}

fn one_pair_after_the_other() {
    plan(scaled(QUARTER), pairs().count());
    for (from, to) in pairs() {
        let server = Server::on(to);
        assert_eq!(server.client(from).wait(), Ok(ExitReason::Exited(0)));
        server.end();
    }
    all_were_made(pairs().count());
}

fn all_were_made(clients: usize) {
    let done = DONE.load(SeqCst);
    assert_eq!(done, CALLS.load(SeqCst) * clients as u64);
    println!("{} wake-ups", 2 * done);
}

/// Between two CPUs that have nothing else to do: each wake-up ends a sleep.
fn of_cpus_that_sleep() {
    one_pair_after_the_other();
}

/// Between two CPUs on which less urgent threads spin: each wake-up preempts one.
fn of_cpus_with_something_less_urgent() {
    let spin = |cpu| Worker::on(bit(cpu), 1, spins, 0);
    let _spinning: Vec<_> = (0..cpus::count()).map(spin).collect();
    one_pair_after_the_other();
}

/// Between two CPUs on which equal threads come and go: who is woken waits for its turn.
fn of_cpus_with_something_equal() {
    let yields = |_: &Own| loop {
        orbital_user::thread::yield_now();
    };
    let yielding = |cpu| Worker::on(bit(cpu), MIDDLE, yields, 0);
    let _yielding: Vec<_> = (0..cpus::count()).map(yielding).collect();
    one_pair_after_the_other();
}

/// Between all CPUs at once: a server on each, and a client for it on each other.
fn from_all_to_all() {
    let servers: Vec<_> = (0..cpus::count()).map(Server::on).collect();
    plan(scaled(QUARTER), pairs().count());
    let clients: Vec<_> = pairs().map(|(from, to)| servers[to].client(from)).collect();
    for client in &clients {
        assert_eq!(client.wait(), Ok(ExitReason::Exited(0)));
    }
    servers.iter().for_each(Server::end);
    all_were_made(clients.len());
}
