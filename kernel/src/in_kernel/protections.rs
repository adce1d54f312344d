//! Control registers and model-specific registers: everything that the CPU offers for protection is
//! on.
#![forbid(unsafe_code)]

use raw_cpuid::CpuId;
use x86_64::registers::{
    control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags},
    debug::Dr7,
    model_specific::{FsBase, KernelGsBase, LStar, SFMask, Star},
    rflags::{self, RFlags},
};

use super::{descriptors, kernel_test, loaded};

kernel_test! {
    /// The kernel can't write what is read-only, and no-execute and system calls are on.
    fn write_protection_and_no_execute_are_on() {
        let wanted = Cr0Flags::WRITE_PROTECT | Cr0Flags::PAGING | Cr0Flags::NUMERIC_ERROR;
        assert!(Cr0::read().contains(wanted), "{:?}", Cr0::read());
        assert!(!Cr0::read().intersects(Cr0Flags::CACHE_DISABLE | Cr0Flags::NOT_WRITE_THROUGH));
        let wanted = EferFlags::NO_EXECUTE_ENABLE
            | EferFlags::LONG_MODE_ACTIVE
            | EferFlags::SYSTEM_CALL_EXTENSIONS;
        assert!(Efer::read().contains(wanted), "{:?}", Efer::read());
    }
}

kernel_test! {
    /// SMEP, SMAP, UMIP and FSGSBASE are on exactly where the CPU has them.
    fn protections_are_on_where_the_cpu_has_them() {
        let cpuid = CpuId::new();
        let info = cpuid.get_extended_feature_info();
        let info = info.as_ref();
        for (flag, has) in [
            (Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, info.is_some_and(|i| i.has_smep())),
            (Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, info.is_some_and(|i| i.has_smap())),
            (Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, info.is_some_and(|i| i.has_umip())),
            (Cr4Flags::FSGSBASE, info.is_some_and(|i| i.has_fsgsbase())),
        ] {
            assert_eq!(Cr4::read().contains(flag), has, "{flag:?}");
        }
        assert!(Cr4::read().contains(Cr4Flags::PAGE_GLOBAL | Cr4Flags::PHYSICAL_ADDRESS_EXTENSION));
    }
}

kernel_test! {
    /// Nothing is on that the kernel did not turn on, whatever firmware and loader had set. Machine checks
    /// are exceptions, not the machine's silent end.
    fn control_registers_hold_what_the_kernel_set_and_no_more() {
        let features = CpuId::new().get_feature_info().expect("leaf 1");
        assert_eq!(Cr4::read().contains(Cr4Flags::MACHINE_CHECK_EXCEPTION), features.has_mce());
        let known = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION
            | Cr4Flags::PAGE_GLOBAL
            | Cr4Flags::MACHINE_CHECK_EXCEPTION
            | Cr4Flags::OSFXSR
            | Cr4Flags::OSXMMEXCPT_ENABLE
            | Cr4Flags::OSXSAVE
            | Cr4Flags::FSGSBASE
            | Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION
            | Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION
            | Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION;
        assert_eq!(Cr4::read_raw() & !known.bits(), 0, "{:?}", Cr4::read());
        let efer = EferFlags::NO_EXECUTE_ENABLE
            | EferFlags::LONG_MODE_ENABLE
            | EferFlags::LONG_MODE_ACTIVE
            | EferFlags::SYSTEM_CALL_EXTENSIONS;
        assert_eq!(Efer::read_raw(), efer.bits(), "{:?}", Efer::read());
        let cr0 = Cr0Flags::PAGING
            | Cr0Flags::ALIGNMENT_MASK
            | Cr0Flags::WRITE_PROTECT
            | Cr0Flags::NUMERIC_ERROR
            | Cr0Flags::EXTENSION_TYPE
            | Cr0Flags::TASK_SWITCHED
            | Cr0Flags::MONITOR_COPROCESSOR
            | Cr0Flags::PROTECTED_MODE_ENABLE;
        assert_eq!(Cr0::read_raw(), cr0.bits(), "{:?}", Cr0::read());
    }
}

kernel_test! {
    /// Registers that programs would meet hold nothing of firmware's or the loader's: no breakpoint, no
    /// segment base, no way in by `sysenter`.
    fn nothing_is_left_of_those_who_came_before() {
        assert_eq!(Dr7::read_raw() & 0xff, 0, "a breakpoint is on");
        assert_eq!(FsBase::read().as_u64(), 0);
        assert_eq!(KernelGsBase::read().as_u64(), 0);
        assert_eq!(descriptors::model_specific(0x174), 0, "sysenter leads somewhere");
        assert_eq!(descriptors::model_specific(0xc000_0083), 0, "syscall from 32 bits leads somewhere");
    }
}

kernel_test! {
    /// The first floating-point instruction of a thread traps, and alignment checks are programs' own
    /// affair.
    fn floating_point_traps_at_first() {
        let wanted =
            Cr0Flags::TASK_SWITCHED | Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::ALIGNMENT_MASK;
        assert!(Cr0::read().contains(wanted), "{:?}", Cr0::read());
        assert!(!Cr0::read().contains(Cr0Flags::EMULATE_COPROCESSOR));
        assert!(Cr4::read().contains(Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE));
    }
}

kernel_test! {
    /// System calls come to the kernel's code with every flag cleared that could harm it.
    fn system_calls_enter_with_clean_flags() {
        assert!(loaded::text().contains(&LStar::read().as_u64()));
        let wanted = RFlags::INTERRUPT_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::NESTED_TASK
            | RFlags::IOPL_LOW
            | RFlags::IOPL_HIGH;
        assert!(SFMask::read().contains(wanted), "{:?}", SFMask::read());
        let (user_code, user_data, kernel_code, kernel_data) = Star::read();
        assert_eq!((user_code.0, user_data.0), (0x23, 0x1b));
        assert_eq!((kernel_code.0, kernel_data.0), (0x08, 0x10));
    }
}

kernel_test! {
    /// The kernel runs with interrupts off, without access to user memory, and counts upwards.
    fn the_kernel_runs_with_clean_flags() {
        let harmful = RFlags::INTERRUPT_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::DIRECTION_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::NESTED_TASK;
        assert!(!rflags::read().intersects(harmful), "{:?}", rflags::read());
    }
}
