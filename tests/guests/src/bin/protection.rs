//! What a mapping allows, on small pages and on large ones: from the start, after it was protected or
//! unmapped as a whole or in part, and while another process goes on with the same addresses.
#![cfg_attr(target_os = "none", no_std, no_main)]

use guests::{
    bare::{Bare, Code, PAGE, Program, faulted, map_into},
    children, code, cpus,
    mapped::{read, write},
    suite,
    threads::{granted, label},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, FaultKind, MemoryObject, Rights,
    abi::arguments::{MemoryMap, MemoryProtect, MemoryUnmap},
    endpoint::reply,
    memory::{map, protect, unmap},
};

suite! {
    parallel: [
        a_mapping_allows_what_it_was_made_for,
        a_mapping_allows_what_it_was_protected_to,
        a_page_of_a_mapping_is_protected_alone,
        what_is_unmapped_can_t_be_reached,
        another_object_takes_the_place,
        a_guard_stays_one,
    ],
    roles: [neighbour],
}

code! {
    // Each touches its argument, unless that is odd, says so at DATA + 8, waits until DATA is not zero,
    // and then does what its name says.
    reading: [
        "test dil, 1", "jnz 2f", "mov rax, [rdi]", "2: and rdi, -2",
        "push rdi", "mov qword ptr [0x500008], 1",
        "3: mov eax, 16", "syscall", "cmp qword ptr [0x500000], 0", "je 3b", "pop rdi",
    ] ["mov rdi, [rdi]", "movzx edi, dil", "mov eax, 33", "syscall"];
    writing: [
        "test dil, 1", "jnz 2f", "mov rax, [rdi]", "2: and rdi, -2",
        "push rdi", "mov qword ptr [0x500008], 1",
        "3: mov eax, 16", "syscall", "cmp qword ptr [0x500000], 0", "je 3b", "pop rdi",
    ] ["mov [rdi + 0x800], rdi", "xor edi, edi", "mov eax, 33", "syscall"];
    calling: [
        "test dil, 1", "jnz 2f", "mov rax, [rdi]", "2: and rdi, -2",
        "push rdi", "mov qword ptr [0x500008], 1",
        "3: mov eax, 16", "syscall", "cmp qword ptr [0x500000], 0", "je 3b", "pop rdi",
    ] ["call rdi", "mov rdi, rax", "mov eax, 33", "syscall"];
}

/// Where the processes have what they try to reach.
const BASE: u64 = 0x4000_0000;
/// What a large page maps.
const LARGE: u64 = 2 << 20;

const NONE: Rights = Rights::empty();
const READ: Rights = Rights::READ;
const WRITE: Rights = Rights::READ.union(Rights::WRITE);
const EXECUTE: Rights = Rights::READ.union(Rights::EXECUTE);

/// A way to reach memory.
struct Way {
    program: Program,
    needed: Rights,
    kind: FaultKind,
    /// How far behind the address it goes.
    offset: u64,
}

impl Way {
    fn all() -> [Self; 3] {
        let way = |code: Code, needed, kind, offset| {
            let program = Program::new(code);
            Self { program, needed, kind, offset }
        };
        [
            way(reading, Rights::READ, FaultKind::PageRead, 0),
            way(writing, Rights::WRITE, FaultKind::PageWrite, 0x800),
            way(calling, Rights::EXECUTE, FaultKind::PageExecute, 0),
        ]
    }

    /// How a process ends that goes this way to `address`, where it may do so much and the first byte is
    /// this.
    fn end(&self, address: u64, allowed: Rights, first: u8) -> ExitReason {
        match self.kind {
            _ if allowed.contains(self.needed) => match self.kind {
                FaultKind::PageRead => ExitReason::Exited(first.into()),
                FaultKind::PageWrite => ExitReason::Exited(0),
                // What the code there gives.
                _ => ExitReason::Exited(7),
            },
            FaultKind::PageExecute => faulted(self.kind, address, address),
            _ => faulted(self.kind, address + self.offset, self.program.marked()),
        }
    }
}

/// Memory for the processes to reach, with code in each page: small pages, or a large one.
struct Ground {
    memory: MemoryObject,
    bytes: u64,
}

/// `mov eax, 7; ret`
const SEVEN: &[u8] = b"\xb8\x07\0\0\0\xc3";
/// `nop; mov eax, 8; ret`
const EIGHT: &[u8] = b"\x90\xb8\x08\0\0\0\xc3";

