//! The arguments of the system calls that are no message operations: encoded by the program,
//! decoded once by the kernel. All results of a call stand in the control words.

use crate::{CapSlot, Error, Registers, Rights};

mod devices;
mod signals;

pub use devices::{
    InterruptBind, InterruptCreate, IoPortCreate, IoPortNarrow, IoPortRead, IoPortWrite, PortRange,
    PortWidth,
};
pub use signals::{
    LEAST_PERIOD_NS, NotificationSignal, NotificationWait, SystemLogBind, TimerCreate, TimerSet,
};

/// Bytes of a process's name.
pub const NAME_BYTES: usize = 16;

/// [`Syscall::ThreadCreate`](crate::Syscall::ThreadCreate). Gives the Thread capability in control
/// word 0. Needs `MANAGE` on the process. Paid by that process. The thread may run on the CPUs that
/// the caller may run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadCreate {
    /// The process that it shall run in.
    pub process: CapSlot,
    /// Its first instruction.
    pub entry: u64,
    /// Its first stack pointer.
    pub stack: u64,
    /// What stands in its `rdi`.
    pub argument: u64,
    /// 0 (lowest) to 255; at most the caller's ceiling, and the new thread's own.
    pub priority: u8,
}

impl ThreadCreate {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let mut registers =
            Registers::control([self.process.bits(), self.entry, self.stack, self.argument]);
        registers.words[0] = self.priority.into();
        registers
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a priority above 255.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [process, entry, stack, argument] = registers.control;
        Ok(Self {
            process: CapSlot::from_bits(process),
            entry,
            stack,
            argument,
            priority: registers.words[0].try_into().map_err(|_| Error::InvalidArgument)?,
        })
    }
}

/// [`Syscall::ProcessCreate`](crate::Syscall::ProcessCreate). Gives the Process capability in
/// control word 0. The quota is carved out of the caller's and comes back when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessCreate {
    /// The name in the log: UTF-8, filled up with zero bytes.
    pub name: [u8; NAME_BYTES],
    /// How many frames of 4 KiB it may have, page tables included.
    pub frames: u64,
    /// How many bytes of kernel memory its objects may take.
    pub kernel_bytes: u64,
}

impl ProcessCreate {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let name = u128::from_le_bytes(self.name);
        Registers::control([name as u64, (name >> 64) as u64, self.frames, self.kernel_bytes])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is not UTF-8 or has control characters.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [low, high, frames, kernel_bytes] = registers.control;
        let name = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
        let arguments = Self { name, frames, kernel_bytes };
        match arguments.text()?.chars().any(char::is_control) {
            true => Err(Error::InvalidArgument),
            false => Ok(arguments),
        }
    }

    /// The name without what fills it up.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for one that is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        let filling = u128::from_le_bytes(self.name).leading_zeros() as usize / 8;
        let used = &self.name[..NAME_BYTES - filling];
        core::str::from_utf8(used).map_err(|_| Error::InvalidArgument)
    }
}

/// [`Syscall::CapabilityCopy`](crate::Syscall::CapabilityCopy). Gives the new slot in control
/// word 0. Needs `GRANT` on the source, and `MANAGE` on the process where one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapabilityCopy {
    /// What is copied.
    pub source: CapSlot,
    /// Whose table the copy goes to; [`CapSlot::NULL`] means one's own.
    pub process: CapSlot,
    /// The copy has the source's rights that are also in here.
    pub rights: Rights,
    /// The badge of the copy: 0 keeps the source's; another number can be set once, on endpoint and
    /// notification capabilities.
    pub badge: u64,
}

impl CapabilityCopy {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let rights = self.rights.bits().into();
        Registers::control([self.source.bits(), self.process.bits(), rights, self.badge])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for rights that do not exist.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [source, process, rights, badge] = registers.control;
        Ok(Self {
            source: CapSlot::from_bits(source),
            process: CapSlot::from_bits(process),
            rights: decode_rights(rights)?,
            badge,
        })
    }
}

/// [`Syscall::MemoryMap`](crate::Syscall::MemoryMap). Needs `MANAGE` on the process and the mapped
/// rights on the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    /// The process that shall see the memory; [`CapSlot::NULL`] means one's own.
    pub process: CapSlot,
    /// The memory object.
    pub memory: CapSlot,
    /// The first address, a multiple of the page size.
    pub address: u64,
    /// Where in the object the range starts, in bytes, a multiple of the page size.
    pub offset: u64,
    /// How many bytes, a multiple of the page size, not 0.
    pub bytes: u64,
    /// `READ`, perhaps with `WRITE` or `EXECUTE`, never with both.
    pub rights: Rights,
}

impl MemoryMap {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let mut registers = Registers::control([
            self.process.bits(),
            self.memory.bits(),
            self.address,
            self.offset,
        ]);
        registers.words[0] = self.bytes;
        registers.words[1] = self.rights.bits().into();
        registers
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for rights that do not exist.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [process, memory, address, offset] = registers.control;
        Ok(Self {
            process: CapSlot::from_bits(process),
            memory: CapSlot::from_bits(memory),
            address,
            offset,
            bytes: registers.words[0],
            rights: decode_rights(registers.words[1])?,
        })
    }
}

/// [`Syscall::MemoryUnmap`](crate::Syscall::MemoryUnmap). Needs `MANAGE` on the process. The range
/// must hold whole mappings only; one without any is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUnmap {
    /// The process; [`CapSlot::NULL`] means one's own.
    pub process: CapSlot,
    /// The first address, a multiple of the page size.
    pub address: u64,
    /// How many bytes, a multiple of the page size, not 0.
    pub bytes: u64,
}

