//! The trace: what each CPU has done last, as typed events in a ring of its own. It is for whoever asks by
//! `SystemTrace`, and for a [dump] at the machine's end.
//!
//! | `trace=` | what is kept |
//! |---|---|
//! | `off` | nothing |
//! | `events` (default) | what is rare: starts and ends, faults that nobody handles, revokes, spurious interrupts |
//! | `ipc` | what happens with each call, message, switch, wake, poll and interrupt, too |
//!
//! Short cuts (`sched`) have no place where something is kept. Where all is to be, they are not taken: so they cost
//! nothing where it is not. Elsewhere an event that is not kept costs a comparison.
//!
//! A ring is written by its CPU alone, with interrupts off. Non-maskable interrupts leave no events.
#![forbid(unsafe_code)]

pub mod dump;
pub mod flows;
mod ring;

#[cfg(test)]
pub mod tests;

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use orbital_abi::trace::{Event, EventKind, Traced};
use spin::Once;

use crate::{
    arch::{self, clock},
    boot::CommandLine,
    percpu::{MAX_CPUS, PerCpu},
    watch::{self, TRACED},
};
use ring::Ring;

const OFF: u8 = 0;
const EVENTS: u8 = 1;
const DETAILED: u8 = 2;
static LEVEL: AtomicU8 = AtomicU8::new(OFF);

/// Events that a CPU keeps: 16 KiB, where they are rare.
const FEW: usize = 256;
/// 4 MiB, where they are not.
const MANY: usize = 65_536;

static RINGS: PerCpu<Once<Ring>> = PerCpu::new([const { Once::new() }; MAX_CPUS]);

/// Whom an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The thread's number, or 0.
    pub thread: u64,
    /// The process's, or 0.
    pub process: u64,
}

/// Takes what the command line says. Events before that are not kept.
pub fn init(command_line: &CommandLine) {
    let level = match command_line.get("trace") {
        None | Some("events") => EVENTS,
        Some("off") => OFF,
        Some("ipc") => DETAILED,
        Some(wrong) => {
            log::warn!("trace={wrong}: neither off, events nor ipc");
            EVENTS
        }
    };
    dump::init(command_line);
    if level == DETAILED {
        flows::init();
    }
    LEVEL.store(level, Relaxed);
    if level == DETAILED {
        watch::begin(TRACED);
    } else {
        watch::end(TRACED);
    }
}

/// Makes this CPU's ring. Events of it before that are not kept.
pub fn init_cpu() {
    let size = match LEVEL.load(Relaxed) {
        OFF => return,
        EVENTS => FEW,
        _ => MANY,
    };
    let ring = &RINGS.here();
    match Ring::new(size) {
        Some(made) => {
            ring.call_once(|| made);
        }
        None => log::warn!("no memory for a trace of {size} events"),
    }
}

/// Whether everything is kept.
#[inline(always)]
pub fn is_detailed() -> bool {
    watch::is(TRACED)
}

/// Something rare has happened.
pub fn note(kind: EventKind, who: Who, arguments: [u64; 3]) {
    if LEVEL.load(Relaxed) != OFF {
        write(kind, who, arguments);
    }
}

/// Something has happened, to no thread, that is kept only where everything is. What is passed, here and where a thread
/// is told of, is values alone: so where it is not kept, no more is to be done than to find that out.
#[inline(always)]
pub fn detail(kind: EventKind, argument: u64) {
    if is_detailed() {
        kept(kind, argument);
    }
}

#[cold]
#[inline(never)]
fn kept(kind: EventKind, argument: u64) {
    write(kind, Who::default(), [argument, 0, 0]);
}

/// Locks may be held.
fn write(kind: EventKind, who: Who, arguments: [u64; 3]) {
    if let Some(ring) = RINGS.here_locked().get() {
        let Who { thread, process } = who;
        let cpu = arch::cpu_index_locked() as u8;
        let time = clock::nanoseconds_at(clock::ticks());
        ring.push(&Event { time, cpu, kind, thread, process, arguments }.encode());
    }
}

/// The event with the number `position` of `cpu`, which is below [`MAX_CPUS`], or the first behind it that was not
/// overwritten; `None` where there is none yet.
pub fn read(cpu: usize, position: u64) -> Option<Traced> {
    let ring = RINGS.of(cpu).get()?;
    let (found, words) = ring.read(position)?;
    let event = Event::decode(&words)?;
    Some(Traced { event, next: found + 1, lost: found - position })
}
