//! The system: log, shutdown, counters.

use orbital_abi::{
    CapSlot, Error, ObjectKind, Registers, Rights, arguments::{LOG_BYTES, SystemLog},
    statistics::Statistic,
};

use super::{Answer, lookup, value};
use crate::{
    arch,
    capability::table,
    memory::{self, heap},
    object::{Header, Object, Ref, registry},
    sched::dispatch,
    thread::Current,
};

/// The object behind System capabilities. There is one; it holds nothing.
#[repr(C)]
pub struct SystemObject {
    header: Header,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for SystemObject {
    const KIND: Option<ObjectKind> = Some(ObjectKind::System);
}

impl SystemObject {
    /// The system.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory.
    pub fn new() -> Result<Ref<Self>, Error> {
        Ref::new(Self { header: Header::new::<Self>() })
    }
}

pub(super) fn log(current: &Current, registers: &Registers) -> Answer {
    let arguments = SystemLog::decode(registers)?;
    lookup::<SystemObject>(current, arguments.system, Rights::LOG)?;
    let mut buffer = [0; LOG_BYTES];
    let text = &mut buffer[..arguments.bytes as usize];
    arch::copy_from_user(text, arguments.text)?;
    // What a program writes can't forge lines or drive the terminal.
    for byte in &mut *text {
        if byte.is_ascii_control() {
            *byte = b'?';
        }
    }
    let text = core::str::from_utf8(text).map_err(|_| Error::InvalidArgument)?;
    log::info!(target: current.process.name.as_str(), "{text}");
    Ok(Registers::default())
}

pub(super) fn shutdown(current: &Current, registers: &Registers) -> Answer {
    let slot = CapSlot::from_bits(registers.control[0]);
    lookup::<SystemObject>(current, slot, Rights::SHUTDOWN)?;
    crate::shutdown::off(registers.control[1])
}

pub(super) fn statistics(current: &Current, registers: &Registers) -> Answer {
    let slot = CapSlot::from_bits(registers.control[0]);
    lookup::<SystemObject>(current, slot, Rights::STATISTICS)?;
    let statistic = Statistic::from_number(registers.control[1]).ok_or(Error::InvalidArgument)?;
    Ok(value(match statistic {
        Statistic::FreeFrames => memory::free_frames(),
        Statistic::TotalFrames => memory::total_frames(),
        Statistic::HeapBytes => heap::bytes_used() as u64,
        Statistic::Processes => registry::live(ObjectKind::Process),
        Statistic::Threads => registry::live(ObjectKind::Thread),
        Statistic::Endpoints => registry::live(ObjectKind::Endpoint),
        Statistic::MemoryObjects => registry::live(ObjectKind::MemoryObject),
        Statistic::TimerInterrupts => dispatch::counters().1,
        Statistic::ContextSwitches => dispatch::counters().0,
        Statistic::StaleCapabilities => table::stale_uses(),
    }))
}
