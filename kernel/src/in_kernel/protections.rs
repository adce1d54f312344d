//! Control registers and model-specific registers: everything that the CPU offers for protection is
//! on.
#![forbid(unsafe_code)]

use raw_cpuid::CpuId;
use x86_64::registers::{
    control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags},
    model_specific::{LStar, SFMask, Star},
    rflags::{self, RFlags},
};

use super::{kernel_test, loaded};

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
