//! A hundred clients in a hundred processes on all CPUs call one server: each call comes once and has its own answer,
//! and those of one priority are served in the order in which they came.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    bare::{Bare, PAGE, Program},
    code,
    cpus::{self, Visited, bit, leave_nothing, scaled, seed},
    mapped::{READ_WRITE, read, write},
    own_thread, places,
    random::Random,
    suite,
};
use orbital_user::{
    Endpoint, ExitReason, MemoryObject, Message, Received, Rights, capability::copy_to,
    endpoint::reply, memory::MappingMut, println,
};

suite! {
    on "cpus=1,2,4 memory=256M timeout=240": [
        a_hundred_clients_are_served_in_their_order,
        nothing_is_left_of_a_hundred_clients,
    ],
    roles: [],
}

const CLIENTS: usize = 100;
/// The clients' priorities: five, with the server's own in their middle.
const HIGHEST: u8 = 128;
const SERVER: u8 = HIGHEST - 2;
/// The number of the state of a thread that waits.
const BLOCKED: u64 = 4;

/// What stands in the page that a client shares with the server: its capability, who it is, how many calls
/// it shall make, and how many have come back.
const SLOT: u64 = 0;
const NUMBER: u64 = 8;
const CALLS: u64 = 16;
const RETURNED: u64 = 24;

code! {
    // Calls with its number and how many calls have come back; each answer has to have both, the first inverted. Ends
    // with 0, or with 1 at the first that is not so.
    client: [
        "2:",
        "mov rdi, [0x500000]",
        "mov rsi, 0x200000001",
        "mov rdx, -1",
        "mov r9, [0x500008]",
        "mov r10, [0x500018]",
        "mov eax, 3",
        "syscall",
        "mov edi, 1",
        "test eax, eax",
        "jnz 3f",
        "not r9",
        "cmp r9, [0x500008]",
        "jne 3f",
        "cmp r10, [0x500018]",
        "jne 3f",
        "inc r10",
        "mov [0x500018], r10",
        "cmp r10, [0x500010]",
        "jb 2b",
        "xor edi, edi",
        "3:",
        "mov eax, 33",
        "syscall",
    ] ["ud2"];
}

/// One client, and what the server knows of it.
struct Client {
    bare: Bare,
    page: MappingMut,
    cpu: usize,
    priority: u8,
    /// How many of its calls have come.
    taken: u64,
    /// The number of the call that was taken from it last, among all.
    last: u64,
    /// It was seen waiting for its turn after so many calls of all.
    seen: Option<u64>,
}

impl Client {
    fn new(program: &Program, endpoint: &Endpoint, number: usize, calls: u64) -> Self {
        let bare = program.prepare(0);
        let memory = MemoryObject::create(PAGE).unwrap();
        bare.data(&memory, READ_WRITE);
        let page = memory.map_write(PAGE).unwrap();
        // Who it is can't be forged.
        let badge = number as u64 + 1;
        let slot = copy_to(endpoint.slot(), bare.process.slot(), Rights::SEND, badge).unwrap();
        write(page.address() + SLOT, slot.bits());
        write(page.address() + NUMBER, number as u64);
        write(page.address() + CALLS, calls);
        let cpu = number % cpus::count();
        bare.thread.set_affinity(bit(cpu)).unwrap();
        let priority = HIGHEST - (number / cpus::count() % 5) as u8;
        bare.thread.set_priority(priority).unwrap();
        Self { bare, page, cpu, priority, taken: 0, last: 0, seen: None }
    }

    /// Whether it waits for its turn: all its calls that were answered have come back, and it waits again.
    fn is_queued(&self) -> bool {
        read(self.page.address() + RETURNED) == self.taken
            && self.bare.thread.inspect().unwrap().state == BLOCKED
    }
}

/// The clients and their server.
struct Service {
    endpoint: Endpoint,
    clients: Vec<Client>,
    visited: Visited,
    calls: u64,
    /// How many calls have come.
    taken: u64,
    /// How often a client was seen waiting.
    seen: u64,
}

impl Service {
    fn new(calls: u64) -> Self {
        let program = Program::new(client);
        let endpoint = Endpoint::create().unwrap();
        let clients = (0..CLIENTS).map(|number| Client::new(&program, &endpoint, number, calls));
        let clients = clients.collect();
        Self { endpoint, clients, visited: Visited::new(), calls, taken: 0, seen: 0 }
    }

