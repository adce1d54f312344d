//! The registers themselves: what one thread leaves there no other one finds.

#[cfg(target_os = "none")]
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{bit, count, scaled},
    threads::MIDDLE,
    workers::{Own, Worker},
};
use orbital_user::{ExitReason, abi::Syscall, thread::yield_now};

/// What stands in no register by chance.
const SECRET: u64 = 0x5ec7_e75e_c7e7_0bad;

static FOUND: AtomicU64 = AtomicU64::new(0);

/// A system call with this number, these control registers and one word, and a pattern in all vector registers, unlike
/// any other `seed`'s: whether it is there afterwards. The second value is the call's result, the third its word.
#[cfg(target_os = "none")]
pub fn hold(seed: u64, syscall: Syscall, control: [u64; 4], word: u64) -> (bool, u64, u64) {
    let value = |n: u64| (seed << 8 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut values: [[u64; 2]; 32] = core::array::from_fn(|n| match n {
        0..16 => [value(2 * n as u64), value(2 * n as u64 + 1)],
        _ => [0; 2],
    });
    let (result, answer);
    // SAFETY: writes to `values` and the stack alone; all that changes is given as changed, but for two registers that
    // are put back. The calls that are made so change no memory.
    unsafe {
        asm!(
            "push rbx", "push rbp", "push r15",
            "movdqu xmm0, [r15 + 0]", "movdqu xmm1, [r15 + 16]", "movdqu xmm2, [r15 + 32]", "movdqu xmm3, [r15 + 48]",
            "movdqu xmm4, [r15 + 64]", "movdqu xmm5, [r15 + 80]", "movdqu xmm6, [r15 + 96]", "movdqu xmm7, [r15 + 112]",
            "movdqu xmm8, [r15 + 128]", "movdqu xmm9, [r15 + 144]", "movdqu xmm10, [r15 + 160]", "movdqu xmm11, [r15 + 176]",
            "movdqu xmm12, [r15 + 192]", "movdqu xmm13, [r15 + 208]", "movdqu xmm14, [r15 + 224]", "movdqu xmm15, [r15 + 240]",
            "syscall",
            "pop r15",
            "movdqu [r15 + 256], xmm0", "movdqu [r15 + 272], xmm1", "movdqu [r15 + 288], xmm2", "movdqu [r15 + 304], xmm3",
            "movdqu [r15 + 320], xmm4", "movdqu [r15 + 336], xmm5", "movdqu [r15 + 352], xmm6", "movdqu [r15 + 368], xmm7",
            "movdqu [r15 + 384], xmm8", "movdqu [r15 + 400], xmm9", "movdqu [r15 + 416], xmm10", "movdqu [r15 + 432], xmm11",
            "movdqu [r15 + 448], xmm12", "movdqu [r15 + 464], xmm13", "movdqu [r15 + 480], xmm14", "movdqu [r15 + 496], xmm15",
            "pop rbp", "pop rbx",
            inout("rax") syscall as u64 => result,
            inout("rdi") control[0] => _, inout("rsi") control[1] => _, inout("rdx") control[2] => _,
            inout("r8") control[3] => _, inout("r9") word => answer, inout("r15") &raw mut values => _,
            out("r10") _, out("r12") _, out("r13") _, out("r14") _, out("rcx") _, out("r11") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
        );
    }
    (values[..16] == values[16..], result, answer)
}

#[cfg(not(target_os = "none"))]
pub fn hold(_: u64, _: Syscall, _: [u64; 4], word: u64) -> (bool, u64, u64) {
    (true, 0, word)
}

/// Fills the lower half of each vector register with the secret, and enters the kernel with it.
fn fill() {
    #[cfg(target_os = "none")]
    // SAFETY: all that changes is given as changed; the call is a yield's, and keeps all but what is given.
    unsafe {
        asm!(
            "movq xmm0, {secret}", "movq xmm1, {secret}", "movq xmm2, {secret}", "movq xmm3, {secret}",
            "movq xmm4, {secret}", "movq xmm5, {secret}", "movq xmm6, {secret}", "movq xmm7, {secret}",
            "movq xmm8, {secret}", "movq xmm9, {secret}", "movq xmm10, {secret}", "movq xmm11, {secret}",
            "movq xmm12, {secret}", "movq xmm13, {secret}", "movq xmm14, {secret}", "movq xmm15, {secret}",
            secret = in(reg) SECRET,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
        );
    }
    yield_now();
}

/// The lower half of each vector register.
#[cfg(target_os = "none")]
fn read() -> [u64; 16] {
    let mut found = [0; 16];
    // SAFETY: writes to `found` alone.
    unsafe {
        asm!(
            "movq [{0}], xmm0", "movq [{0} + 8], xmm1", "movq [{0} + 16], xmm2", "movq [{0} + 24], xmm3",
            "movq [{0} + 32], xmm4", "movq [{0} + 40], xmm5", "movq [{0} + 48], xmm6", "movq [{0} + 56], xmm7",
            "movq [{0} + 64], xmm8", "movq [{0} + 72], xmm9", "movq [{0} + 80], xmm10", "movq [{0} + 88], xmm11",
            "movq [{0} + 96], xmm12", "movq [{0} + 104], xmm13", "movq [{0} + 112], xmm14", "movq [{0} + 120], xmm15",
            in(reg) &raw mut found,
        );
    }
    found
}

#[cfg(not(target_os = "none"))]
fn read() -> [u64; 16] {
    [SECRET; 16]
}

fn leaves(_: &Own) {
    fill();
}

fn looks(_: &Own) {
    let found = read().iter().filter(|value| **value == SECRET).count();
    FOUND.fetch_add(found as u64, SeqCst);
}

/// Threads that end with a secret in their registers, and threads that look for it first of all, one after the other on
/// each CPU.
pub fn nothing_is_left_for_the_next_thread() {
    // The looking itself works: what a thread has filled in it finds.
    fill();
    assert!(read().contains(&SECRET));
    for round in 0..scaled(500) {
        let cpu = bit(round as usize % count());
        let run =
            |body| assert_eq!(Worker::on(cpu, MIDDLE, body, 0).wait(), Ok(ExitReason::Exited(0)));
        run(leaves);
        run(looks);
    }
    assert_eq!(FOUND.load(SeqCst), 0);
}