impl core::fmt::Display for Ground {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "in {} pages", self.bytes / PAGE)
    }
}

impl Ground {
    /// All pages of it are there, and begin with `code`.
    fn new(bytes: u64, code: &[u8]) -> Self {
        let memory = MemoryObject::create(bytes).unwrap();
        for page in memory.map_write(bytes).unwrap().chunks_mut(PAGE as usize) {
            page[..code.len()].copy_from_slice(code);
        }
        Self { memory, bytes }
    }

    /// Addresses of the first, a middle, and the last page.
    fn addresses(&self) -> [u64; 3] {
        [BASE, BASE + self.bytes / 2, BASE + self.bytes - PAGE]
    }

    /// A process gets this with the rights `made`, and touches `address` where it may; after `change` it
    /// goes `way` there.
    fn reach(
        &self,
        way: &Way,
        made: Rights,
        address: u64,
        change: impl FnOnce(&Bare),
    ) -> ExitReason {
        let bare = way.program.prepare_with(address | u64::from(made.is_empty()), 32, 32 * 1024);
        let signs = MemoryObject::create(PAGE).unwrap();
        let mapped = signs.map_write(PAGE).unwrap();
        bare.data(&signs, WRITE);
        let (process, memory, bytes) = (bare.process.slot(), self.memory.slot(), self.bytes);
        let memory = if made.is_empty() { CapSlot::NULL } else { memory };
        let arguments =
            MemoryMap { process, memory, address: BASE, offset: 0, bytes, rights: made };
        // SAFETY: the memory is another process's.
        unsafe { map(&arguments) }.unwrap();
        bare.thread.start().unwrap();
        cpus::until(|| read(mapped.address() + 8) == 1);
        change(&bare);
        write(mapped.address(), 1);
        bare.process.wait().unwrap()
    }
}

fn do_protect(bare: &Bare, address: u64, bytes: u64, rights: Rights) -> Result<(), Error> {
    let process = bare.process.slot();
    // SAFETY: the memory is another process's.
    unsafe { protect(&MemoryProtect { process, address, bytes, rights }) }
}

fn do_unmap(bare: &Bare, address: u64, bytes: u64) {
    let process = bare.process.slot();
    // SAFETY: the memory is another process's.
    unsafe { unmap(&MemoryUnmap { process, address, bytes }) }.unwrap();
}

/// Has the same addresses as the others, with other memory, which it looks through again and again.
fn neighbour() {
    let told = granted(0);
    let memory = MemoryObject::create(LARGE).unwrap();
    let (process, memory) = (CapSlot::NULL, memory.slot());
    let arguments =
        MemoryMap { process, memory, address: BASE, offset: 0, bytes: LARGE, rights: WRITE };
    // SAFETY: nobody uses these addresses in this process.
    unsafe { map(&arguments) }.unwrap();
    let words = || (BASE..BASE + LARGE).step_by(64);
    words().for_each(|word| write(word, !word));
    loop {
        told.call(&label(2)).unwrap();
        words().for_each(|word| assert_eq!(read(word), !word, "{word:#x}"));
    }
}

/// Does `work` for both sizes and each way, next to a neighbour that has noticed nothing before and after.
fn next_to_a_neighbour(work: impl Fn(&Ground, &Way)) {
    cpus::be_equal();
    let told = Endpoint::create().unwrap();
    let next = children::start("neighbour", |spawn| {
        spawn.quota(1024, 64 * 1024).grant(told.slot(), Rights::SEND, 0)
    });
    let looks = || {
        assert_eq!(told.receive().map(|received| received.message), Ok(label(2)));
        reply(&label(2)).unwrap();
    };
    looks();
    let ways = Way::all();
    for ground in [16 * PAGE, LARGE].map(|bytes| Ground::new(bytes, SEVEN)) {
        ways.iter().for_each(|way| work(&ground, way));
    }
    // From one to the next it has looked at all of it.
    looks();
    looks();
    next.process.kill().unwrap();
    assert_eq!(next.wait(), Ok(ExitReason::Killed));
}

fn a_mapping_allows_what_it_was_made_for() {
    next_to_a_neighbour(|ground, way| {
        for made in [NONE, READ, WRITE, EXECUTE] {
            for address in ground.addresses() {
                let end = ground.reach(way, made, address, |_| ());
                assert_eq!(end, way.end(address, made, SEVEN[0]), "{made:?} {ground}");
            }
        }
    });
}

