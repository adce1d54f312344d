//! Programs do their worst on the way into the kernel and out, all at once and at random, with and
//! without interrupts that nobody can hold back. Others go on beside them and must not notice.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod acts;
mod victims;

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use guests::{
    bare::Program,
    code,
    cpus::{self, scaled, seed},
    pattern::General,
    random::Random,
    suite,
    threads::{MIDDLE, at},
};
use orbital_user::{ExitReason, abi::statistics::Statistic, clock, println, system::statistic};

use acts::Acts;
use victims::Victims;

suite! {
    on "cpus=1,2,4 timeout=120": [everything_at_once],
    on "cpus=1,2,4 nmi=240 timeout=120": [everything_at_once_under_nmis],
    on "icount nmi=17 timeout=120": [
        an_nmi_at_every_instruction_of_a_system_call,
        nmis_in_interrupts_and_faults,
    ],
    roles: [],
}

/// Acts of one run.
const ACTS: u64 = 5000;
/// Non-maskable interrupts of one run.
const NMIS: u64 = 50_000;

fn nmis() -> u64 {
    statistic(Statistic::NonMaskableInterrupts).expect("a counter")
}

/// Different instructions of the kernel's entry code that they hit.
fn places() -> u64 {
    statistic(Statistic::NonMaskableInterruptPlaces).expect("a counter")
}

/// One more attacker than CPUs does its acts until all are done and `enough`.
fn besiege(enough: impl Fn() -> bool + Send + Sync + Copy + 'static) {
    let seed = seed();
    let acts = Arc::new(Acts::new());
    let victims = Victims::start();
    let attackers = cpus::count() as u64 + 1;
    let each = scaled(ACTS) / attackers;
    let attack = |attacker| {
        let acts = Arc::clone(&acts);
        at(MIDDLE, move || {
            let mut random = Random::new(seed + attacker);
            let mut done = 0;
            while done < each || !enough() {
                acts.one(&mut random);
                done += 1;
            }
        })
    };
    let attackers: Vec<_> = (0..attackers).map(attack).collect();
    for attacker in attackers {
        assert_eq!(attacker.join(), Ok(()));
    }
    victims.end();
}

/// All acts, by several threads at once, at random.
fn everything_at_once() {
    besiege(|| true);
}

/// The same while non-maskable interrupts come to all CPUs; they come, and into the entry code too.
fn everything_at_once_under_nmis() {
    let wanted = scaled(NMIS);
    besiege(move || nmis() >= wanted);
    println!("{} interrupts, {} places in the entry code", nmis(), places());
    assert!(places() > 0);
}

code! {
    // So many calls, each with everything in its registers; what is wrong afterwards ends in a fault.
    // Which one is seen at the instruction: rcx, r11, rsp, rax, then all that are zero.
    checked_calls: [
        "push rdi", "mov [rsp - 64], rsp",
        "mov rbx, 0xffff900000000000", "wrgsbase rbx", "mov [rsp - 56], rbx",
        // Each turn takes a little longer or shorter than the last.
        "2: mov ecx, [rsp]", "and ecx, 63", "inc ecx", "5: loop 5b",
        "mov rdi, 0x5555555555555555", "mov rsi, rdi", "mov rdx, rdi", "mov r8, rdi",
        "mov r9, rdi", "mov r10, rdi", "mov r12, rdi", "mov r13, rdi", "mov r14, rdi",
        "mov r15, rdi", "mov rbx, rdi", "mov rbp, rdi", "mov rcx, rdi", "mov r11, rdi",
        "mov eax, 999",
        "push 0xcd5", "popfq",
        "syscall",
        "3:",
        "cld",
        "cmp rsp, [rsp - 64]", "jne 4f",
        "sub r11, 0xed7", "jnz 4f",
        "lea r11, [rip + 3b]", "cmp r11, rcx", "jne 4f",
        "rdgsbase r11", "cmp r11, [rsp - 56]", "jne 4f",
        "or rdi, rsi", "or rdi, rdx", "or rdi, r8", "or rdi, r9", "or rdi, r10", "or rdi, r12",
        "or rdi, r13", "or rdi, r14", "or rdi, r15", "or rdi, rbx", "or rdi, rbp", "jnz 4f",
        "cmp rax, 1", "jne 4f",
        "dec qword ptr [rsp]", "jnz 2b",
        "mov edi, 0x600d", "mov eax, 33", "syscall",
    ] ["4: ud2"];
    faults: ["mov rsp, rdi"] ["ud2"];
    steps: ["push 0x102", "popfq"] ["nop", "ud2"];
}

/// With instructions counted, the storm's interrupts come at exact instructions, and their phase against
/// a loop of calls drifts: in time each instruction of the way in and out is hit.
fn an_nmi_at_every_instruction_of_a_system_call() {
    /// What `syscall_entry` has, and `leave` on the way of a system call. Others are hit only where a
    /// program starts: hardly ever.
    const INSTRUCTIONS: u64 = 28 + 21;
    let program = Program::new(checked_calls);
    while places() < INSTRUCTIONS {
        assert_eq!(program.run(5000), ExitReason::Exited(0x600d));
        assert!(nmis() < NMIS, "{} places in {} interrupts", places(), nmis());
    }
    println!("{} interrupts, {} places in the entry code", nmis(), places());
}

/// The same for the other ways: timer, faults, single steps.
fn nmis_in_interrupts_and_faults() {
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let wanted = scaled(NMIS);
    // Its sleeps end by the timer, which interrupts the others in user mode.
    let sleeper = at(MIDDLE + 1, || {
        while !IS_OVER.load(Relaxed) {
            clock::sleep(20_000);
        }
    });
    let holder = at(MIDDLE, || {
        let mut pattern = General::new(9);
        while !IS_OVER.load(Relaxed) {
            assert!(pattern.hold(1000), "a register is not what it was");
        }
    });
    let caller = at(MIDDLE, || {
        let program = Program::new(checked_calls);
        while !IS_OVER.load(Relaxed) {
            assert_eq!(program.run(2000), ExitReason::Exited(0x600d));
        }
    });
    let faulter = at(MIDDLE, || {
        let programs = [Program::new(faults), Program::new(steps)];
        while !IS_OVER.load(Relaxed) {
            for program in &programs {
                assert!(matches!(program.run(1 << 63), ExitReason::Faulted(_)));
            }
        }
    });
    cpus::be_equal();
    cpus::until(|| nmis() >= wanted);
    IS_OVER.store(true, Relaxed);
    for thread in [sleeper, holder, caller, faulter] {
        assert_eq!(thread.join(), Ok(()));
    }
    println!("{} interrupts, {} places in the entry code", nmis(), places());
    assert!(places() > 20);
}
