//! The calls that are quick where nothing is out of the ordinary: then they leave nothing for the dispatcher. Where
//! anything is, they are declined, and [`dispatch`](super::dispatch) takes them as any other.
//!
//! They are so short that nobody counts for how long they keep interrupts off (`sched::irq_off`).

use crate::{
    arch::{
        SavedRegisters,
        quick::{Bare, FOURTH, Quick, SAVED, TURN},
        quick_message,
    },
    ipc::{self, Request, notification},
    sched::{direct, dispatch},
    thread::{Current, Segments},
};

type Answer = Quick<SavedRegisters>;

/// The current thread, whose `registers` the entry code has stored as far as a quick call needs them, makes the call.
#[inline(always)]
fn quick(registers: *mut SavedRegisters, call: impl FnOnce(&Current) -> Option<Answer>) -> Answer {
    // SAFETY: the entry code has stored the current thread's registers there. It asks again only after this has
    // declined, and this proof is gone.
    let current = unsafe { Current::entered(registers) };
    call(&current).unwrap_or(Quick::declined(registers))
}

/// Does nothing.
#[unsafe(no_mangle)]
extern "C-unwind" fn orbital_null(
    _: u64,
    _: u64,
    _: u64,
    registers: *mut SavedRegisters,
    _: u64,
) -> Answer {
    quick(registers, dispatch::go_on_with_nothing)
}

/// Lets others of the same priority run.
#[unsafe(no_mangle)]
extern "C-unwind" fn orbital_yield(
    _: u64,
    _: u64,
    _: u64,
    registers: *mut SavedRegisters,
    _: u64,
) -> Answer {
    quick(registers, direct::yield_to_equal)
}

/// Signals.
#[unsafe(no_mangle)]
extern "C-unwind" fn orbital_signal(
    slot: u64,
    bits: u64,
    _: u64,
    registers: *mut SavedRegisters,
    _: u64,
) -> Answer {
    quick(registers, |current| notification::signal_at_once(current, slot, bits))
}

/// Waits for signals.
#[unsafe(no_mangle)]
extern "C-unwind" fn orbital_await_signal(
    slot: u64,
    deadline: u64,
    _: u64,
    registers: *mut SavedRegisters,
    _: u64,
) -> Answer {
    quick(registers, |current| notification::wait_at_once(current, slot, deadline))
}

/// Calls without words. The control words are in the CPU alone.
#[inline(always)]
fn bare_call(
    slot: u64,
    tag: u64,
    deadline: u64,
    registers: *mut SavedRegisters,
    _: u64,
) -> Bare<SavedRegisters> {
    // SAFETY: as in `quick`.
    let current = unsafe { Current::entered(registers) };
    let request = Request { slot, tag, deadline };
    ipc::bare_call_at_once(&current, request).unwrap_or(Quick::declined(registers).into())
}

/// Calls.
#[inline(always)]
fn call(
    slot: u64,
    tag: u64,
    deadline: u64,
    registers: *mut SavedRegisters,
    _: u64,
    has_segments: bool,
) -> Answer {
    // SAFETY: as in `quick`.
    let current = unsafe { Current::entered(registers) };
    let request = Request { slot, tag, deadline };
    let segments = Segments::any_if(has_segments);
    ipc::call_at_once(&current, request, segments).unwrap_or(Quick::declined(registers))
}

/// Answers without words and receives; as [`bare_call`].
#[inline(always)]
fn bare_reply_receive(
    slot: u64,
    tag: u64,
    deadline: u64,
    registers: *mut SavedRegisters,
    kept: u64,
) -> Bare<SavedRegisters> {
    // SAFETY: as in `quick`.
    let current = unsafe { Current::entered(registers) };
    let request = Request { slot, tag, deadline };
    ipc::bare_reply_receive_at_once(&current, request, kept)
        .unwrap_or(Quick::declined(registers).into())
}

/// Answers and receives.
#[inline(always)]
fn reply_receive(
    slot: u64,
    tag: u64,
    deadline: u64,
    registers: *mut SavedRegisters,
    kept: u64,
    has_segments: bool,
) -> Answer {
    // SAFETY: as in `quick`.
    let current = unsafe { Current::entered(registers) };
    let request = Request { slot, tag, deadline };
    let segments = Segments::any_if(has_segments);
    ipc::reply_receive_at_once(&current, request, kept, segments)
        .unwrap_or(Quick::declined(registers))
}

quick_message!(Call, orbital_call_bare = bare_call, orbital_call = call);
quick_message!(
    ReplyReceive,
    orbital_reply_receive_bare = bare_reply_receive,
    orbital_reply_receive = reply_receive
);

/// One of them has switched to the thread with these registers, and left something for the dispatcher. `words` are
/// the message words that the CPU's registers have, and `way` says how many of all are valid.
#[unsafe(no_mangle)]
extern "C-unwind" fn orbital_turn(
    registers: *mut SavedRegisters,
    way: u64,
    words: &[u64; 6],
) -> *mut SavedRegisters {
    let count = way & !(TURN | FOURTH);
    if count & SAVED == 0 {
        // SAFETY: the thread is the current one, and nobody else has a proof for it now.
        let current = unsafe { Current::entered(registers) };
        current.with_registers(|registers| {
            registers.set_other_words(count as usize, words);
            if way & FOURTH == 0 {
                registers.set_fourth(0);
            }
        });
    }
    dispatch::turn()
}
