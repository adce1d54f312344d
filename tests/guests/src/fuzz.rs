//! System calls at random, with arguments that often make sense: for a child that has nothing to lose
//! but its own quota.

use alloc::vec::Vec;

use orbital_user::{
    CapSlot, Error, Rights,
    abi::{
        ObjectKind, Registers, Syscall, Tag,
        arguments::{
            CapabilityCopy, MemoryMap, MemoryProtect, MemoryUnmap, NotificationSignal,
            ProcessCreate, SystemLog, ThreadCreate, TimerCreate, TimerSet,
        },
        layout::USER_END,
    },
    capability::close,
    start::bootstrap,
    syscall::raw,
};

use crate::{bare::PAGE, random::Random};

/// The part of its address space that a child works in.
const AREA: u64 = 0x3000_0000_0000;
const AREA_BYTES: u64 = 64 << 20;

/// A time that has passed when a program of these starts, in nanoseconds since boot: what waits until
/// then does not wait.
const PASSED: u64 = 1 << 20;

/// The third word beside a message that is a fault's.
const FAULT_MARKS: u64 = 3;
/// What marks signals.
const IS_SIGNAL: u64 = 4;

/// Makes up calls, makes them, and looks at what they leave.
pub struct Fuzz {
    /// What is next.
    pub random: Random,
    /// Handles that were good once, and of what.
    pub slots: Vec<(u64, ObjectKind)>,
    /// Its way to say what went wrong.
    pub system: u64,
    /// How many calls went well, by their place in [`Syscall::ALL`].
    pub well: [u32; Syscall::ALL.len()],
}

impl Fuzz {
    /// An edge, a page of its area, a small or any number.
    pub fn number(&mut self) -> u64 {
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

    /// A handle, more often than not of this kind.
    fn slot(&mut self, kind: ObjectKind) -> CapSlot {
        let fitting: Vec<_> = self.slots.iter().filter(|slot| slot.1 == kind).copied().collect();
        let list =
            if fitting.is_empty() || self.random.once_in(3) { &self.slots } else { &fitting };
        let (known, _) = self.random.pick(list);
        CapSlot::from_bits(match self.random.below(20) {
            0 => 0,
            1 => self.random.bits(),
            // The same index with another generation, or the other way round.
            2 => known.wrapping_add(self.random.below(5) << 32),
            3 => known.wrapping_add(self.random.below(100)),
            _ => known,
        })
    }

    fn slot_or_null(&mut self, kind: ObjectKind) -> CapSlot {
        if self.random.once_in(2) { self.slot(kind) } else { CapSlot::NULL }
    }

    /// An address, more often than not a page of its area.
    fn place(&mut self) -> u64 {
        match self.random.once_in(4) {
            true => self.number(),
            false => AREA + self.random.below(64) * PAGE,
        }
    }

    fn rights(&mut self) -> Rights {
        let bits = self.random.bits() as u32;
        match self.random.below(3) {
            0 => Rights::all(),
            1 => Rights::from_bits_truncate(bits),
            _ => self.random.pick(&[Rights::READ, Rights::READ | Rights::WRITE]),
        }
    }

    /// One that does not wait.
    fn deadline(&mut self) -> u64 {
        match self.number() {
            u64::MAX => 0,
            other if self.random.once_in(4) => other,
            _ => 0,
        }
    }

    /// Arguments that often make sense.
    pub fn sensible(&mut self, syscall: Syscall) -> Registers {
        use ObjectKind as K;
        use Syscall as S;
        let number = self.number();
        let any = self.random.pick(&K::ALL);
        match syscall {
            S::Send | S::Receive | S::Call | S::Reply | S::ReplyReceive => {
                let tag = match Tag::new(number as u32, self.random.below(9) as usize) {
                    Ok(tag) if !self.random.once_in(8) => tag.bits(),
                    _ => number,
                };
                // Nothing that looks like an address of the kernel's.
                let words = core::array::from_fn(|_| self.random.bits() >> 20);
                let kind = if syscall == S::Reply { K::Reply } else { K::Endpoint };
                let first = self.slot_or_null(kind).bits();
                let kept = self.slot_or_null(K::Reply).bits();
                Registers { control: [first, tag, self.deadline(), kept], words }
            }
            S::EndpointBind | S::NotificationBind => {
                let kind = if syscall == S::EndpointBind { K::Endpoint } else { K::Notification };
                let thread = self.slot_or_null(K::Thread).bits();
                Registers::control([self.slot(kind).bits(), thread, 0, 0])
            }
            S::ThreadCreate => ThreadCreate {
                process: self.slot(K::Process),
                entry: self.number(),
                stack: self.number(),
                argument: number,
                priority: self.random.bits() as u8,
            }
            .encode(),
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
                deadline: self.number(),
                period: if self.random.once_in(2) { 0 } else { self.number() },
            }
            .encode(),
            S::ThreadSetFaultHandler => {
                let endpoint = self.slot_or_null(K::Endpoint).bits();
                Registers::control([self.slot(K::Thread).bits(), endpoint, 0, 0])
            }
            S::ThreadReadRegisters | S::ThreadWriteRegisters => Registers {
                control: [self.slot(K::Thread).bits(), self.random.below(3), self.place(), number],
                words: core::array::from_fn(|_| self.random.bits() >> 20),
            },
            S::ThreadStart => Registers::control([self.slot(K::Thread).bits(), number, 0, 0]),
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
            S::MemoryCreate => Registers::control([self.random.below(40) * PAGE, 0, 0, 0]),
            S::MemoryMap => MemoryMap {
                process: self.slot_or_null(K::Process),
                memory: self.slot(K::MemoryObject),
                address: self.place(),
                offset: if self.random.once_in(4) { self.number() } else { 0 },
                bytes: if self.random.once_in(4) { self.number() } else { PAGE },
                rights: self.rights(),
            }
            .encode(),
            S::MemoryProtect => MemoryProtect {
                process: self.slot_or_null(K::Process),
                address: self.place(),
                bytes: if self.random.once_in(2) { self.number() } else { PAGE },
                rights: self.rights(),
            }
            .encode(),
            S::MemoryUnmap => MemoryUnmap {
                process: self.slot_or_null(K::Process),
                address: self.place(),
                bytes: if self.random.once_in(2) { self.number() } else { PAGE },
            }
            .encode(),
            S::SystemLog => SystemLog {
                system: self.slot(K::System),
                text: number,
                bytes: self.random.below(300),
            }
            .encode(),
            _ => Registers::control([self.slot(any).bits(), number, 0, 0]),
        }
    }

