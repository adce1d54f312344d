//! I/O ports, which are reached by system calls alone.
#![forbid(unsafe_code)]

use core::ops::RangeInclusive;

use orbital_abi::{
    CapSlot, Error, Rights, Syscall,
    arguments::{IoPortCreate, IoPortNarrow, IoPortRead, IoPortWrite, PortRange, PortWidth},
};

use crate::{
    capability::{Capability, inspect},
    start::bootstrap,
    syscall::harmless,
};

/// A range of I/O ports; closed on drop. Ports are named by their own numbers, not by their places in the range.
#[derive(Debug)]
pub struct IoPort(Capability);

fn range(ports: RangeInclusive<u16>) -> Result<PortRange, Error> {
    let count = (*ports.end() as u64 + 1).saturating_sub((*ports.start()).into());
    PortRange::new((*ports.start()).into(), count)
}

impl IoPort {
    /// The right to read and write `ports`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for none; [`Error::InvalidAddress`] where some of them are the kernel's own;
    /// [`Error::MissingRights`] without `DEVICES` on the system; [`Error::EmptySlot`] without the system;
    /// [`Error::QuotaExceeded`]; [`Error::TableFull`].
    pub fn create(ports: RangeInclusive<u16>) -> Result<Self, Error> {
        let arguments = IoPortCreate { system: bootstrap().system, ports: range(ports)? };
        let results = harmless(Syscall::IoPortCreate, &arguments.encode())?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// The same to `ports` alone, derived from this one as a copy is, with the same rights: to be handed on.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for none; [`Error::InvalidAddress`] where some are not in this range; those of
    /// [`IoPort::copy`].
    pub fn narrow(&self, ports: RangeInclusive<u16>) -> Result<Self, Error> {
        let arguments = IoPortNarrow { port: self.slot(), ports: range(ports)? };
        let results = harmless(Syscall::IoPortNarrow, &arguments.encode())?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// Takes over the port capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(Capability::from_slot(slot))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// Gives the slot away: it stays open.
    pub fn into_slot(self) -> CapSlot {
        self.0.into_slot()
    }

    /// A copy with these rights at most.
    ///
    /// # Errors
    /// As [`Capability::copy`].
    pub fn copy(&self, rights: Rights) -> Result<Self, Error> {
        self.0.copy(rights, 0).map(Self)
    }

    /// Which ports.
    ///
    /// # Errors
    /// Those of the slot; [`Error::WrongKind`].
    pub fn ports(&self) -> Result<RangeInclusive<u16>, Error> {
        let found = PortRange::from_badge(inspect(self.slot())?.badge);
        found.map(|ports| ports.first..=ports.last).ok_or(Error::WrongKind)
    }

    fn read(&self, port: u16, width: PortWidth) -> Result<u32, Error> {
        let arguments = IoPortRead { slot: self.slot(), port, width };
        // No more bits than the ports hold come back.
        Ok(harmless(Syscall::IoPortRead, &arguments.encode())?.control[0] as u32)
    }

    fn write(&self, port: u16, width: PortWidth, value: u32) -> Result<(), Error> {
        let arguments = IoPortWrite { slot: self.slot(), port, width, value };
        harmless(Syscall::IoPortWrite, &arguments.encode()).map(|_| ())
    }

    /// Reads one port.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`] where it is not in the range; [`Error::MissingRights`] without `READ`; those of
    /// the slot.
    pub fn read_u8(&self, port: u16) -> Result<u8, Error> {
        self.read(port, PortWidth::Byte).map(|value| value as u8)
    }

    /// Reads two ports, from `port` on, at once.
    ///
    /// # Errors
    /// As [`IoPort::read_u8`]; [`Error::InvalidArgument`] at the end of all ports.
    pub fn read_u16(&self, port: u16) -> Result<u16, Error> {
        self.read(port, PortWidth::Word).map(|value| value as u16)
    }

    /// Reads four ports, from `port` on, at once.
    ///
    /// # Errors
    /// As [`IoPort::read_u16`].
    pub fn read_u32(&self, port: u16) -> Result<u32, Error> {
        self.read(port, PortWidth::Double)
    }

    /// Writes one port.
    ///
    /// # Errors
    /// As [`IoPort::read_u8`], with `WRITE`.
    pub fn write_u8(&self, port: u16, value: u8) -> Result<(), Error> {
        self.write(port, PortWidth::Byte, value.into())
    }

    /// Writes two ports, from `port` on, at once.
    ///
    /// # Errors
    /// As [`IoPort::read_u16`], with `WRITE`.
    pub fn write_u16(&self, port: u16, value: u16) -> Result<(), Error> {
        self.write(port, PortWidth::Word, value.into())
    }

    /// Writes four ports, from `port` on, at once.
    ///
    /// # Errors
    /// As [`IoPort::write_u16`].
    pub fn write_u32(&self, port: u16, value: u32) -> Result<(), Error> {
        self.write(port, PortWidth::Double, value)
    }
}
