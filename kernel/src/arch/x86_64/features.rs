//! Turns on what the CPU has: protections always, conveniences where they help.

use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

use raw_cpuid::CpuId;
use x86_64::registers::{
    control::{Cr0, Cr0Flags, Cr4, Cr4Flags},
    model_specific::Msr,
};

/// What this machine's CPUs have, beyond what the kernel insists on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// The kernel can't execute user pages.
    pub smep: bool,
    /// The kernel can't touch user pages but where it says so.
    pub smap: bool,
    /// User programs can't read descriptor-table addresses.
    pub umip: bool,
    /// User programs set their segment bases by themselves.
    pub fsgsbase: bool,
    /// A machine check is an exception, not the machine's end.
    pub machine_check: bool,
    /// State is saved by XSAVE rather than FXSAVE.
    pub xsave: bool,
    /// Pages of 1 GiB.
    pub huge_pages: bool,
    /// Translations of several address spaces side by side.
    pub pcid: bool,
    /// The interrupt controller is reached by MSRs.
    pub x2apic: bool,
    /// The timer takes a value of the time-stamp counter.
    pub tsc_deadline: bool,
}

/// What the CPU has, a bit each: one load and one test tell.
static FOUND: AtomicU16 = AtomicU16::new(0);

/// What the CPU has. All false before [`init`].
#[inline]
pub fn features() -> Features {
    let found = FOUND.load(Relaxed);
    let has = |bit: u32| found & 1 << bit != 0;
    Features {
        smep: has(0),
        smap: has(1),
        umip: has(2),
        fsgsbase: has(3),
        machine_check: has(4),
        xsave: has(5),
        huge_pages: has(6),
        pcid: has(7),
        x2apic: has(8),
        tsc_deadline: has(9),
    }
}

impl Features {
    /// In the order in which [`features`] reads them.
    fn bits(self) -> u16 {
        let all = [
            self.smep,
            self.smap,
            self.umip,
            self.fsgsbase,
            self.machine_check,
            self.xsave,
            self.huge_pages,
            self.pcid,
            self.x2apic,
            self.tsc_deadline,
        ];
        all.iter().rev().fold(0, |bits, has| bits << 1 | u16::from(*has))
    }
}

/// One past the highest physical address that page tables can name: the bits above are reserved (Intel SDM
/// volume 3, 4.1.4).
pub fn physical_end() -> u64 {
    let bits = CpuId::new().get_processor_capacity_feature_info();
    1 << bits.map_or(36, |bits| bits.physical_address_bits().min(52))
}

/// The attribute table (Intel SDM volume 3, 11.12): as after a reset, but that its second entry is
/// write-combining rather than write-through. The kernel's own mappings use neither.
fn set_attributes() {
    const TABLE: u32 = 0x277;
    const ENTRIES: u64 = 0x0007_0106_0007_0106;
    // SAFETY: every CPU with long mode has the table; the first, third and fourth entries, which are in use,
    // stay as they are.
    unsafe { Msr::new(TABLE).write(ENTRIES) };
}

/// Looks at the CPU and turns on everything. Once on each CPU.
pub fn init() {
    set_attributes();
    let cpuid = CpuId::new();
    let extended = cpuid.get_extended_feature_info();
    let extended = extended.as_ref();
    let found = Features {
        smep: extended.is_some_and(|e| e.has_smep()),
        smap: extended.is_some_and(|e| e.has_smap()),
        umip: extended.is_some_and(|e| e.has_umip()),
        fsgsbase: extended.is_some_and(|e| e.has_fsgsbase()),
        machine_check: cpuid.get_feature_info().is_some_and(|f| f.has_mce()),
        xsave: cpuid.get_feature_info().is_some_and(|f| f.has_xsave()),
        huge_pages: cpuid
            .get_extended_processor_and_feature_identifiers()
            .is_some_and(|f| f.has_1gib_pages()),
        pcid: cpuid.get_feature_info().is_some_and(|f| f.has_pcid()),
        x2apic: cpuid.get_feature_info().is_some_and(|f| f.has_x2apic()),
        tsc_deadline: cpuid.get_feature_info().is_some_and(|f| f.has_tsc_deadline()),
    };
    // What the first CPU has counts for all: whoever asks later gets one answer.
    let found = match FOUND.compare_exchange(0, found.bits(), Relaxed, Relaxed) {
        Ok(_) => found,
        Err(_) => features(),
    };
    let mut wanted = Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE | Cr4Flags::PAGE_GLOBAL;
    wanted.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, found.smep);
    wanted.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, found.smap);
    wanted.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, found.umip);
    wanted.set(Cr4Flags::FSGSBASE, found.fsgsbase);
    wanted.set(Cr4Flags::MACHINE_CHECK_EXCEPTION, found.machine_check);
    wanted.set(Cr4Flags::OSXSAVE, found.xsave);
    // The identifier that is loaded must be 0 then (SDM volume 3, 4.10.1): the boot tables' is.
    wanted.set(Cr4Flags::PCID, found.pcid);
    // SAFETY: each bit is set only where CPUID says that the CPU knows it. None takes anything
    // away from the kernel's own code: it lies in supervisor pages, touches user memory only
    // between `stac` and `clac`, and has no floating point.
    unsafe { Cr4::update(|flags| flags.insert(wanted)) };
    // SAFETY: write protection and native floating-point errors hold for user code; task-switched
    // makes its first floating-point instruction trap, and the kernel has none.
    unsafe {
        Cr0::update(|flags| {
            flags.remove(Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::ALIGNMENT_MASK);
            flags.insert(
                Cr0Flags::WRITE_PROTECT
                    | Cr0Flags::MONITOR_COPROCESSOR
                    | Cr0Flags::NUMERIC_ERROR
                    | Cr0Flags::TASK_SWITCHED
                    | Cr0Flags::ALIGNMENT_MASK,
            );
        });
    }
}