/// The kinds of mapping, and what they are protected to.
fn changes() -> impl Iterator<Item = (Rights, Rights)> {
    let before = [READ, WRITE, EXECUTE].into_iter();
    before.flat_map(|made| [NONE, READ, WRITE, EXECUTE].map(|after| (made, after)))
}

fn a_mapping_allows_what_it_was_protected_to() {
    next_to_a_neighbour(|ground, way| {
        let [_, address, _] = ground.addresses();
        for (made, after) in changes() {
            let change = |bare: &Bare| do_protect(bare, BASE, ground.bytes, after).unwrap();
            let end = ground.reach(way, made, address, change);
            assert_eq!(end, way.end(address, after, SEVEN[0]), "{made:?} {after:?} {ground}");
        }
    });
}

/// One page is protected: it is as is wanted, and the pages beside it are as before.
fn a_page_of_a_mapping_is_protected_alone() {
    next_to_a_neighbour(|ground, way| {
        let [_, page, _] = ground.addresses();
        for (made, after) in changes() {
            for (address, allowed) in [(page, after), (page - PAGE, made), (page + PAGE, made)] {
                let change = |bare: &Bare| do_protect(bare, page, PAGE, after).unwrap();
                let end = ground.reach(way, made, address, change);
                assert_eq!(end, way.end(address, allowed, SEVEN[0]), "{made:?} {after:?} {ground}");
            }
        }
    });
}

/// The whole, a page of it, or all but a page.
fn what_is_unmapped_can_t_be_reached() {
    next_to_a_neighbour(|ground, way| {
        let [first, page, last] = ground.addresses();
        let whole = |bare: &Bare| do_unmap(bare, BASE, ground.bytes);
        let alone = |bare: &Bare| do_unmap(bare, page, PAGE);
        let others = |bare: &Bare| {
            do_unmap(bare, BASE, page - BASE);
            do_unmap(bare, page + PAGE, last - page);
        };
        for made in [READ, WRITE, EXECUTE] {
            for address in [first, page - PAGE, page, page + PAGE, last] {
                let (here, there) = if address == page { (made, NONE) } else { (NONE, made) };
                let end = |allowed| way.end(address, allowed, SEVEN[0]);
                assert_eq!(ground.reach(way, made, address, whole), end(NONE), "{made:?} {ground}");
                assert_eq!(
                    ground.reach(way, made, address, alone),
                    end(there),
                    "{made:?} {ground}"
                );
                assert_eq!(
                    ground.reach(way, made, address, others),
                    end(here),
                    "{made:?} {ground}"
                );
            }
        }
    });
}

/// What is mapped anew where something else was: its content, and what it allows.
fn another_object_takes_the_place() {
    next_to_a_neighbour(|ground, way| {
        let other = Ground::new(ground.bytes, EIGHT);
        for (made, after) in changes().filter(|(_, after)| !after.is_empty()) {
            for address in ground.addresses() {
                let end = ground.reach(way, made, address, |bare| {
                    do_unmap(bare, BASE, ground.bytes);
                    map_into(&bare.process, &other.memory, BASE, ground.bytes, after).unwrap();
                });
                let expected = match way.end(address, after, EIGHT[0]) {
                    ExitReason::Exited(7) => ExitReason::Exited(8),
                    end => end,
                };
                assert_eq!(end, expected, "{made:?} {after:?} {ground}");
            }
        }
    });
}

/// A guard can't be made to allow anything, and nothing takes its place.
fn a_guard_stays_one() {
    next_to_a_neighbour(|ground, way| {
        let [first, page, _] = ground.addresses();
        let end = ground.reach(way, NONE, page, |bare| {
            for rights in [READ, WRITE, EXECUTE] {
                let refused = do_protect(bare, first, ground.bytes, rights);
                assert_eq!(refused, Err(Error::MissingRights), "{rights:?}");
                let refused = map_into(&bare.process, &ground.memory, page, PAGE, rights);
                assert_eq!(refused, Err(Error::AddressInUse), "{rights:?}");
            }
            do_protect(bare, page, PAGE, NONE).unwrap();
        });
        assert_eq!(end, way.end(page, NONE, 0), "{ground}");
    });
}
