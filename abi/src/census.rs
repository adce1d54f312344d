//! What runs, and who can reach what: what [`SystemProcesses`](crate::Syscall::SystemProcesses),
//! [`SystemThreads`](crate::Syscall::SystemThreads) and [`SystemCapabilities`](crate::Syscall::SystemCapabilities) tell, one
//! at a time.

use crate::{CapSlot, ObjectKind, Registers, Rights, arguments::NAME_BYTES, waits::WaitKind};

/// A process that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number; processes count from 1.
    pub id: u64,
    /// The number of the process that made it; 0 for the first.
    pub parent: u64,
    /// Its name, filled up with zero bytes.
    pub name: [u8; NAME_BYTES],
    /// Whether its end has begun.
    pub is_ending: bool,
    /// How many threads it has, started or not.
    pub threads: u64,
    /// Frames of 4 KiB in use, and how many it may have.
    pub frames: (u64, u64),
    /// Bytes of kernel memory in use, and how many it may have.
    pub kernel_bytes: (u64, u64),
    /// How long its threads have run, in nanoseconds.
    pub cpu_time: u64,
}

impl Process {
    /// Its name; empty where that is no UTF-8.
    pub fn name(&self) -> &str {
        let used = self.name.split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(used).unwrap_or_default()
    }

    /// Into registers.
    pub fn encode(&self) -> Registers {
        let name = u128::from_le_bytes(self.name);
        Registers {
            control: [self.id, self.parent, self.is_ending.into(), self.threads],
            words: [
                name as u64,
                (name >> 64) as u64,
                self.frames.0,
                self.frames.1,
                self.kernel_bytes.0,
                self.kernel_bytes.1,
                self.cpu_time,
                0,
            ],
        }
    }

    /// From registers: `None` where there was no process any more.
    pub fn decode(registers: &Registers) -> Option<Self> {
        let [id, parent, is_ending, threads] = registers.control;
        let [low, high, frames, most_frames, bytes, most_bytes, cpu_time, _] = registers.words;
        let name = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
        (id != 0).then_some(Self {
            id,
            parent,
            name,
            is_ending: is_ending != 0,
            threads,
            frames: (frames, most_frames),
            kernel_bytes: (bytes, most_bytes),
            cpu_time,
        })
    }
}

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: it was not started.
    New,
    /// It waits for its turn.
    Ready,
    /// It has a CPU.
    Running,
    /// It waits for something: for what, and for the thread or process with which number, 0 where that is not known.
    Blocked(WaitKind, u64),
    /// It shall not run.
    Suspended,
}

impl State {
    const fn to_words(self) -> [u64; 3] {
        match self {
            Self::New => [0, 0, 0],
            Self::Ready => [1, 0, 0],
            Self::Running => [2, 0, 0],
            Self::Blocked(kind, whom) => [3, kind as u64, whom],
            Self::Suspended => [4, 0, 0],
        }
    }

    fn from_words([state, kind, whom]: [u64; 3]) -> Option<Self> {
        Some(match state {
            0 => Self::New,
            1 => Self::Ready,
            2 => Self::Running,
            3 => Self::Blocked(WaitKind::from_number(kind)?, whom),
            4 => Self::Suspended,
            _ => return None,
        })
    }
}

/// A thread that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its number; threads count from 1.
    pub id: u64,
    /// The number of its process.
    pub process: u64,
    /// What it is doing.
    pub state: State,
    /// Its own priority.
    pub priority: u8,
    /// The priority by which it is scheduled: its own, or one that is lent to it.
    pub effective_priority: u8,
    /// The CPU that has it.
    pub cpu: u64,
    /// The CPUs that it may run on, a bit each.
    pub affinity: u64,
    /// How long it has run, in nanoseconds.
    pub cpu_time: u64,
}