impl MemoryUnmap {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.process.bits(), self.address, self.bytes, 0])
    }

    /// From registers.
    pub fn decode(registers: &Registers) -> Self {
        let [process, address, bytes, _] = registers.control;
        Self { process: CapSlot::from_bits(process), address, bytes }
    }
}

/// [`Syscall::MemoryProtect`](crate::Syscall::MemoryProtect). Needs `MANAGE` on the process. The range
/// must be wholly mapped, by capabilities that had the rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryProtect {
    /// The process; [`CapSlot::NULL`] means one's own.
    pub process: CapSlot,
    /// The first address, a multiple of the page size.
    pub address: u64,
    /// How many bytes, a multiple of the page size, not 0.
    pub bytes: u64,
    /// Nothing, or `READ`, perhaps with `WRITE` or `EXECUTE`, never with both.
    pub rights: Rights,
}

impl MemoryProtect {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let rights = self.rights.bits().into();
        Registers::control([self.process.bits(), self.address, self.bytes, rights])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for rights that do not exist.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [process, address, bytes, rights] = registers.control;
        let process = CapSlot::from_bits(process);
        Ok(Self { process, address, bytes, rights: decode_rights(rights)? })
    }
}

/// How CPUs keep what they read from and write to a device's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum DeviceCache {
    /// Each access goes to the device, in order.
    Uncached = 0,
    /// Writes are gathered: for frame buffers.
    WriteCombining = 1,
}

/// [`Syscall::MemoryDevice`](crate::Syscall::MemoryDevice). Gives the MemoryObject capability in control word
/// 0. Needs `DEVICES` on the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryDevice {
    /// The system.
    pub system: CapSlot,
    /// The first physical address, a multiple of the page size.
    pub physical: u64,
    /// How many bytes, a multiple of the page size, not 0.
    pub bytes: u64,
    /// How CPUs keep it.
    pub cache: DeviceCache,
}

impl MemoryDevice {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.system.bits(), self.physical, self.bytes, self.cache as u64])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another number of a cache.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [system, physical, bytes, cache] = registers.control;
        let cache = match cache {
            0 => DeviceCache::Uncached,
            1 => DeviceCache::WriteCombining,
            _ => return Err(Error::InvalidArgument),
        };
        Ok(Self { system: CapSlot::from_bits(system), physical, bytes, cache })
    }
}

/// [`Syscall::SystemLog`](crate::Syscall::SystemLog). Needs `LOG` on the system. The line appears
/// with `user.` and the caller's process name as its module, or `init` for the first process;
/// control characters are shown as `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemLog {
    /// The system.
    pub system: CapSlot,
    /// Where the text stands.
    pub text: u64,
    /// Its length in bytes, at most [`LOG_BYTES`].
    pub bytes: u64,
}

/// How long a log line can be in bytes.
pub const LOG_BYTES: usize = 256;

impl SystemLog {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.system.bits(), self.text, self.bytes, 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more than [`LOG_BYTES`].
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [system, text, bytes, _] = registers.control;
        if bytes > LOG_BYTES as u64 {
            return Err(Error::InvalidArgument);
        }
        Ok(Self { system: CapSlot::from_bits(system), text, bytes })
    }
}

fn decode_rights(bits: u64) -> Result<Rights, Error> {
    u32::try_from(bits).ok().and_then(Rights::from_bits).ok_or(Error::InvalidArgument)
}

// The others take single words. The values of a register bank stand in control words 2 and 3 and the eight
// message words, in the answer too:
//
// | call | control 0 | control 1 |
// |---|---|---|
// | ThreadExit, ProcessExit | exit code | |
// | ThreadStart (MANAGE), ThreadWait (WAIT) | Thread | deadline (ThreadWait) |
// | ThreadSuspend, ThreadResume, ThreadKill (MANAGE) | Thread | |
// | ThreadSetPriority (MANAGE) | Thread | 0 to 255 |
// | ThreadSetAffinity (MANAGE) | Thread | a bit for each CPU, one of which is up |
// | ThreadInspect (any rights) | Thread | |
// | ThreadSetFaultHandler (MANAGE; SEND on the endpoint) | Thread | Endpoint, or null |
// | ThreadMessagePage (MANAGE; null is the caller) | Thread | address, or 0: the kernel chooses |
// | ThreadReadRegisters, ThreadWriteRegisters (MANAGE) | Thread | number of the bank |
// | ThreadSleep | nanoseconds since boot | |
// | ClockRead | | |
// | ProcessKill (MANAGE), ProcessWait (WAIT) | Process | deadline (ProcessWait) |
// | ProcessUsage (WAIT; none for one's own) | Process, or null for one's own | |
// | CapabilityClose, CapabilityInspect | slot | |
// | MemoryCreate | bytes, a multiple of the page size | |
// | MemoryClone (READ) | MemoryObject | |
// | MemoryQuery (MANAGE; null is one's own) | Process | address |
// | EndpointCreate, NotificationCreate | | |
// | SystemShutdown (SHUTDOWN) | System | exit code |
// | SystemStatistics (STATISTICS) | System | number of the counter |
// | SystemLogRead (LOG_READ) | System | number of the line |
// | SystemFramebuffer (DEVICES) | System | |
