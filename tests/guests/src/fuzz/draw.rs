//! Makes up system calls, with arguments that often make sense.
#![forbid(unsafe_code)]

use orbital_user::{
    CapSlot, Rights,
    abi::{
        ObjectKind, Registers, Syscall, Tag,
        arguments::{
            CapabilityCopy, MemoryMap, MemoryProtect, MemoryUnmap, NotificationSignal,
            ProcessCreate, SystemLog, ThreadCreate, TimerCreate, TimerSet,
        },
        layout::USER_END,
        message::{MAX_WORDS, REGISTER_WORDS},
    },
    clock,
    start::bootstrap,
};

use super::{
    handles::{Handles, Place},
    partners,
};
use crate::{bare::PAGE, random::Random};

/// The part of its address space that a program works in.
pub const AREA: u64 = 0x3000_0000_0000;
/// Its size.
pub const AREA_BYTES: u64 = 64 << 20;
/// The longest wait that is drawn, in nanoseconds.
const SOON: u64 = 200_000;

/// Calls by which programs meet: drawn more often than others, as they do so at the same moment alone.
const MEETINGS: [Syscall; 8] = [
    Syscall::Send,
    Syscall::Receive,
    Syscall::Call,
    Syscall::Reply,
    Syscall::ReplyReceive,
    Syscall::ReplyKeep,
    Syscall::NotificationSignal,
    Syscall::NotificationWait,
];

/// Where a tag says how many capabilities are accepted.
const ACCEPTS: u64 = 7 << 44;

/// A stream of calls.
#[derive(Clone, Debug)]
pub struct Draw {
    seed: u64,
    /// Of the call that is being drawn.
    pub random: Random,
    /// What the program knows.
    pub handles: Handles,
}

impl Draw {
    /// The calls of `seed`, for a program that knows these handles.
    pub fn new(seed: u64, handles: Handles) -> Self {
        Self { seed, random: Random::new(seed), handles }
    }

