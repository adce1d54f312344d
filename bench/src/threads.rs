//! Threads.

use alloc::{vec, vec::Vec};
use core::arch::naked_asm;

use orbital_user::{
    CapSlot, Endpoint, Rights, Thread,
    abi::{Registers, Syscall, arguments::ThreadCreate, statistics::Statistic},
    start::bootstrap,
    system::statistic,
};

use crate::{
    measure::{FEW, Samples, measure_and},
    stub,
};

/// Lower than the benchmark's own: a thread of this priority runs when the benchmark waits.
const LOWER: u8 = 128;
/// How many threads wait, to tell what one more of them takes.
const WAITING: u64 = 128;

/// A thread in the same process, made and started. It runs and ends after the sample.
pub fn create() -> Samples {
    let arguments = creation(ends as extern "C" fn(u64), CapSlot::NULL).encode();
    let Registers { control, words } = arguments;
    let mut last = 0;
    let last = core::cell::Cell::from_mut(&mut last);
    measure_and(
        FEW,
        || {
            // SAFETY: the thread ends at once, and touches nothing.
            unsafe {
                let words = [words[0], 0];
                let (created, slot) = stub::call_with_words(Syscall::ThreadCreate, control, words);
                last.set(slot);
                created | stub::call(Syscall::ThreadStart, [slot, 0, 0]).0
            }
        },
        || {
            let thread = Thread::from_slot(CapSlot::from_bits(last.get()));
            thread.wait().expect("its end");
        },
    )
}

/// What one more thread that waits for a message takes of the kernel's memory: its part of what many
/// of them take, with the capabilities to them.
pub fn bytes_blocked() -> Samples {
    let endpoint = Endpoint::create().expect("an endpoint");
    let receive = endpoint.copy(Rights::RECEIVE, 0).expect("a copy");
    let mut threads = Vec::with_capacity(WAITING as usize);
    // What comes with the first: parts of tables.
    threads.push(waiting(receive.slot()));
    let before = statistic(Statistic::HeapBytes).expect("the counters");
    for _ in 1..WAITING {
        threads.push(waiting(receive.slot()));
    }
    let after = statistic(Statistic::HeapBytes).expect("the counters");
    Samples::of(vec![(after - before).div_ceil(WAITING - 1)])
}

/// A thread that waits for a message by now.
fn waiting(endpoint: CapSlot) -> Thread {
    let arguments = creation(receives as extern "C" fn(u64), endpoint);
    // SAFETY: the thread makes one call, and touches nothing.
    let thread = unsafe { Thread::create(&arguments) }.expect("a thread");
    thread.start().expect("a thread that can start");
    // The benchmark lets it go first, and goes on when it waits.
    let own = core::mem::ManuallyDrop::new(Thread::from_slot(bootstrap().thread));
    own.set_priority(LOWER - 1).expect("a lower priority");
    own.set_priority(u8::MAX).expect("the priority that it had");
    thread
}

fn creation(entry: extern "C" fn(u64), argument: CapSlot) -> ThreadCreate {
    ThreadCreate {
        process: bootstrap().process,
        entry: entry as usize as u64,
        // Neither of them has a use for one, but it has to be a user address.
        stack: 0x1000,
        argument: argument.bits(),
        priority: LOWER,
    }
}

#[unsafe(naked)]
extern "C" fn ends(_: u64) {
    naked_asm!(
        "mov eax, {exit}",
        "xor edi, edi",
        "syscall",
        "ud2",
        exit = const Syscall::ThreadExit as u64,
    )
}

/// Waits for a message on the endpoint in `rdi`.
#[unsafe(naked)]
extern "C" fn receives(_: u64) {
    naked_asm!(
        "mov eax, {receive}",
        "mov rdx, -1",
        "syscall",
        "ud2",
        receive = const Syscall::Receive as u64,
    )
}
