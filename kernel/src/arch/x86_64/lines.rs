//! The lines by which devices interrupt: which input of which controller each is, by ACPI's tables. All are masked
//! until they are asked for.
//!
//! | number | which line |
//! |---|---|
//! | 1 to 15 | that of the ISA bus with this number, wherever its input is; not where another one of them has that input |
//! | 16 and more | the input with this number, as PCI has them: active while low, by its level |
//!
//! Line 0 is the interval timer's, which is the kernel's own.
#![forbid(unsafe_code)]

use core::ops::Range;

use arrayvec::ArrayVec;

use super::{
    acpi::{self, MOST_CONTROLLERS, Wiring},
    apic,
    io_apic::{ACTIVE_LOW, IoApic, LEVEL},
    smp,
};
use crate::{arch::Trigger, boot::BootInfo};

/// How many lines there can be.
pub const MOST: usize = 192;
/// The vector of line 0.
const FIRST_VECTOR: u64 = 0x30;
/// So many lines are the ISA bus's.
const ISA_LINES: u32 = 16;

/// A line's place.
#[derive(Clone, Copy)]
struct Input {
    controller: u8,
    /// Among the inputs of all controllers.
    number: u32,
    /// Vector, polarity and trigger, as the controller has them.
    mode: u32,
}

struct Lines {
    controllers: ArrayVec<IoApic, MOST_CONTROLLERS>,
    inputs: ArrayVec<Option<Input>, MOST>,
}

static LINES: spin::Once<Lines> = spin::Once::new();

impl Lines {
    fn new(wiring: &Wiring) -> Self {
        let controllers =
            wiring.controllers.iter().map(|it| IoApic::new(it.physical, it.first)).collect();
        let mut lines = Self { controllers, inputs: ArrayVec::new() };
        let end = lines.controllers.iter().map(|it| it.numbers().end).max().unwrap_or(0);
        for line in 0..end.min(MOST as u32) {
            let input = lines.find(wiring, line);
            lines.inputs.push(input);
        }
        lines
    }

    /// Where a line is, if there is such a one.
    fn find(&self, wiring: &Wiring, line: u32) -> Option<Input> {
        let of_line = wiring.overrides.iter().find(|it| u32::from(it.isa) == line);
        let is_taken = wiring.overrides.iter().any(|it| it.input == line);
        let (number, is_low, is_level) = match of_line {
            _ if line == 0 => return None,
            Some(it) => (it.input, it.is_low, it.is_level),
            None if is_taken => return None,
            None => (line, line >= ISA_LINES, line >= ISA_LINES),
        };
        let controller = self.controllers.iter().position(|it| it.numbers().contains(&number))?;
        let mode = (FIRST_VECTOR as u32 + line)
            | if is_low { ACTIVE_LOW } else { 0 }
            | if is_level { LEVEL } else { 0 };
        Some(Input { controller: controller as u8, number, mode })
    }
}

/// Finds the lines, and masks them all. Once, before any other function here.
pub fn init(boot_info: &BootInfo) {
    let lines = LINES.call_once(|| Lines::new(&acpi::wiring(boot_info.acpi)));
    log::debug!("{} interrupt lines", lines.inputs.iter().flatten().count());
}

/// The physical addresses of the controllers' pages.
pub fn pages() -> impl Iterator<Item = Range<u64>> {
    LINES.get().into_iter().flat_map(|lines| lines.controllers.iter().map(IoApic::page))
}

/// The line that interrupts at `vector`, if one does.
pub(super) fn at_vector(vector: u64) -> Option<u8> {
    let line = vector.checked_sub(FIRST_VECTOR)?;
    (line < MOST as u64).then_some(line as u8)
}

fn get(line: u8) -> Option<(&'static IoApic, Input)> {
    let lines = LINES.get()?;
    let input = (*lines.inputs.get(usize::from(line))?)?;
    Some((lines.controllers.get(usize::from(input.controller))?, input))
}

/// The numbers of all lines are less.
pub fn end() -> u8 {
    LINES.get().map_or(0, |lines| lines.inputs.len() as u8)
}

/// When the line interrupts; `None` where there is no such line.
pub fn trigger(line: u8) -> Option<Trigger> {
    let (_, input) = get(line)?;
    Some(if input.mode & LEVEL != 0 { Trigger::Level } else { Trigger::Edge })
}

/// The line does not interrupt from here on. One that is on its way comes nevertheless.
pub fn mask(line: u8) {
    if let Some((controller, input)) = get(line) {
        controller.mask(input.number, input.mode);
    }
}

/// The line interrupts from here on.
pub fn unmask(line: u8) {
    if let Some((controller, input)) = get(line) {
        controller.unmask(input.number, input.mode);
    }
}

/// Its interrupts go to `cpu`, or the first one where that has too high a number on the bus. While it is masked.
pub fn route(line: u8, cpu: usize) {
    if let Some((controller, input)) = get(line) {
        let target = [cpu, 0].into_iter().find_map(|cpu| u8::try_from(smp::apic_id(cpu)).ok());
        controller.route(input.number, target.unwrap_or(0));
    }
}

/// Its interrupt has been taken: the CPU's controller may bring the next one.
pub fn taken(_line: u8) {
    apic::end_of_interrupt();
}
