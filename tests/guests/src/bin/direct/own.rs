//! What a thread finds after its call, its next request or its fault: the message, and of all that it has in the
//! CPU what it had there before.
#![forbid(unsafe_code)]

use alloc::format;

use guests::{
    children,
    mapped::{PLACE, do_map, do_unmap, mapping, read, write},
    option,
    pattern::{Vectors, assert_fresh, bases, has_bases, set_bases},
    raw::{self, Left, NOISE},
    threads::{self, MIDDLE, granted, label},
};
use orbital_user::{
    CapSlot, Endpoint, MemoryObject, Rights,
    abi::{Registers, Syscall, Tag, fault::FaultMessage, fault::RESUME, layout::PAGE_SIZE},
    capability::copy_to,
};

const BADGE: u64 = 0xbad9_e000_0000_0001;
const NEVER: u64 = u64::MAX;
/// The server ends when it is called with this label; no combination of lengths has it.
const LAST: u32 = 1000;
const SERVER: u8 = 1;
const CLIENT: u8 = 2;

/// What a side has in the CPU, beside the message.
#[derive(Clone, Copy, Debug)]
struct Uses {
    vectors: bool,
    bases: bool,
}

const USES: [Uses; 4] = [
    Uses { vectors: false, bases: false },
    Uses { vectors: false, bases: true },
    Uses { vectors: true, bases: false },
    Uses { vectors: true, bases: true },
];

/// The same, in one thread.
struct Own {
    uses: Uses,
    vectors: Vectors,
    bases: [u64; 2],
}

impl Own {
    fn set(side: u8, uses: Uses) -> Self {
        let bases = [0x1000, 0x7fff_0000_0000].map(|base| base + u64::from(side));
        let mut own = Self { uses, vectors: Vectors::pattern(side), bases };
        if uses.vectors {
            own.vectors.load();
            // With what belongs to nobody.
            own.vectors = Vectors::now();
            assert_eq!(own.vectors.xmm(), Vectors::pattern(side).xmm());
        }
        if uses.bases {
            set_bases(bases);
        }
        own
    }

    #[track_caller]
    fn is_kept(&self) {
        if self.uses.vectors {
            assert!(Vectors::now() == self.vectors, "vectors");
        }
        if has_bases() {
            let expected = if self.uses.bases { self.bases } else { [0; 2] };
            assert_eq!(bases(), expected, "bases");
        }
    }

    /// The last look: who has used no vectors finds none of its partner's.
    fn end(self) {
        self.is_kept();
        if !self.uses.vectors {
            assert_fresh();
        }
    }
}

/// Every length of a call, with every length of its answer, by a label.
fn lengths() -> impl Iterator<Item = (u32, usize, usize)> {
    (0..81).map(|number| (number, number as usize / 9, number as usize % 9))
}

/// Eight words, none of them zero, of which so many arrive.
fn words(label: u32, length: usize) -> [u64; 8] {
    core::array::from_fn(|place| match place < length {
        true => u64::from(label) << 32 | 0xf00 | place as u64,
        false => 0,
    })
}

/// All of them.
fn sent(label: u32) -> [u64; 8] {
    words(label, 8)
}

fn tag(label: u32, length: usize) -> u64 {
    Tag::new(label, length).unwrap().bits()
}

/// Answers all calls.
fn serve(endpoint: CapSlot, uses: Uses) {
    let own = Own::set(SERVER, uses);
    let mut next = raw::no_answer(endpoint, 0, NEVER, NOISE.words);
    let mut syscall = Syscall::Receive;
    for (number, length, reply) in lengths() {
        let control = [BADGE, tag(number, length), 1, 0];
        let expected = Left::well(Registers { control, words: words(number, length) });
        assert_eq!(raw::call(syscall, next), expected, "request {number}");
        own.is_kept();
        next = raw::operation(endpoint, tag(!number, reply), NEVER, sent(!number));
        syscall = Syscall::ReplyReceive;
    }
    let last = raw::call(syscall, next);
    assert_eq!(last.registers.control[1], tag(LAST, 0));
    own.end();
}

/// Makes all calls.
fn ask(endpoint: CapSlot, uses: Uses) {
    let own = Own::set(CLIENT, uses);
    for (number, length, reply) in lengths() {
        let registers = raw::no_answer(endpoint, tag(number, length), NEVER, sent(number));
        let control = [0, tag(!number, reply), 0, 0];
        let expected = Left::well(Registers { control, words: words(!number, reply) });
        assert_eq!(raw::call(Syscall::Call, registers), expected, "call {number}");
        own.is_kept();
    }
    own.end();
    // The server ends without an answer, or answers.
    let _ = threads::endpoint(endpoint).send(&label(LAST));
}

