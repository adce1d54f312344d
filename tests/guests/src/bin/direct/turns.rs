//! Two threads that call and answer each other without end, or fault and are resumed: others get their turns all
//! the same.
#![forbid(unsafe_code)]

use core::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use guests::{
    raw,
    threads::{self, MIDDLE, Naps, label},
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason,
    abi::fault::{END, RESUME},
    thread::JoinHandle,
};

/// How many turns the third thread sees.
const TURNS: u64 = 20;

static STOP: AtomicBool = AtomicBool::new(false);
/// How often the two have switched.
static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// Answers calls and faults until it is told to stop, and then ends whoever faults.
fn serve(endpoint: CapSlot) {
    let endpoint = threads::endpoint(endpoint);
    let mut received = endpoint.receive().unwrap();
    loop {
        ROUNDS.fetch_add(1, SeqCst);
        if received.message == label(2) {
            return;
        }
        let verdict = if STOP.load(SeqCst) { END } else { RESUME };
        received = endpoint.reply_receive(&label(verdict)).unwrap();
    }
}

fn ask(endpoint: CapSlot) {
    let endpoint = threads::endpoint(endpoint);
    while !STOP.load(SeqCst) {
        endpoint.call(&label(1)).unwrap();
    }
}

/// What the two do.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Call,
    Fault,
}

/// Server and client.
struct Two {
    endpoint: Endpoint,
    way: Way,
    server: JoinHandle<()>,
    client: JoinHandle<()>,
}

impl Two {
    fn new(way: Way, priority: u8) -> Self {
        STOP.store(false, SeqCst);
        ROUNDS.store(0, SeqCst);
        let endpoint = Endpoint::create().unwrap();
        let slot = endpoint.slot();
        let server = threads::at(priority, move || serve(slot));
        let client = threads::at(MIDDLE, move || match way {
            Way::Call => ask(slot),
            Way::Fault => raw::fault(),
        });
        if way == Way::Fault {
            client.thread().set_fault_handler(slot).unwrap();
        }
        Self { endpoint, way, server, client }
    }

    /// Ends both, which have gone on until here.
    fn end(self) {
        STOP.store(true, SeqCst);
        match (self.way, self.client.join()) {
            (Way::Call, Ok(())) | (Way::Fault, Err(ExitReason::Faulted(_))) => {}
            (_, ended) => panic!("{ended:?}"),
        }
        // Its call, or word of its fault, was the last.
        self.endpoint.call(&label(2)).unwrap_err();
        self.server.join().unwrap();
    }
}

/// Sees the two go on, so many times: between two looks each of them has had a turn.
fn look() {
    for _ in 0..TURNS {
        let before = ROUNDS.load(SeqCst);
        while ROUNDS.load(SeqCst) == before {
            spin_loop();
        }
    }
}

fn equal(way: Way) {
    // The server is as urgent as its client, or more.
    for priority in [MIDDLE, MIDDLE + 10] {
        let two = Two::new(way, priority);
        threads::at(MIDDLE, look).join().unwrap();
        two.end();
    }
}

/// A thread as urgent as the client, which never waits, has its turns, and so have the two.
pub(super) fn an_equal_thread_takes_turns_with_a_caller_and_its_server() {
    equal(Way::Call);
}

/// The same with a thread that faults at one place for ever.
pub(super) fn an_equal_thread_takes_turns_with_one_that_faults_and_its_handler() {
    equal(Way::Fault);
}

fn more_urgent(way: Way) {
    for priority in [MIDDLE - 10, MIDDLE, MIDDLE + 10] {
        let two = Two::new(way, priority);
        for _ in 0..TURNS {
            let before = ROUNDS.load(SeqCst);
            let mut naps = Naps::new();
            while ROUNDS.load(SeqCst) == before {
                naps.nap();
            }
        }
        two.end();
    }
}

/// The case's thread sleeps again and again, and each time comes back although the two go on.
pub(super) fn a_more_urgent_thread_comes_between_a_caller_and_its_server() {
    more_urgent(Way::Call);
}

/// Likewise.
pub(super) fn a_more_urgent_thread_comes_between_one_that_faults_and_its_handler() {
    more_urgent(Way::Fault);
}