    /// Call number `index` of this seed. It does not depend on what came of those before it, but for the
    /// handles that they gave, and for times, which count from now.
    pub fn call(&mut self, index: u64) -> (u64, Registers) {
        // Far apart (the multiplier is SplitMix64's second).
        self.random = Random::new(self.seed ^ index.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        self.random.bits();
        let any = self.random.pick(Syscall::ALL);
        let known = if self.random.once_in(3) { self.random.pick(&MEETINGS) } else { any };
        let number = if self.random.once_in(50) { self.random.bits() >> 40 } else { known as u64 };
        let mut registers = self.sensible(known);
        // Sometimes one of the words is something else.
        if self.random.once_in(4) {
            let place = self.random.below(4) as usize;
            registers.control[place] = self.number();
        }
        (number, registers)
    }

    /// Registers full of noise, handles included, for every number in turn.
    pub fn noise(&mut self, index: u64) -> (u64, Registers) {
        let registers = Registers {
            control: core::array::from_fn(|_| self.random.bits()),
            words: core::array::from_fn(|_| self.random.bits()),
        };
        (index % 128, registers)
    }

    /// An edge, an address of its own or the kernel's, a page of its area, a small or any number.
    fn number(&mut self) -> u64 {
        static OWN: u64 = 7;
        let edges = [
            0,
            1,
            2,
            7,
            8,
            255,
            256,
            257,
            PAGE - 1,
            PAGE,
            PAGE + 1,
            8 * PAGE,
            64 * PAGE,
            &raw const OWN as u64,
            core::ptr::from_ref(bootstrap()) as u64,
            USER_END - PAGE,
            USER_END,
            1 << 47,
            0xffff_8000_0000_0000,
            0xffff_ffff_8010_0000,
            u64::MAX - PAGE + 1,
            u64::MAX,
        ];
        match self.random.below(4) {
            0 => self.random.pick(&edges),
            1 => AREA + self.random.below(AREA_BYTES / PAGE) * PAGE,
            2 => self.random.below(16) * PAGE,
            _ => {
                let shift = self.random.below(64);
                self.random.bits() >> shift
            }
        }
    }

    /// A place, more often than not of this kind.
    pub fn place(&mut self, kind: ObjectKind) -> Place {
        let any = self.random.pick(&ObjectKind::ALL);
        let kind = if self.random.once_in(3) { any } else { kind };
        // What was given stands in the first places.
        let number = self.random.bits() >> 20;
        Place::new(kind, if self.random.once_in(2) { number % 2 } else { number })
    }

    /// A handle, more often than not of this kind.
    fn slot(&mut self, kind: ObjectKind) -> CapSlot {
        let place = self.place(kind);
        self.near(place)
    }

    /// What stands there, more often than not.
    fn near(&mut self, place: Place) -> CapSlot {
        let known = self.handles.get(place);
        CapSlot::from_bits(match self.random.below(20) {
            0 => 0,
            1 => self.random.bits(),
            // The same index with another generation, of the past or not yet, or the other way round.
            2 => known.wrapping_add(self.random.below(5).wrapping_sub(2) << 32),
            3 => known.wrapping_add(self.random.below(1000)),
            _ => known,
        })
    }

    fn slot_or_null(&mut self, kind: ObjectKind) -> CapSlot {
        if self.random.once_in(2) { self.slot(kind) } else { CapSlot::NULL }
    }

    /// An address, more often than not a page of its area.
    fn address(&mut self) -> u64 {
        match self.random.once_in(4) {
            true => self.number(),
            false => AREA + self.random.below(16) * PAGE,
        }
    }

    fn bytes(&mut self) -> u64 {
        if self.random.once_in(3) { self.number() } else { PAGE * (1 + self.random.below(4)) }
    }

    fn rights(&mut self) -> Rights {
        let bits = self.random.bits() as u32;
        match self.random.below(3) {
            0 => Rights::all(),
            1 => Rights::from_bits_truncate(bits),
            _ => self.random.pick(&[Rights::READ, Rights::READ | Rights::WRITE]),
        }
    }

    /// Now, or soon.
    fn deadline(&mut self) -> u64 {
        if self.random.once_in(4) { 0 } else { clock::now() + self.random.below(SOON) }
    }

    fn words(&mut self) -> [u64; 8] {
        // Nothing that looks like an address of the kernel's.
        core::array::from_fn(|_| self.random.bits() >> 20)
    }

    /// Short, long, or malformed.
    fn tag(&mut self) -> u64 {
        let (label, any) = (self.random.bits() as u32, self.number());
        let most = if self.random.once_in(4) { MAX_WORDS } else { REGISTER_WORDS };
        let words = self.random.below(most as u64 + 1) as usize;
        match Tag::new(label, words) {
            Ok(tag) if !self.random.once_in(8) => tag.bits(),
            _ => any,
        }
    }

    /// A thread: most of them fault at once, some are partners, in its own process.
    fn thread(&mut self) -> ThreadCreate {
        let priority = self.random.bits() as u8;
        let argument = self.number();
        let (entry, stack) = (self.number(), self.number());
        let (process, endpoint) = (self.slot(ObjectKind::Process), self.slot(ObjectKind::Endpoint));
        if self.random.once_in(2) {
            return ThreadCreate { process, entry, stack, argument, priority };
        }
        let entry = self.random.pick(&partners::entries());
        let process = bootstrap().process;
        ThreadCreate { process, entry, stack: endpoint.bits(), argument, priority: priority / 2 }
    }

    /// Arguments that often make sense.
    fn sensible(&mut self, syscall: Syscall) -> Registers {
        use ObjectKind as K;
        use Syscall as S;
        let number = self.number();
        let any = self.random.pick(&K::ALL);
        match syscall {
            S::Send | S::Receive | S::Call | S::Reply | S::ReplyReceive => {
                let kept = self.slot_or_null(K::Reply).bits();
                let first = if syscall == S::Reply { kept } else { self.slot(K::Endpoint).bits() };
                let mut tag = self.tag();
                if syscall == S::Receive && self.random.below(8) > 0 {
                    // Of one that receives nothing but what it accepts may stand there.
                    tag &= ACCEPTS;
                }
                let control = [first, tag, self.deadline(), kept];
                Registers { control, words: self.words() }
            }
            S::EndpointBind | S::NotificationBind => {
                let kind = if syscall == S::EndpointBind { K::Endpoint } else { K::Notification };
                let thread = self.slot_or_null(K::Thread).bits();
                Registers::control([self.slot(kind).bits(), thread, 0, 0])
            }
            S::ThreadCreate => self.thread().encode(),
            S::ThreadWait => {
                Registers::control([self.slot(K::Thread).bits(), self.deadline(), 0, 0])
            }
            S::ProcessWait => {
                Registers::control([self.slot(K::Process).bits(), self.deadline(), 0, 0])
            }
            S::NotificationWait => {
                Registers::control([self.slot(K::Notification).bits(), self.deadline(), 0, 0])
            }
            S::NotificationSignal => {
                NotificationSignal { notification: self.slot(K::Notification), bits: number }
                    .encode()
            }
            S::TimerCreate => {
                TimerCreate { notification: self.slot(K::Notification), bits: number }.encode()
            }
            S::TimerSet => TimerSet {
                timer: self.slot(K::Timer),
                // Some are due, some soon.
                deadline: if self.random.once_in(2) { number } else { self.deadline() },
                period: if self.random.once_in(2) { 0 } else { self.number() },
            }
            .encode(),
            S::IoPortNarrow => {
                let (first, count) = (0x80 + self.random.below(8), self.random.below(5));
                Registers::control([self.slot(K::IoPort).bits(), first, count, 0])
            }
            S::IoPortRead | S::IoPortWrite => {
                let (port, width) = (0x80 + self.random.below(8), self.random.pick(&[1, 2, 4, 3]));
                Registers::control([self.slot(K::IoPort).bits(), port, width, number & 0xff])
            }
            S::InterruptBind => {
                let notification = self.slot_or_null(K::Notification).bits();
                let bits = if notification == 0 { 0 } else { number };
                Registers::control([self.slot(K::Interrupt).bits(), notification, bits, 0])
            }
            S::InterruptAcknowledge => {
                Registers::control([self.slot(K::Interrupt).bits(), number, 0, 0])
            }
            S::ThreadSleep => Registers::control([self.deadline(), number, 0, 0]),
            S::ThreadSetFaultHandler => {
                let endpoint = self.slot_or_null(K::Endpoint).bits();
                Registers::control([self.slot(K::Thread).bits(), endpoint, 0, 0])
            }
            S::ThreadReadRegisters | S::ThreadWriteRegisters => {
                let (thread, bank) = (self.slot(K::Thread).bits(), self.random.below(3));
                let control = [thread, bank, self.address(), number];
                Registers { control, words: self.words() }
            }
            S::ThreadSetPriority => {
                let priority = self.random.below(260);
                Registers::control([self.slot(K::Thread).bits(), priority, 0, 0])
            }
            S::ThreadSetAffinity => {
                let cpus = self.random.bits() >> self.random.below(64);
                Registers::control([self.slot(K::Thread).bits(), cpus, 0, 0])
            }
            S::ThreadSetBudget => {
                let (budget, more) = (self.random.below(400_000), self.random.below(400_000));
                Registers::control([self.slot(K::Thread).bits(), budget, budget + more, 0])
            }
            S::SystemWaits | S::SystemProcesses | S::SystemThreads | S::SystemCapabilities => {
                // Numbers of processes and threads, and indices of slots, are small.
                let (process, thread) = (self.random.below(100), self.random.below(1000));
                Registers::control([self.slot(K::System).bits(), process, thread, 0])
            }
            S::SystemTrace => {
                let (cpu, position) = (self.random.below(20), self.random.below(1000));
                Registers::control([self.slot(K::System).bits(), cpu, position, 0])
            }
            S::SystemLogRead => {
                let position = self.random.below(4000);
                Registers::control([self.slot(K::System).bits(), position, 0, 0])
            }
            S::SystemLogBind => {
                let notification = self.slot_or_null(K::Notification).bits();
                let bits = if notification == 0 { 0 } else { number };
                Registers::control([self.slot(K::System).bits(), notification, bits, 0])
            }
            S::ThreadStart
            | S::ThreadSuspend
            | S::ThreadResume
            | S::ThreadKill
            | S::ThreadInspect => Registers::control([self.slot(K::Thread).bits(), number, 0, 0]),
            S::ProcessKill if self.random.once_in(4) => {
                Registers::control([self.slot(K::Process).bits(), number, 0, 0])
            }
            S::ProcessUsage => {
                Registers::control([self.slot_or_null(K::Process).bits(), number, 0, 0])
            }
            S::ProcessCreate => ProcessCreate {
                name: if self.random.once_in(4) { [number as u8; 16] } else { [b'v'; 16] },
                frames: self.random.below(20),
                kernel_bytes: self.random.below(20_000),
            }
            .encode(),
            S::CapabilityCopy => CapabilityCopy {
                source: self.slot(any),
                process: self.slot_or_null(K::Process),
                rights: self.rights(),
                badge: if self.random.once_in(3) { number >> 20 } else { 0 },
            }
            .encode(),
            S::CapabilityMove => {
                let (source, process) = (self.slot(any), self.slot_or_null(K::Process));
                Registers::control([source.bits(), process.bits(), 0, 0])
            }
            S::ThreadMessagePage => {
                let thread = self.slot_or_null(K::Thread);
                let address = if self.random.once_in(2) { 0 } else { self.address() };
                Registers::control([thread.bits(), address, 0, 0])
            }
            S::MemoryCreate => Registers::control([self.random.below(40) * PAGE, 0, 0, 0]),
            S::MemoryMap => MemoryMap {
                process: self.slot_or_null(K::Process),
                memory: self.slot(K::MemoryObject),
                address: self.address(),
                offset: if self.random.once_in(4) { self.number() } else { 0 },
                bytes: self.bytes(),
                rights: self.rights(),
            }
            .encode(),
            S::MemoryProtect => MemoryProtect {
                process: self.slot_or_null(K::Process),
                address: self.address(),
                bytes: self.bytes(),
                rights: self.rights(),
            }
            .encode(),
            S::MemoryUnmap => MemoryUnmap {
                process: self.slot_or_null(K::Process),
                address: self.address(),
                bytes: self.bytes(),
            }
            .encode(),
            S::MemoryClone => Registers::control([self.slot(K::MemoryObject).bits(), number, 0, 0]),
            S::MemoryQuery => {
                let address = self.address();
                Registers::control([self.slot_or_null(K::Process).bits(), address, 0, 0])
            }
            S::SystemLog => SystemLog {
                system: self.slot(K::System),
                text: number,
                bytes: self.random.below(300),
            }
            .encode(),
            _ => Registers::control([self.slot(any).bits(), number, 0, 0]),
        }
    }
}
