//! Exceptions with stacks of their own may come at any instruction of the kernel's, even where GS is
//! still a program's. `int` raises them here; the waker that the log's task would leave shows what
//! the handler sees.

use core::{
    arch::asm,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

use kernel::{arch, log};
use x86_64::registers::{
    control::{Cr4, Cr4Flags},
    debug::{
        BreakpointCondition, BreakpointSize, DebugAddressRegister, Dr0, Dr6, Dr6Flags, Dr7,
        Dr7Flags, Dr7Value,
    },
    model_specific::GsBase,
    rflags::{self, RFlags},
};

use super::{descriptors::interrupt_stacks, kernel_test};

/// What the last wake saw.
static WAKES: AtomicU64 = AtomicU64::new(0);
static STACK: AtomicU64 = AtomicU64::new(0);
static FLAGS: AtomicU64 = AtomicU64::new(0);
static GS: AtomicU64 = AtomicU64::new(0);

static SPY: RawWakerVTable = RawWakerVTable::new(|_| RAW, |_| spy(), |_| spy(), |_| {});
const RAW: RawWaker = RawWaker::new(core::ptr::null(), &SPY);

fn spy() {
    let local = 0_u8;
    STACK.store(&raw const local as u64, Relaxed);
    FLAGS.store(rflags::read_raw(), Relaxed);
    GS.store(GsBase::read().as_u64(), Relaxed);
    WAKES.fetch_add(1, Relaxed);
}

/// Waits until a handler may ask for a line again.
pub fn wait_for_a_line() {
    arch::clock::spin(arch::nmi::LINE_INTERVAL / 1000 + 1);
}

/// Lets the next line from a handler wake [`spy`].
fn watch_handlers() {
    wait_for_a_line();
    // SAFETY: the functions hold to the contract of wakers: there is nothing to count.
    let waker = unsafe { Waker::from_raw(RAW) };
    let mut drain = pin!(log::drain());
    let mut context = Context::from_waker(&waker);
    // Polled until it waits: lines that came earlier are written first.
    assert!(drain.as_mut().poll(&mut context) == Poll::Pending);
}

/// Runs an NMI's handler, with these bits of the flags set.
fn nmi_with(flags: RFlags) {
    // SAFETY: the handler returns with all registers as they were. The flags are put back; AC and
    // DF mean nothing in between.
    unsafe {
        asm!(
            "pushfq",
            "pushfq",
            "or [rsp], {flags}",
            "popfq",
            "int 2",
            "popfq",
            flags = in(reg) flags.bits(),
        )
    }
}

/// Runs an NMI's handler.
pub fn nmi() {
    nmi_with(RFlags::empty());
}

kernel_test! {
    /// An NMI's handler runs on a stack of its own, with interrupts off and this CPU's GS.
    fn an_nmi_has_its_own_stack() {
        watch_handlers();
        nmi();
        assert_eq!(WAKES.load(Relaxed), 1);
        let stack = STACK.load(Relaxed);
        let is_within = |top: u64| top - 16 * 1024 < stack && stack < top;
        assert!(interrupt_stacks().any(is_within), "{stack:#x}");
        assert_eq!(GS.load(Relaxed), GsBase::read().as_u64());
        assert_eq!(FLAGS.load(Relaxed) & RFlags::INTERRUPT_FLAG.bits(), 0);
    }
}

kernel_test! {
    /// Flags that a program may have set mean nothing to a handler: it counts upwards, and AC does
    /// not open user memory to it.
    fn handlers_start_with_clean_flags() {
        watch_handlers();
        nmi_with(RFlags::ALIGNMENT_CHECK | RFlags::DIRECTION_FLAG);
        assert_eq!(WAKES.load(Relaxed), 1);
        let flags = RFlags::from_bits_truncate(FLAGS.load(Relaxed));
        assert!(!flags.intersects(RFlags::ALIGNMENT_CHECK | RFlags::DIRECTION_FLAG), "{flags:?}");
        assert!(!rflags::read().intersects(RFlags::ALIGNMENT_CHECK | RFlags::DIRECTION_FLAG));
    }
}

kernel_test! {
    /// An NMI that comes while GS is a program's finds its CPU all the same, and puts it back.
    fn an_nmi_survives_any_gs() {
        let own = GsBase::read();
        for base in [0, 0x1000, 0x7fff_ffff_f000, 0xffff_8000_0000_0000, u64::MAX] {
            watch_handlers();
            let wakes = WAKES.load(Relaxed);
            let after: u64;
            // Nothing of Rust's may run with a foreign base.
            // SAFETY: between the two writes only the handler runs, which has a base of its own.
            unsafe {
                asm!(
                    "wrmsr",
                    "int 2",
                    "rdmsr",
                    "shl rdx, 32",
                    "or rax, rdx",
                    "mov {after}, rax",
                    "mov eax, {own_low:e}",
                    "mov edx, {own_high:e}",
                    "wrmsr",
                    after = out(reg) after,
                    own_low = in(reg) own.as_u64(),
                    own_high = in(reg) own.as_u64() >> 32,
                    in("ecx") 0xc000_0101_u32,
                    inout("rax") base & 0xffff_ffff => _,
                    inout("rdx") base >> 32 => _,
                )
            }
            assert_eq!(after, base, "the program's base was not put back");
            assert_eq!(GsBase::read(), own);
            assert_eq!(WAKES.load(Relaxed), wakes + 1);
            assert_eq!(GS.load(Relaxed), own.as_u64(), "the handler had the program's base");
            assert_eq!(arch::cpu_index(), 0);
        }
    }
}

kernel_test! {
    /// An exception on its own stack leaves every register as it was.
    fn own_stacks_keep_all_registers() {
        macro_rules! registers_after {
            ($interrupt:literal) => {{
                let mut values: [u64; 13] =
                    core::array::from_fn(|n| (n as u64 + 1) * 0x0123_4567_89ab);
                let before = values;
                // SAFETY: the handler returns; the registers are declared.
                unsafe {
                    asm!(
                        $interrupt,
                        inout("rax") values[0], inout("rcx") values[1], inout("rdx") values[2],
                        inout("rsi") values[3], inout("rdi") values[4], inout("r8") values[5],
                        inout("r9") values[6], inout("r10") values[7], inout("r11") values[8],
                        inout("r12") values[9], inout("r13") values[10], inout("r14") values[11],
                        inout("r15") values[12],
                    )
                }
                assert_eq!(values, before, $interrupt);
            }};
        }
        registers_after!("int 2");
        registers_after!("int 1");
    }
}

kernel_test! {
    /// A debug register that hits a variable of the kernel's is nobody's concern: it goes on.
    fn a_watchpoint_in_the_kernel_is_passed_over() {
        static WATCHED: AtomicU64 = AtomicU64::new(0);
        Dr0::write(&raw const WATCHED as u64);
        let mut control = Dr7Value::from(Dr7Flags::LOCAL_BREAKPOINT_0_ENABLE);
        control.set_condition(Dr0::NUM, BreakpointCondition::DataWrites);
        control.set_size(Dr0::NUM, BreakpointSize::Length8B);
        Dr7::write(control);
        for value in 1..=3 {
            WATCHED.store(value, Relaxed);
            assert_eq!(WATCHED.load(Relaxed), value);
        }
        Dr7::write(Dr7Value::from(Dr7Flags::empty()));
        assert!(Dr6::read().contains(Dr6Flags::TRAP0), "it never hit");
    }
}

kernel_test! {
    /// The kernel can reach user memory only where it says so: SMAP is not only on, it works.
    fn user_memory_is_out_of_reach() {
        use super::{address_space::Fixture, guards::is_readable};

        let fixture = Fixture::new();
        let address = 0x40_0000;
        fixture.map(address, arch::Access::ReadWrite);
        fixture.space.enter();
        let has_smap = Cr4::read().contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION);
        assert_eq!(is_readable(address), !has_smap);
        let mut byte = [0];
        arch::copy_from_user(&mut byte, address).expect("where it says so");
        assert!(!rflags::read().contains(RFlags::ALIGNMENT_CHECK), "the door is closed again");
        arch::copy_from_user(&mut byte, address + 4096).expect_err("there is nothing");
        assert!(!rflags::read().contains(RFlags::ALIGNMENT_CHECK), "after a failure too");
        assert_eq!(is_readable(address), !has_smap);
        fixture.leave();
        fixture.close();
    }
}
