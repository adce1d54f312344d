//! The system: log, shutdown, counters.

#![forbid(unsafe_code)]

use core::fmt::{self, Write};

use arrayvec::ArrayString;
use orbital_abi::{
    CapSlot, Error, ObjectKind, Registers, Rights,
    arguments::{LOG_BYTES, NAME_BYTES, SystemLog},
    statistics::Statistic,
};

use super::{Answer, lookup, value};
use crate::{
    arch,
    capability::table,
    framebuffer, irq,
    memory::{self, usage},
    object::{Ref, registry},
    process::Process,
    sched::{Completion, block, cpu_time, dispatch, irq_off},
    system::SystemObject,
    thread::{BlockReason, Current, Outcome},
    trace,
    vm::{
        MemoryObject,
        user_copy::{self, Uncopied},
    },
};

pub(super) fn log(current: &Current, registers: &Registers) -> Completion {
    let arguments = match SystemLog::decode(registers) {
        Ok(arguments) => arguments,
        Err(error) => return Completion::Failed(error),
    };
    match log_line(&current.process, &arguments) {
        Ok(()) => Completion::done(current),
        Err(Uncopied::Refused(error)) => Completion::Failed(error),
        Err(Uncopied::Unsettled(object)) => {
            let process = current.process.clone();
            block(current, BlockReason::Working, log_settled(process, arguments, object))
        }
    }
}

/// Logs a line whose memory has to settle first.
async fn log_settled(
    process: Ref<Process>,
    arguments: SystemLog,
    mut object: Ref<MemoryObject>,
) -> Outcome {
    loop {
        object.settle().await;
        match log_line(&process, &arguments) {
            Ok(()) => return Outcome::Answer(Ok(Registers::default())),
            Err(Uncopied::Refused(error)) => return Outcome::Answer(Err(error)),
            Err(Uncopied::Unsettled(other)) => object = other,
        }
    }
}

/// Logs a line of `process`, whose address space is loaded on this CPU, if it may do that.
fn log_line(process: &Process, arguments: &SystemLog) -> Result<(), Uncopied> {
    let SystemLog { system, text, bytes } = *arguments;
    let capability = process.capability(system).map_err(Uncopied::Refused)?;
    capability.object::<SystemObject>(Rights::LOG).map_err(Uncopied::Refused)?;
    let mut buffer = [0; LOG_BYTES];
    let buffer = &mut buffer[..bytes as usize];
    user_copy::copy_from(&process.space, buffer, text)?;
    let text = core::str::from_utf8(buffer);
    let text = text.map_err(|_| Uncopied::Refused(Error::InvalidArgument))?;
    log::info!(target: &log_module(process), "{}", Shown(text));
    Ok(())
}

/// A program's text with `?` for each control character, those above ASCII among them (some terminals
/// take U+009B for an escape sequence's start): it can't forge lines or drive the terminal.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_control() { '?' } else { c }))
    }
}

/// The module that a process's lines have. Names are free, so only the first process, which the kernel
/// has named itself, goes by its name alone: no other can pass for a part of the kernel.
fn log_module(process: &Process) -> ArrayString<{ NAME_BYTES + 5 }> {
    let mut module = ArrayString::new();
    // The capacity is that of the longest name behind the prefix.
    let _ = match process.is_first() {
        true => write!(module, "{}", process.name),
        false => write!(module, "user.{}", process.name),
    };
    module
}

pub(super) fn shutdown(current: &Current, registers: &Registers) -> Answer {
    let slot = CapSlot::from_bits(registers.control[0]);
    lookup::<SystemObject>(current, slot, Rights::SHUTDOWN)?;
    crate::shutdown::off(registers.control[1])
}

/// The longest stretch with interrupts off on the CPU in control word 1, in ticks; with 1 in word 2
/// it is counted anew from here on.
pub(super) fn interrupts_off(current: &Current, registers: &Registers) -> Answer {
    let [slot, cpu, reset, _] = registers.control;
    lookup::<SystemObject>(current, CapSlot::from_bits(slot), Rights::STATISTICS)?;
    let cpu = cpu_number(cpu)?;
    Ok(value(match reset {
        0 => irq_off::longest(cpu),
        1 => irq_off::take_longest(cpu),
        _ => return Err(Error::InvalidArgument),
    }))
}

/// The event in control word 2, or the first behind it that there is, of the CPU in word 1.
pub(super) fn trace(current: &Current, registers: &Registers) -> Answer {
    let [slot, cpu, position, _] = registers.control;
    lookup::<SystemObject>(current, CapSlot::from_bits(slot), Rights::STATISTICS)?;
    let traced = trace::read(cpu_number(cpu)?, position).ok_or(Error::WouldBlock)?;
    Ok(traced.encode())
}

/// What the loader has set up to be drawn on.
pub(super) fn framebuffer(current: &Current, registers: &Registers) -> Answer {
    lookup::<SystemObject>(current, CapSlot::from_bits(registers.control[0]), Rights::DEVICES)?;
    Ok(framebuffer::get().ok_or(Error::InvalidAddress)?.encode())
}

/// A number that names a CPU.
fn cpu_number(cpu: u64) -> Result<usize, Error> {
    let cpu = usize::try_from(cpu).ok().filter(|cpu| *cpu < arch::cpu_count());
    cpu.ok_or(Error::InvalidArgument)
}

pub(super) fn statistics(current: &Current, registers: &Registers) -> Answer {
    let slot = CapSlot::from_bits(registers.control[0]);
    lookup::<SystemObject>(current, slot, Rights::STATISTICS)?;
    let statistic = Statistic::from_number(registers.control[1]).ok_or(Error::InvalidArgument)?;
    Ok(value(match statistic {
        Statistic::FreeFrames => memory::free_frames(),
        Statistic::TotalFrames => memory::total_frames(),
        Statistic::HeapBytes => usage::bytes(),
        Statistic::HeapAllocations => usage::allocations(),
        Statistic::Processes => registry::live(ObjectKind::Process),
        Statistic::Threads => registry::live(ObjectKind::Thread),
        Statistic::Endpoints => registry::live(ObjectKind::Endpoint),
        Statistic::MemoryObjects => registry::live(ObjectKind::MemoryObject),
        Statistic::TimerInterrupts => dispatch::counters().1,
        Statistic::ContextSwitches => dispatch::counters().0,
        Statistic::StaleCapabilities => table::stale_uses(),
        Statistic::NonMaskableInterrupts => arch::nmi::counts().all(),
        Statistic::NonMaskableInterruptPlaces => arch::nmi::counts().places,
        Statistic::Notifications => registry::live(ObjectKind::Notification),
        Statistic::Replies => registry::live(ObjectKind::Reply),
        Statistic::Timers => registry::live(ObjectKind::Timer),
        Statistic::IoPorts => registry::live(ObjectKind::IoPort),
        Statistic::Interrupts => registry::live(ObjectKind::Interrupt),
        Statistic::StrayInterrupts => irq::strays(),
        Statistic::ReportedFrames => memory::frame_counts().reported,
        Statistic::CachedFrames => memory::frame_counts().cached,
        Statistic::LargestFreeBlock => {
            memory::frame_counts().largest_order.map_or(0, |order| 1 << order)
        }
        Statistic::Cpus => arch::cpu_count() as u64,
        Statistic::IdleTime => cpu_time::idle(cpu_number(registers.control[2])?),
    }))
}
