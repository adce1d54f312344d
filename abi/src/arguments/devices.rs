//! The arguments of devices' ports and interrupts.

use crate::{CapSlot, Error, Registers};

/// A range of I/O ports, as it stands in registers: the first, and how many, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl PortRange {
    /// The ports from `first` on, `count` of them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for none, and for such as do not exist: there are 65,536.
    pub fn new(first: u64, count: u64) -> Result<Self, Error> {
        let last = count.checked_sub(1).and_then(|more| first.checked_add(more));
        let narrow = |port| u16::try_from(port).map_err(|_| Error::InvalidArgument);
        Ok(Self { first: narrow(first)?, last: narrow(last.ok_or(Error::InvalidArgument)?)? })
    }

    /// How many ports.
    pub const fn count(self) -> u64 {
        self.last as u64 - self.first as u64 + 1
    }

    /// Whether all of `other` are among them.
    pub const fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// Whether some of `other` are among them.
    pub const fn touches(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// As the badge of a capability to them: the first, and how many in bits 16 to 32. Never 0.
    pub const fn badge(self) -> u64 {
        self.first as u64 | self.count() << 16
    }

    /// The range that has this badge, if there is one.
    pub fn from_badge(badge: u64) -> Option<Self> {
        Self::new(badge & 0xffff, badge >> 16).ok()
    }
}

/// How many ports are read or written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum PortWidth {
    /// One port.
    Byte = 1,
    /// Two, the lower half of the value at the lower one.
    Word = 2,
    /// Four.
    Double = 4,
}

impl PortWidth {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Byte, Self::Word, Self::Double];

    fn decode(ports: u64) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|width| *width as u64 == ports);
        found.ok_or(Error::InvalidArgument)
    }

    /// The largest value.
    pub const fn mask(self) -> u32 {
        match self {
            Self::Byte => u8::MAX as u32,
            Self::Word => u16::MAX as u32,
            Self::Double => u32::MAX,
        }
    }
}

/// [`Syscall::IoPortCreate`](crate::Syscall::IoPortCreate). Gives the IoPort capability in control word 0. Needs
/// `DEVICES` on the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoPortCreate {
    /// The system.
    pub system: CapSlot,
    /// Which ports.
    pub ports: PortRange,
}

impl IoPortCreate {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let PortRange { first, .. } = self.ports;
        Registers::control([self.system.bits(), first.into(), self.ports.count(), 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// As [`PortRange::new`].
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [system, first, count, _] = registers.control;
        Ok(Self { system: CapSlot::from_bits(system), ports: PortRange::new(first, count)? })
    }
}

/// [`Syscall::IoPortNarrow`](crate::Syscall::IoPortNarrow). Gives in control word 0 a capability that is derived from
/// this one, as a copy is, with the same rights, to these ports alone. Needs `GRANT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoPortNarrow {
    /// The capability to more ports.
    pub port: CapSlot,
    /// Which of them.
    pub ports: PortRange,
}

impl IoPortNarrow {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let PortRange { first, .. } = self.ports;
        Registers::control([self.port.bits(), first.into(), self.ports.count(), 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// As [`PortRange::new`].
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [port, first, count, _] = registers.control;
        Ok(Self { port: CapSlot::from_bits(port), ports: PortRange::new(first, count)? })
    }
}

fn decode_access(port: u64, ports: u64) -> Result<(u16, PortWidth), Error> {
    let width = PortWidth::decode(ports)?;
    Ok((PortRange::new(port, width as u64)?.first, width))
}

/// [`Syscall::IoPortRead`](crate::Syscall::IoPortRead). Gives the value in control word 0. Needs `READ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoPortRead {
    /// The capability to the ports.
    pub slot: CapSlot,
    /// The first of those that are read, by its own number.
    pub port: u16,
    /// How many.
    pub width: PortWidth,
}

impl IoPortRead {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.slot.bits(), self.port.into(), self.width as u64, 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another width, and for ports that do not exist.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [slot, port, width, _] = registers.control;
        let (port, width) = decode_access(port, width)?;
        Ok(Self { slot: CapSlot::from_bits(slot), port, width })
    }
}

/// [`Syscall::IoPortWrite`](crate::Syscall::IoPortWrite). Needs `WRITE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoPortWrite {
    /// The capability to the ports.
    pub slot: CapSlot,
    /// The first of those that are written, by its own number.
    pub port: u16,
    /// How many.
    pub width: PortWidth,
    /// What is written, no more than they hold.
    pub value: u32,
}

impl IoPortWrite {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let Self { slot, port, width, value } = *self;
        Registers::control([slot.bits(), port.into(), width as u64, value.into()])
    }

    /// From registers.
    ///
    /// # Errors
    /// As [`IoPortRead::decode`]; [`Error::InvalidArgument`] for a value that has more bits.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [slot, port, width, value] = registers.control;
        let (port, width) = decode_access(port, width)?;
        let value = u32::try_from(value).ok().filter(|value| value & !width.mask() == 0);
        let value = value.ok_or(Error::InvalidArgument)?;
        Ok(Self { slot: CapSlot::from_bits(slot), port, width, value })
    }
}

/// [`Syscall::InterruptCreate`](crate::Syscall::InterruptCreate). Gives the Interrupt capability in control word 0.
/// Needs `DEVICES` on the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptCreate {
    /// The system.
    pub system: CapSlot,
    /// Which line: below 16 the number that it had on a PC's ISA bus, else the one that ACPI gives it.
    pub line: u64,
}

impl InterruptCreate {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.system.bits(), self.line, 0, 0])
    }

    /// From registers.
    pub fn decode(registers: &Registers) -> Self {
        let [system, line, ..] = registers.control;
        Self { system: CapSlot::from_bits(system), line }
    }
}

/// [`Syscall::InterruptBind`](crate::Syscall::InterruptBind). Needs `MANAGE` on the interrupt, and on the
/// notification what signalling these bits needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptBind {
    /// The interrupt.
    pub interrupt: CapSlot,
    /// The notification that it signals from now on in place of any other; null for none.
    pub notification: CapSlot,
    /// By these bits; not 0, but without a notification.
    pub bits: u64,
}

impl InterruptBind {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.interrupt.bits(), self.notification.bits(), self.bits, 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a notification without a bit, and for bits without a notification.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [interrupt, notification, bits, _] = registers.control;
        if (notification == 0) != (bits == 0) {
            return Err(Error::InvalidArgument);
        }
        let [interrupt, notification] = [interrupt, notification].map(CapSlot::from_bits);
        Ok(Self { interrupt, notification, bits })
    }
}
