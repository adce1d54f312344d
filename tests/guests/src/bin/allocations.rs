//! The kernel takes no memory for a message, a signal, a wait or the end of one: a million operations of all kinds on
//! all CPUs.
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
    random::Random,
    suite,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason, IpcError, Notification, Timer, abi::statistics::Statistic,
    clock, endpoint::reply, println, system, thread::yield_now,
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
    /// Ends.
    pub const END: u32 = 4;
}

/// Clients of each server.
const CLIENTS: usize = 2;
/// Threads that wait until they are killed.
const VICTIMS: usize = 30;
/// The signal that ends who waits for signals.
const LAST: u64 = 1 << 63;

/// Rounds of each client, and the operations of all threads.
static ROUNDS: AtomicU64 = AtomicU64::new(0);
static OPERATIONS: AtomicU64 = AtomicU64::new(0);
/// How many operations ended in each way.
static WELL: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);

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
}

/// Those of all clients: written before they start.
static PLACES: [[AtomicU64; 5]; cpus::MOST * CLIENTS] =
    [const { [const { AtomicU64::new(0) }; 5] }; _];

impl Place {
    fn store(self, client: usize) {
        let slots = [self.server, self.silent, self.own, self.waited, self.timer];
        PLACES[client].iter().zip(slots).for_each(|(place, slot)| place.store(slot.bits(), SeqCst));
    }

    fn load(client: usize) -> Self {
        let slots = PLACES[client].each_ref().map(|slot| CapSlot::from_bits(slot.load(SeqCst)));
        let [server, silent, own, waited, timer] = slots;
        Self { server, silent, own, waited, timer }
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
    // Who shares its server may take a call while this one's is owed.
    let either = [PeerGone];
    for round in 0..ROUNDS.load(SeqCst) {
        ends(server.send(&label(wish::NOTHING)), &[]);
        ends(server.call(&label(wish::ANSWER)), &either);
        ends(server.call(&label(wish::ANSWER_AND_TAKE)), &either);
        ends(server.try_send(&label(wish::NOTHING)), &[WouldBlock]);
        ends(server.try_call(&label(wish::ANSWER)), &[WouldBlock, PeerGone]);
        ends(server.send_until(soon(), &label(wish::NOTHING)), &[TimedOut]);
        let late = [TimedOut, Unanswered, PeerGone];
        ends(server.call_until(soon(), &label(wish::ANSWER)), &late);
        ends(server.call_until(soon(), &label(wish::FORGET)), &late);
        ends(silent.send_until(soon(), &label(wish::NOTHING)), &[TimedOut]);
        ends(silent.receive_until(soon()), &[TimedOut]);
        ends(silent.try_receive(), &[WouldBlock]);
        ends(reply(&label(0)), &[NoReplyOwed]);
        ends(notification(place.waited).signal(1 << (round % 60)), &[]);
        ends(timer.set(soon()), &[]);
        ends(notification(place.own).wait(), &[]);
        ends(notification(place.own).wait_until(soon()), &[orbital_user::Error::TimedOut]);
        ends(notification(place.own).poll(), &[orbital_user::Error::WouldBlock]);
    }
}

fn serves(own: &Own) {
    let endpoint = endpoint(own.slot());
    let mut taken = endpoint.receive();
    loop {
        count(&taken);
        let received = taken.expect("a message");
        taken = match received.message.label() {
            wish::END => return,
            wish::ANSWER => {
                ends(reply(&label(0)), &[IpcError::PeerGone]);
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
    // Seventeen of its own, and at least nine of its partners.
    ROUNDS.store(wanted / (26 * clients as u64) + 1, SeqCst);
    let endpoint = || Endpoint::create().unwrap();
    let (servers, silent): (Vec<_>, _) = ((0..cpus).map(|_| endpoint()).collect(), endpoint());
    let waited: Vec<_> = (0..cpus).map(|_| Notification::create().unwrap()).collect();
    let own: Vec<_> = (0..clients).map(|_| Notification::create().unwrap()).collect();
    let timers: Vec<_> = own.iter().map(|own| Timer::create(own, 1).unwrap()).collect();
    let on = |cpu: usize, body, argument| {
        let worker = Worker::new(MIDDLE, body, argument);
        worker.set_affinity(bit(cpu % cpus)).unwrap();
        worker
    };
    let mut others = Vec::new();
    for cpu in 0..cpus {
        others.push(on(cpu, serves, servers[cpu].slot().bits()));
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
        };
        place.store(client);
        // One beside its server, the others elsewhere.
        on(cpu + client % CLIENTS, uses, client as u64)
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
    println!("{made} operations, {well} went well, {refused} did not");
    assert!(made >= wanted && well > made / 3 && refused > made / 10);
    drop(endpoint());
    assert!(allocations() > before, "what is made is counted");
}
