//! The lines by which devices interrupt. A test moves them; the controller in between is as the real one.
#![forbid(unsafe_code)]

use core::cell::RefCell;

use super::{idle, race};
use crate::{
    arch::{Trap, Trigger},
    boot::BootInfo,
};

/// How many lines there can be.
pub const MOST: usize = 192;
/// So many there are.
const LINES: u8 = 24;
/// Lines from here on interrupt by their level, others by an edge. Line 0 is the kernel's, and 2 there is none.
pub const FIRST_LEVEL: u8 = 16;

/// A line, and the controller's input there.
#[derive(Clone, Copy)]
struct Wire {
    is_active: bool,
    is_masked: bool,
    /// An interrupt by its level was sent, and is not taken yet.
    is_under_way: bool,
    cpu: usize,
}

const FRESH: Wire = Wire { is_active: false, is_masked: true, is_under_way: false, cpu: 0 };

std::thread_local! {
    static WIRES: RefCell<[Wire; LINES as usize]> = const { RefCell::new([FRESH; LINES as usize]) };
}

fn with<R>(line: u8, f: impl FnOnce(&mut Wire) -> R) -> R {
    WIRES.with_borrow_mut(|wires| f(&mut wires[usize::from(line)]))
}

/// All lines are masked.
pub fn init(_boot_info: &BootInfo) {
    reset();
}

pub(super) fn reset() {
    WIRES.set([FRESH; LINES as usize]);
}

/// The numbers of all lines are less.
pub fn end() -> u8 {
    LINES
}

/// When the line interrupts; `None` where there is no such line.
pub fn trigger(line: u8) -> Option<Trigger> {
    match line {
        0 | 2 | LINES.. => None,
        FIRST_LEVEL.. => Some(Trigger::Level),
        _ => Some(Trigger::Edge),
    }
}

/// Sends what the line's level asks for.
fn look(line: u8) {
    let sent_to = with(line, |wire| {
        let is_wanted = wire.is_active && !wire.is_masked && !wire.is_under_way;
        wire.is_under_way |= is_wanted;
        is_wanted.then_some(wire.cpu)
    });
    if let Some(cpu) = sent_to {
        idle::request_interrupt_of(cpu, Trap::Device(line));
    }
}

/// The line does not interrupt from here on. One that is on its way comes nevertheless.
pub fn mask(line: u8) {
    with(line, |wire| wire.is_masked = true);
}

/// The line interrupts from here on.
pub fn unmask(line: u8) {
    with(line, |wire| wire.is_masked = false);
    if trigger(line) == Some(Trigger::Level) {
        look(line);
    }
}

/// Its interrupts go to `cpu`.
pub fn route(line: u8, cpu: usize) {
    with(line, |wire| wire.cpu = cpu);
}

/// Its interrupt has been taken.
pub fn taken(line: u8) {
    race::point();
    with(line, |wire| wire.is_under_way = false);
    if trigger(line) == Some(Trigger::Level) {
        look(line);
    }
}

/// The device makes the line active, and leaves it so.
pub fn raise(line: u8) {
    let edge = with(line, |wire| {
        let was_active = core::mem::replace(&mut wire.is_active, true);
        (!was_active && !wire.is_masked).then_some(wire.cpu)
    });
    match (trigger(line), edge) {
        (Some(Trigger::Level), _) => look(line),
        (Some(Trigger::Edge), Some(cpu)) => idle::request_interrupt_of(cpu, Trap::Device(line)),
        _ => {}
    }
}

/// The device does not want anything any more.
pub fn lower(line: u8) {
    with(line, |wire| wire.is_active = false);
}

/// The device makes the line active for a moment.
pub fn pulse(line: u8) {
    raise(line);
    lower(line);
}

/// Whether the line is masked.
pub fn is_masked(line: u8) -> bool {
    with(line, |wire| wire.is_masked)
}
