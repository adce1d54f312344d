//! I/O ports.
#![forbid(unsafe_code)]

use orbital_abi::{
    Error, Registers, Rights,
    arguments::{IoPortCreate, IoPortNarrow, IoPortRead, IoPortWrite, PortRange, PortWidth},
};

use super::{Answer, lookup, value};
use crate::{arch::port, capability::transfer, io_port, system::SystemObject, thread::Current};

pub(super) fn create(current: &Current, registers: &Registers) -> Answer {
    let IoPortCreate { system, ports } = IoPortCreate::decode(registers)?;
    lookup::<SystemObject>(current, system, Rights::DEVICES)?;
    let capability = io_port::give(ports, &current.process.quota)?;
    Ok(value(current.process.install(capability)?.bits()))
}

pub(super) fn narrow(current: &Current, registers: &Registers) -> Answer {
    let IoPortNarrow { port, ports } = IoPortNarrow::decode(registers)?;
    let own = &current.process;
    let (table, quota) = (&own.table, &own.quota);
    let slot = transfer::derive(table, port, |held| io_port::narrow(held, ports), table, quota)?;
    Ok(value(slot.bits()))
}

/// The ports of an access.
fn ports(port: u16, width: PortWidth) -> Result<PortRange, Error> {
    PortRange::new(port.into(), width as u64)
}

pub(super) fn read(current: &Current, registers: &Registers) -> Answer {
    let IoPortRead { slot, port, width } = IoPortRead::decode(registers)?;
    let ports = ports(port, width)?;
    current.process.with_capability(slot, |held| io_port::check(held, Rights::READ, ports))??;
    Ok(value(port::read(port, width).into()))
}

pub(super) fn write(current: &Current, registers: &Registers) -> Answer {
    let IoPortWrite { slot, port, width, value } = IoPortWrite::decode(registers)?;
    let ports = ports(port, width)?;
    current.process.with_capability(slot, |held| io_port::check(held, Rights::WRITE, ports))??;
    port::write(port, width, value);
    Ok(Registers::default())
}
