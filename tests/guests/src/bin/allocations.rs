//! The kernel takes no memory for a message, a signal, a fault, a wait or the end of one: a million operations of all
//! kinds on all CPUs.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use guests::{
    cpus::{self, bit, scaled, seed},
    mapped::{READ_WRITE, do_protect, write},
    random::Random,
    suite,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason, IpcError, MemoryObject, Notification, Rights, Timer,
    abi::{
        FaultKind, Received,
        fault::{FAULT, FaultMessage, RESUME},
        layout::PAGE_SIZE,
        message::MAX_WORDS,
        statistics::Statistic,
    },
    clock,
    endpoint::reply,
    message_page::MessagePage,
    println, system,
    thread::yield_now,
};

suite! {
    on "cpus=1,2,4 timeout=120": [a_million_operations_take_no_memory],
    roles: [],
}

/// What a server does with a message.
mod wish {
    /// Takes it.
    pub const NOTHING: u32 = 0;
    /// Answers it.
    pub const ANSWER: u32 = 1;
    /// Answers it, and takes the next in one step.
    pub const ANSWER_AND_TAKE: u32 = 2;
    /// Owes the answer until it takes another call.
    pub const FORGET: u32 = 3;
    /// Answers it with as many words as there can be.
    pub const ANSWER_AT_LENGTH: u32 = 4;
    /// Ends.
    pub const END: u32 = 5;
}

/// Clients of each server.
const CLIENTS: usize = 2;
/// Threads that wait until they are killed.
const VICTIMS: usize = 30;
/// The words of a long message.
const LONG: [u64; MAX_WORDS] = [7; _];
/// Pages that each client uses for the first time.
const FRESH: u64 = 64;
/// The signal that ends who waits for signals.
const LAST: u64 = 1 << 63;

/// Rounds of each client, and the operations of all threads.
static ROUNDS: AtomicU64 = AtomicU64::new(0);
static OPERATIONS: AtomicU64 = AtomicU64::new(0);
/// How many operations ended in each way.
static WELL: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
/// Receives that ended by a signal, and faults that were handled.
static SIGNALS: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// What stands behind a client, in slots.
#[derive(Clone, Copy)]
struct Place {
    /// Where its server is.
    server: CapSlot,
    /// Where nobody is.
    silent: CapSlot,
    /// Which its timer signals.
    own: CapSlot,
    /// Which someone waits for.
    waited: CapSlot,
    timer: CapSlot,
    /// Whose signals end its receives.
    bound: CapSlot,
}

/// Those of all clients: written before they start.
static PLACES: [[AtomicU64; 6]; cpus::MOST * CLIENTS] =
    [const { [const { AtomicU64::new(0) }; 6] }; _];
/// Where the pages of all clients are that may be read alone, and behind each those that nobody has used.
static PAGES: [AtomicU64; cpus::MOST * CLIENTS] = [const { AtomicU64::new(0) }; _];

impl Place {
    fn store(self, client: usize) {
        let slots = [self.server, self.silent, self.own, self.waited, self.timer, self.bound];
        PLACES[client].iter().zip(slots).for_each(|(place, slot)| place.store(slot.bits(), SeqCst));
    }

    fn load(client: usize) -> Self {
        let slots = PLACES[client].each_ref().map(|slot| CapSlot::from_bits(slot.load(SeqCst)));
        let [server, silent, own, waited, timer, bound] = slots;
        Self { server, silent, own, waited, timer, bound }
    }
}

fn notification(slot: CapSlot) -> ManuallyDrop<Notification> {
    ManuallyDrop::new(Notification::from_slot(slot))
}

fn count<T, E>(result: &Result<T, E>) {
    OPERATIONS.fetch_add(1, SeqCst);
    let tally = if result.is_ok() { &WELL } else { &REFUSED };
    tally.fetch_add(1, SeqCst);
}

/// Counts an operation that ends in one of these ways.
#[track_caller]
fn ends<T, E: PartialEq + core::fmt::Debug>(result: Result<T, E>, errors: &[E]) {
    count(&result);
    if let Err(error) = result {
        assert!(errors.contains(&error), "{error:?}");
    }
}

/// Soon, in nanoseconds since boot.
fn soon() -> u64 {
    clock::now() + 20_000
}