    /// A call has come: from whom, and the answer to it.
    fn take(&mut self, received: &Received) -> (usize, Message) {
        let [number, call] = *received.message.words() else { panic!("{received:?}") };
        assert_eq!((received.badge, received.is_call), (number + 1, true));
        let number = number as usize;
        self.taken += 1;
        let client = &mut self.clients[number];
        assert_eq!(call, client.taken, "client {number}: lost or for a second time");
        client.taken += 1;
        client.seen = None;
        let before = core::mem::replace(&mut client.last, self.taken);
        let priority = client.priority;
        // Whoever waited already when the one before was taken from this client goes before this one.
        let equals = self.clients.iter().filter(|other| other.priority == priority);
        let passed = equals.filter_map(|other| other.seen).find(|seen| *seen < before);
        assert_eq!(passed, None, "client {number} is before one that has waited for longer");
        (number, Message::new(1, &[!(number as u64), call]).unwrap())
    }

    /// Looks whether one of the clients waits for its turn.
    fn look(&mut self) {
        let client = &mut self.clients[self.taken as usize % CLIENTS];
        if client.seen.is_none() && client.is_queued() {
            client.seen = Some(self.taken);
            self.seen += 1;
        }
    }

    /// All clients call for the first time, one after the other in this order, and are served in it, as far as
    /// their priorities are the same. More urgent ones may call again in between.
    fn serve_in_order(&mut self, order: &[usize]) {
        for number in order {
            self.clients[*number].bare.thread.start().unwrap();
            while !self.clients[*number].is_queued() {
                self.visited.round_of(self.clients[*number].cpu);
            }
        }
        let mut served = Vec::new();
        while served.len() < order.len() {
            let received = self.endpoint.try_receive().unwrap();
            let (number, answer) = self.take(&received);
            if self.clients[number].taken == 1 {
                served.push(number);
            }
            reply(&answer).unwrap();
        }
        for priority in HIGHEST - 4..=HIGHEST {
            let of = |order: &[usize]| -> Vec<usize> {
                let has = |number: &&usize| self.clients[**number].priority == priority;
                order.iter().filter(has).copied().collect()
            };
            assert_eq!(of(&served), of(order), "priority {priority}");
        }
    }

    /// Serves all other calls, and waits for the clients' ends.
    fn serve_the_rest(mut self) -> u64 {
        let all = self.calls * CLIENTS as u64;
        let mut received = self.endpoint.receive().unwrap();
        loop {
            let (_, answer) = self.take(&received);
            if self.taken == all {
                reply(&answer).unwrap();
                break;
            }
            self.look();
            received = if self.taken.is_multiple_of(CLIENTS as u64) {
                // However quick they all are: now and then everybody comes.
                reply(&answer).unwrap();
                self.visited.round();
                self.endpoint.receive().unwrap()
            } else {
                self.endpoint.reply_receive(&answer).unwrap()
            };
        }
        for (number, client) in self.clients.iter().enumerate() {
            assert_eq!(client.bare.process.wait(), Ok(ExitReason::Exited(0)), "client {number}");
            assert_eq!(read(client.page.address() + RETURNED), self.calls);
        }
        self.seen
    }
}

fn shuffled(random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..CLIENTS).collect();
    for place in 1..CLIENTS {
        order.swap(place, random.below(place as u64 + 1) as usize);
    }
    order
}

/// Two hundred thousand calls in a long run. First all clients wait, then it is decided by who is quicker.
fn a_hundred_clients_are_served_in_their_order() {
    let calls = scaled(200_000) / CLIENTS as u64;
    let order = shuffled(&mut Random::new(seed()));
    let mut service = Service::new(calls);
    service.serve_in_order(&order);
    own_thread().set_priority(SERVER).unwrap();
    let seen = service.serve_the_rest();
    println!("{seen} times someone was seen waiting");
    assert!(seen > calls, "hardly anyone waits");
}

/// At the end of the clients all they had is given back.
fn nothing_is_left_of_a_hundred_clients() {
    places::pave(64 << 20);
    let mut random = Random::new(seed());
    leave_nothing(2, || {
        let mut service = Service::new(3);
        service.serve_in_order(&shuffled(&mut random));
        service.serve_the_rest();
    });
}