impl Thread {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let [state, kind, whom] = self.state.to_words();
        let (own, effective) = (self.priority.into(), self.effective_priority.into());
        Registers {
            control: [self.id, self.process, state, kind],
            words: [whom, own, effective, self.cpu, self.affinity, self.cpu_time, 0, 0],
        }
    }

    /// From registers: `None` where there was no thread any more.
    pub fn decode(registers: &Registers) -> Option<Self> {
        let [id, process, state, kind] = registers.control;
        let [whom, own, effective, cpu, affinity, cpu_time, ..] = registers.words;
        (id != 0).then_some(Self {
            id,
            process,
            state: State::from_words([state, kind, whom])?,
            priority: own.try_into().ok()?,
            effective_priority: effective.try_into().ok()?,
            cpu,
            affinity,
            cpu_time,
        })
    }
}

/// Where a capability stands in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The number of the process whose table it is.
    pub process: u64,
    /// The index of its slot.
    pub index: u32,
}

/// A capability of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its handle, which is of use in its own process alone.
    pub slot: CapSlot,
    /// What it names.
    pub kind: ObjectKind,
    /// By which number that is told apart from all others of this kind that are there: for a process and a thread
    /// the number that it has otherwise.
    pub identity: u64,
    /// What it allows.
    pub rights: Rights,
    /// Its badge; 0 for none.
    pub badge: u64,
    /// Where that is which it was derived from, if it was and that is still there.
    pub parent: Option<Place>,
}

impl Capability {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let (process, index) = self.parent.map_or((0, 0), |it| (it.process, it.index));
        Registers {
            control: [self.slot.bits(), self.kind as u64, self.rights.bits().into(), self.badge],
            words: [self.identity, process, index.into(), 0, 0, 0, 0, 0],
        }
    }

    /// From registers: `None` where there was no capability any more.
    pub fn decode(registers: &Registers) -> Option<Self> {
        let [slot, kind, rights, badge] = registers.control;
        let [identity, process, index, ..] = registers.words;
        let index = u32::try_from(index).ok()?;
        Some(Self {
            slot: CapSlot::from_bits(slot),
            kind: ObjectKind::from_number(kind)?,
            identity,
            rights: Rights::from_bits_truncate(rights as u32),
            badge,
            parent: (process != 0).then_some(Place { process, index }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_survives_in_registers() {
        let mut name = [0; NAME_BYTES];
        name[..4].copy_from_slice(b"p\xc3\xbcx");
        let process = Process {
            id: u64::MAX,
            parent: 2,
            name,
            is_ending: true,
            threads: 3,
            frames: (4, 5),
            kernel_bytes: (6, 7),
            cpu_time: 8,
        };
        let told = Process::decode(&process.encode());
        assert_eq!(told, Some(process));
        assert_eq!(process.name(), "p\u{fc}x");
        let full = Process { name: [b'a'; NAME_BYTES], ..process };
        assert_eq!(full.name().len(), NAME_BYTES);
        assert_eq!(Process { name: [0xff; NAME_BYTES], ..process }.name(), "");
        assert_eq!(Process::decode(&Registers::default()), None);
    }

    #[test]
    fn a_thread_survives_in_registers() {
        let waits = WaitKind::ALL.map(|kind| State::Blocked(kind, 9));
        let states = [State::New, State::Ready, State::Running, State::Suspended];
        for state in states.into_iter().chain(waits) {
            let thread = Thread {
                id: 1,
                process: 2,
                state,
                priority: 255,
                effective_priority: 0,
                cpu: 15,
                affinity: u64::MAX,
                cpu_time: 4,
            };
            assert_eq!(Thread::decode(&thread.encode()), Some(thread));
            let mut unknown = thread.encode();
            unknown.control[2] = 5;
            assert_eq!(Thread::decode(&unknown), None);
            let mut unknown = thread.encode();
            unknown.words[1] = 256;
            assert_eq!(Thread::decode(&unknown), None);
        }
        assert_eq!(Thread::decode(&Registers::default()), None);
    }

    #[test]
    fn a_capability_survives_in_registers() {
        for kind in ObjectKind::ALL {
            for parent in [None, Some(Place { process: 7, index: u32::MAX })] {
                let capability = Capability {
                    slot: CapSlot::new(5, 6),
                    kind,
                    identity: u64::MAX,
                    rights: Rights::all(),
                    badge: 3,
                    parent,
                };
                assert_eq!(Capability::decode(&capability.encode()), Some(capability));
            }
        }
        assert_eq!(Capability::decode(&Registers::default()), None);
    }
}