/// Everything that a client can do, in turn.
fn uses(own: &Own) {
    use IpcError::{NoReplyOwed, PeerGone, TimedOut, Unanswered, WouldBlock};
    let place = Place::load(own.part(0));
    let (server, silent) = (endpoint(place.server), endpoint(place.silent));
    let timer = ManuallyDrop::new(Timer::from_slot(place.timer));
    let (long, page) = (message_page(), PAGES[own.part(0)].load(SeqCst));
    // Who shares its server may take a call while this one's is owed.
    let either = [PeerGone];
    for round in 0..ROUNDS.load(SeqCst) {
        ends(server.send(&label(wish::NOTHING)), &[]);
        ends(server.call(&label(wish::ANSWER)), &either);
        ends(server.call(&label(wish::ANSWER_AND_TAKE)), &either);
        ends(server.send(&long.message(wish::NOTHING, &LONG).expect("a message")), &[]);
        ends(server.call(&label(wish::ANSWER_AT_LENGTH)), &either);
        ends(server.try_send(&label(wish::NOTHING)), &[WouldBlock]);
        ends(server.try_call(&label(wish::ANSWER)), &[WouldBlock, PeerGone]);
        ends(server.send_until(soon(), &label(wish::NOTHING)), &[TimedOut]);
        let late = [TimedOut, Unanswered, PeerGone];
        ends(server.call_until(soon(), &label(wish::ANSWER)), &late);
        ends(server.call_until(soon(), &label(wish::FORGET)), &late);
        ends(silent.send_until(soon(), &label(wish::NOTHING)), &[TimedOut]);
        ends(silent.receive_until(soon()), &[TimedOut]);
        ends(silent.try_receive(), &[WouldBlock]);
        ends(notification(place.bound).signal(1), &[]);
        let received = silent.receive();
        SIGNALS.fetch_add(u64::from(received.is_ok_and(|received| received.signals != 0)), SeqCst);
        ends(received, &[]);
        ends(do_protect(page, PAGE_SIZE, Rights::READ), &[]);
        write(page, round);
        if round < FRESH {
            write(page + (1 + round) * PAGE_SIZE, round);
        }
        ends(reply(&label(0)), &[NoReplyOwed]);
        ends(notification(place.waited).signal(1 << (round % 60)), &[]);
        ends(timer.set(soon()), &[]);
        ends(notification(place.own).wait(), &[]);
        ends(notification(place.own).wait_until(soon()), &[orbital_user::Error::TimedOut]);
        ends(notification(place.own).poll(), &[orbital_user::Error::WouldBlock]);
    }
}

/// The thread's page, which it has by now.
fn message_page() -> MessagePage {
    MessagePage::of_thread().expect("its page")
}

/// The client may write there, and tries again.
fn resume(received: &Received) {
    let fault = FaultMessage::decode(&received.message).expect("a fault").fault;
    assert_eq!(fault.kind, FaultKind::PageWrite);
    ends(do_protect(fault.address & !(PAGE_SIZE - 1), PAGE_SIZE, READ_WRITE), &[]);
    ends(reply(&label(RESUME)), &[IpcError::PeerGone]);
    FAULTS.fetch_add(1, SeqCst);
}

fn serves(own: &Own) {
    let (endpoint, long) = (endpoint(own.slot()), message_page());
    let mut taken = endpoint.receive();
    loop {
        count(&taken);
        let received = taken.expect("a message");
        taken = match received.message.label() {
            FAULT => {
                resume(&received);
                endpoint.receive()
            }
            wish::END => return,
            wish::ANSWER => {
                ends(reply(&label(0)), &[IpcError::PeerGone]);
                endpoint.receive()
            }
            wish::ANSWER_AT_LENGTH => {
                let answer = long.message(0, &LONG).expect("a message");
                ends(reply(&answer), &[IpcError::PeerGone]);
                endpoint.receive()
            }
            wish::ANSWER_AND_TAKE => {
                OPERATIONS.fetch_add(1, SeqCst);
                endpoint.reply_receive(&label(0))
            }
            _ => endpoint.receive(),
        };
    }
}

fn waits(own: &Own) {
    loop {
        let signals = notification(own.slot()).wait();
        count(&signals);
        if signals.expect("signals") & LAST != 0 {
            return;
        }
    }
}

/// Waits until it is killed: in one of these ways.
fn waits_for_ever(own: &Own) {
    let endpoint = endpoint(CapSlot::from_bits(own.argument & !(3 << 62)));
    match own.argument >> 62 {
        0 => drop(endpoint.call(&label(0))),
        1 => drop(endpoint.send(&label(0))),
        _ => clock::sleep_until(u64::MAX),
    }
}

