//! The calls that are quick where nothing is out of the ordinary: then they leave nothing for the dispatcher. Where
//! anything is, they are declined, and [`dispatch`](super::dispatch) takes them as any other.
//!
//! They are so short that nobody counts for how long they keep interrupts off (`sched::irq_off`).

use orbital_abi::{CapSlot, Deadline};

use crate::{
    arch::{
        SavedRegisters,
        quick::{Bare, FOURTH, Quick, SAVED, TURN},
        quick_call, quick_message,
    },
    ipc::{self, Request, notification},
    sched::{direct, dispatch},
    thread::{Current, Segments},
};

/// The proof for the current thread, whose `registers` the entry code has stored as far as a quick call needs them. Once
/// for a call.
#[inline(always)]
fn entered(registers: *mut SavedRegisters) -> Current {
    // SAFETY: the entry code has stored the current thread's registers there. It asks again only after a call was
    // declined, and its proof is gone.
    unsafe { Current::entered(registers) }
}

/// What is made of a call's control words by the thread with these registers, which may have segments; `None` declines.
type Made<Answer> = Option<Answer>;
type Registers = *mut SavedRegisters;
type Control = [u64; 4];

/// Does nothing.
#[inline(always)]
fn null(registers: Registers, _: Control, _: bool) -> Made<Bare<SavedRegisters>> {
    dispatch::go_on_with_nothing(&entered(registers))
}

/// Lets others of the same priority run.
#[inline(always)]
fn give_way(registers: Registers, _: Control, has_segments: bool) -> Made<Bare<SavedRegisters>> {
    direct::yield_to_equal(&entered(registers), Segments::any_if(has_segments))
}

/// Signals.
#[inline(always)]
fn signal(registers: Registers, [slot, bits, ..]: Control, _: bool) -> Made<Bare<SavedRegisters>> {
    notification::signal_at_once(&entered(registers), slot, bits)
}

/// Waits for signals.
#[inline(always)]
fn wait(
    registers: Registers,
    [slot, deadline, ..]: Control,
    has_segments: bool,
) -> Made<Bare<SavedRegisters>> {
    let segments = Segments::any_if(has_segments);
    notification::wait_at_once(&entered(registers), slot, deadline, segments)
}

/// Whether a message without a deadline is sent.
#[inline(always)]
fn has_no_deadline([_, _, deadline, _]: Control) -> bool {
    deadline == Deadline::Never.bits()
}

/// The same, as the answer to the call that the thread owes, not to one that was kept.
#[inline(always)]
fn answers_at_once([_, _, deadline, kept]: Control) -> bool {
    deadline == Deadline::Never.bits() && kept == CapSlot::NULL.bits()
}

/// Calls without words, and without segments.
#[inline(always)]
fn bare_call(
    registers: Registers,
    [slot, tag, deadline, _]: Control,
    _: bool,
) -> Made<Bare<SavedRegisters>> {
    ipc::bare_call_at_once(&entered(registers), Request { slot, tag, deadline })
}

/// Calls.
#[inline(always)]
fn call(
    registers: Registers,
    [slot, tag, deadline, _]: Control,
    has_segments: bool,
) -> Made<Quick<SavedRegisters>> {
    let request = Request { slot, tag, deadline };
    ipc::call_at_once(&entered(registers), request, Segments::any_if(has_segments))
}

/// Calls with more than words in registers.
#[inline(always)]
fn long_call(
    registers: Registers,
    [slot, tag, deadline, _]: Control,
    has_segments: bool,
) -> Made<Quick<SavedRegisters>> {
    let request = Request { slot, tag, deadline };
    ipc::long_call_at_once(&entered(registers), request, Segments::any_if(has_segments))
}

/// Answers without words, and without segments, and receives.
#[inline(always)]
fn bare_reply_receive(
    registers: Registers,
    [slot, tag, deadline, kept]: Control,
    _: bool,
) -> Made<Bare<SavedRegisters>> {
    ipc::bare_reply_receive_at_once(&entered(registers), Request { slot, tag, deadline }, kept)
}

/// Answers and receives.
#[inline(always)]
fn reply_receive(
    registers: Registers,
    [slot, tag, deadline, kept]: Control,
    has_segments: bool,
) -> Made<Quick<SavedRegisters>> {
    let request = Request { slot, tag, deadline };
    let segments = Segments::any_if(has_segments);
    ipc::reply_receive_at_once(&entered(registers), request, kept, segments)
}

/// Answers with more than words in registers, and receives.
#[inline(always)]
fn long_reply_receive(
    registers: Registers,
    [slot, tag, deadline, kept]: Control,
    has_segments: bool,
) -> Made<Quick<SavedRegisters>> {
    let request = Request { slot, tag, deadline };
    let segments = Segments::any_if(has_segments);
    ipc::long_reply_receive_at_once(&entered(registers), request, kept, segments)
}

quick_call!(Null, orbital_null = null);
quick_call!(ThreadYield, orbital_yield = give_way);
quick_call!(NotificationSignal, orbital_signal = signal);
quick_call!(NotificationWait, orbital_await_signal = wait);
quick_call!(Call, orbital_call_bare = bare_call, if has_no_deadline);
quick_call!(ReplyReceive, orbital_reply_receive_bare = bare_reply_receive, if answers_at_once);
quick_message!(Call, orbital_call = call, orbital_call_long = long_call);
quick_message!(
    ReplyReceive,
    orbital_reply_receive = reply_receive,
    orbital_reply_receive_long = long_reply_receive
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