/// The server's priority: it waits for each call, or is not as urgent as its client.
const ORDERS: [u8; 3] = [MIDDLE + 10, MIDDLE, MIDDLE - 10];

fn sweep(mut with: impl FnMut(CapSlot, CapSlot, u8, Uses, Uses)) {
    let possible = |uses: &Uses| !uses.bases || has_bases();
    for server in USES.into_iter().filter(possible) {
        for client in USES.into_iter().filter(possible) {
            for priority in ORDERS {
                let endpoint = Endpoint::create().unwrap();
                let slot = copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, BADGE).unwrap();
                with(endpoint.slot(), slot, priority, server, client);
            }
        }
    }
}

/// A call and its answer by `reply_receive`, every length of both, server and client with and without vectors and
/// segment bases in use, whichever is more urgent: both find the message, and nothing else is changed.
pub(super) fn both_sides_of_a_call_keep_their_own_in_one_process() {
    sweep(|receiver, sender, priority, server, client| {
        let server = threads::at(priority, move || serve(receiver, server));
        let client = threads::at(MIDDLE, move || ask(sender, client));
        client.join().unwrap();
        server.join().unwrap();
    });
}

/// Serves the endpoint that it was given.
pub(super) fn server() {
    let is = |key| option(key) == Some("true");
    let uses = Uses { vectors: is("vectors"), bases: is("bases") };
    let priority = option("priority").and_then(|priority| priority.parse().ok()).unwrap();
    let endpoint = granted(0);
    let slot = endpoint.slot();
    threads::at(priority, move || serve(slot, uses)).join().unwrap();
}

/// The same, with the server in another process.
pub(super) fn both_sides_of_a_call_keep_their_own_between_processes() {
    sweep(|receiver, sender, priority, server, client| {
        let Uses { vectors, bases } = server;
        let arguments = format!("vectors={vectors} bases={bases} priority={priority}");
        let child = children::start_with_arguments("server", &arguments, |spawn| {
            spawn.priority(255).grant(receiver, Rights::RECEIVE, 0)
        });
        threads::settle();
        threads::at(MIDDLE, move || ask(sender, client)).join().unwrap();
        children::succeed(&child);
    });
}

/// How many pages are touched.
const PAGES: u64 = 20;

fn page(number: u64) -> u64 {
    PLACE + number * PAGE_SIZE
}

/// Maps a page for each fault of the thread, which it then writes.
fn handle(endpoint: CapSlot, uses: Uses) {
    let own = Own::set(SERVER, uses);
    let endpoint = threads::endpoint(endpoint);
    let memory = MemoryObject::create(PAGES * PAGE_SIZE).unwrap();
    let mut received = endpoint.receive().unwrap();
    for number in 0..PAGES {
        assert!(received.is_fault);
        let told = FaultMessage::decode(&received.message).unwrap();
        assert_eq!(told.fault.address, page(number));
        own.is_kept();
        let whole = mapping(&memory, PAGE_SIZE);
        let offset = number * PAGE_SIZE;
        do_map(orbital_user::abi::arguments::MemoryMap { offset, address: page(number), ..whole })
            .unwrap();
        received = endpoint.reply_receive(&label(RESUME)).unwrap();
    }
    assert_eq!(received.message, label(LAST));
    own.end();
}

fn touch(endpoint: CapSlot, uses: Uses) {
    let own = Own::set(CLIENT, uses);
    for number in 0..PAGES {
        write(page(number), number + 1);
        own.is_kept();
    }
    assert!((0..PAGES).all(|number| read(page(number)) == number + 1));
    own.end();
    threads::endpoint(endpoint).send(&label(LAST)).unwrap();
}

/// A fault and its handler's answer, likewise.
pub(super) fn both_sides_of_a_fault_keep_their_own() {
    sweep(|receiver, sender, priority, server, client| {
        let handler = threads::at(priority, move || handle(receiver, server));
        let thread = threads::at(MIDDLE, move || touch(sender, client));
        thread.thread().set_fault_handler(sender).unwrap();
        thread.join().unwrap();
        handler.join().unwrap();
        do_unmap(PLACE, PAGES * PAGE_SIZE).unwrap();
    });
}