/// How often the kernel has taken memory.
fn allocations() -> u64 {
    system::statistic(Statistic::HeapAllocations).expect("the right to read counters")
}

/// Clients, servers and waiters on all CPUs, which a thread stops and lets go on, and some who are killed: a million
/// operations in a long run, and none of them takes memory.
fn a_million_operations_take_no_memory() {
    let (wanted, mut random) = (scaled(1_000_000), Random::new(seed()));
    let cpus = cpus::count();
    let clients = cpus * CLIENTS;
    // Twenty-two of its own, and at least fourteen of its partners.
    ROUNDS.store(wanted / (36 * clients as u64) + 1, SeqCst);
    let endpoint = || Endpoint::create().unwrap();
    let (servers, silent): (Vec<_>, _) = ((0..cpus).map(|_| endpoint()).collect(), endpoint());
    let waited: Vec<_> = (0..cpus).map(|_| Notification::create().unwrap()).collect();
    let [own, bound] =
        [(); 2].map(|()| (0..clients).map(|_| Notification::create().unwrap()).collect::<Vec<_>>());
    let memory: Vec<_> = (0..clients)
        .map(|_| MemoryObject::create((1 + FRESH) * PAGE_SIZE).unwrap())
        .map(|memory| memory.map_write((1 + FRESH) * PAGE_SIZE).unwrap())
        .collect();
    let timers: Vec<_> = own.iter().map(|own| Timer::create(own, 1).unwrap()).collect();
    let on = |cpu: usize, body, argument| {
        let worker = Worker::new(MIDDLE, body, argument);
        worker.set_affinity(bit(cpu % cpus)).unwrap();
        worker
    };
    let mut others = Vec::new();
    for cpu in 0..cpus {
        let server = on(cpu, serves, servers[cpu].slot().bits());
        server.give_message_page(0).unwrap();
        others.push(server);
        others.push(on(cpu + 1, waits, waited[cpu].slot().bits()));
    }
    let client = |client: usize| {
        let cpu = client / CLIENTS;
        let place = Place {
            server: servers[cpu].slot(),
            silent: silent.slot(),
            own: own[client].slot(),
            waited: waited[cpu].slot(),
            timer: timers[client].slot(),
            bound: bound[client].slot(),
        };
        place.store(client);
        let page = memory[client].address();
        PAGES[client].store(page, SeqCst);
        // A mapping is parted in two, which takes memory once.
        do_protect(page, PAGE_SIZE, Rights::READ).unwrap();
        // One beside its server, the others elsewhere.
        let worker = on(cpu + client % CLIENTS, uses, client as u64);
        worker.give_message_page(0).unwrap();
        worker.set_fault_handler(place.server).unwrap();
        bound[client].bind(worker.slot()).unwrap();
        worker
    };
    let clients: Vec<_> = (0..clients).map(client).collect();
    let alone = endpoint();
    let victims: Vec<_> = (0..VICTIMS)
        .map(|n| on(n, waits_for_ever, alone.slot().bits() | (n as u64 % 3) << 62))
        .collect();

    let before = allocations();
    for worker in others.iter().chain(&clients).chain(&victims) {
        worker.start().unwrap();
    }
    cpus::be_equal();
    let mut victims_left = victims.iter();
    while clients.iter().any(|client| client.try_wait().is_err()) {
        let stopped = &clients[random.below(clients.len() as u64) as usize];
        // It may have ended.
        count(&stopped.suspend());
        yield_now();
        count(&stopped.resume());
        clock::sleep(random.below(500_000));
        if let Some(victim) = victims_left.next() {
            count(&victim.kill());
        }
    }
    for (server, waited) in servers.iter().zip(&waited) {
        ends(server.send(&label(wish::END)), &[]);
        ends(waited.signal(LAST), &[]);
    }
    for worker in others.iter().chain(&clients) {
        assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
    }
    assert_eq!(allocations(), before, "taken since");

    let [made, well, refused] = [&OPERATIONS, &WELL, &REFUSED].map(|tally| tally.load(SeqCst));
    let [signals, faults] = [&SIGNALS, &FAULTS].map(|tally| tally.load(SeqCst));
    println!("{made} operations, {well} went well, {refused} did not");
    println!("{signals} receives ended by a signal, {faults} faults");
    assert!(made >= wanted && well > made / 3 && refused > made / 10);
    assert!(signals > made / 100 && faults > made / 100);
    drop(endpoint());
    assert!(allocations() > before, "what is made is counted");
}