    /// Whether the call could end or damage this program itself.
    pub fn is_too_dangerous(&self, syscall: Syscall, registers: &Registers) -> bool {
        let [first, second, third, _] = registers.control;
        let within = |address: u64, bytes: u64| {
            let end = address.checked_add(bytes);
            address >= AREA && end.is_some_and(|end| end <= AREA + AREA_BYTES)
        };
        match syscall {
            Syscall::ThreadExit | Syscall::ProcessExit => true,
            // Its own address space, outside of its area.
            Syscall::MemoryMap => {
                first == 0 && third < USER_END && !within(third, registers.words[0])
            }
            Syscall::MemoryUnmap | Syscall::MemoryProtect => {
                first == 0 && second < USER_END && !within(second, third)
            }
            Syscall::CapabilityClose | Syscall::CapabilityMove => first == self.system,
            Syscall::Send | Syscall::Receive | Syscall::Call | Syscall::ReplyReceive => {
                third > PASSED
            }
            Syscall::ThreadWait | Syscall::ProcessWait | Syscall::NotificationWait => {
                second > PASSED
            }
            Syscall::ThreadSleep => first > PASSED,
            // Itself.
            Syscall::ThreadSuspend | Syscall::ThreadKill => first == bootstrap().thread.bits(),
            _ => false,
        }
    }

    /// Makes the call `number`.
    ///
    /// # Panics
    /// When it leaves what it must not.
    pub fn call(&mut self, number: u64, registers: Registers) {
        let mut left = registers;
        // SAFETY: what would touch this program's own memory or threads was left out.
        let code = unsafe { raw(number, &mut left) };
        if code != 0 {
            assert!(Error::from_code(code).is_some(), "code {code}");
            let what = Syscall::from_number(number);
            assert_eq!(left, Registers::default(), "{what:?} left something beside {code}");
            return;
        }
        let syscall = Syscall::from_number(number).expect("an unknown call went well");
        let place = Syscall::ALL.iter().position(|other| *other == syscall);
        self.well[place.expect("a call of the list")] += 1;
        // Nothing of the kernel's is in any register. These give back what programs put in, a fault the
        // address that its thread made up.
        let given_back = match syscall {
            Syscall::NotificationWait | Syscall::TimerSet => 1,
            Syscall::ThreadReadRegisters => usize::MAX,
            Syscall::Receive | Syscall::ReplyReceive if left.control[2] == FAULT_MARKS => {
                usize::MAX
            }
            Syscall::Receive | Syscall::ReplyReceive if left.control[2] == IS_SIGNAL => 1,
            _ => 0,
        };
        let mut all = left.control.iter().chain(&left.words).skip(given_back);
        assert!(all.all(|word| *word < 0xffff_8000_0000_0000), "{syscall:?}: {left:x?}");
        let to_itself = registers.control[1] == 0;
        let source = registers.control[0];
        let kind = match syscall {
            Syscall::ThreadCreate => Some(ObjectKind::Thread),
            Syscall::ProcessCreate => Some(ObjectKind::Process),
            Syscall::EndpointCreate => Some(ObjectKind::Endpoint),
            Syscall::MemoryCreate => Some(ObjectKind::MemoryObject),
            Syscall::NotificationCreate => Some(ObjectKind::Notification),
            Syscall::TimerCreate => Some(ObjectKind::Timer),
            Syscall::ReplyKeep => Some(ObjectKind::Reply),
            Syscall::CapabilityCopy | Syscall::CapabilityMove if to_itself => {
                self.slots.iter().find(|slot| slot.0 == source).map(|slot| slot.1)
            }
            _ => None,
        };
        if let Some(kind) = kind {
            self.keep((left.control[0], kind));
        }
    }

    /// Remembers a handle, in place of another where there are many, which is mostly closed.
    fn keep(&mut self, slot: (u64, ObjectKind)) {
        if self.slots.len() < 48 {
            self.slots.push(slot);
            return;
        }
        let place = self.random.below(48) as usize;
        let (old, _) = core::mem::replace(&mut self.slots[place], slot);
        if old != self.system && !self.random.once_in(8) {
            let _ = close(CapSlot::from_bits(old));
        }
    }
}
