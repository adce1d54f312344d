//! Starting the other CPUs, one after the other (Intel SDM volume 3, 9.4.4). One that does not come up
//! is reported and left out.

use core::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use arrayvec::ArrayVec;

use super::{
    acpi, apic, clock, cpu_area, entry, features, fpu, gdt, idle, idt, kernel_space, leftovers,
    timer, trampoline::Trampoline, window,
};
use crate::{
    boot::{BootInfo, MAX_MODULES},
    memory::{self, frame::Frame},
    percpu::{MAX_CPUS, PerCpu},
};

unsafe extern "Rust" {
    /// What a CPU does once it is up. In the kernel's `main.rs`.
    safe fn kernel_cpu_main() -> !;
}

/// Bytes of a CPU's kernel stack.
const STACK_BYTES: u64 = 32 * 1024;
/// Where the trampoline may stand.
const LOW: core::ops::Range<u64> = 0x1000..0xa_0000;
/// How long a CPU rests after INIT, in microseconds.
const INIT_REST: u64 = 10_000;
/// How long the first start-up interrupt gets before it is sent again, in microseconds.
const FIRST_TRY: u64 = 1_000;
/// How long a CPU may take to its first instruction here, in microseconds. Emulators run on busy hosts.
const PATIENCE: u64 = 5_000_000;

/// How many CPUs are up: their numbers are 0 to this, less one.
static ONLINE: AtomicUsize = AtomicUsize::new(1);
/// The number of the CPU that is being started, until it takes it or is given up: one that comes late
/// finds that it is not wanted, and one that came in time is waited for.
static STARTING: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
/// APIC numbers of the CPUs that are up.
static APIC_ID: PerCpu<AtomicUsize> = PerCpu::new([const { AtomicUsize::new(0) }; MAX_CPUS]);

/// How many CPUs are up.
#[inline]
pub fn cpu_count() -> usize {
    ONLINE.load(Ordering::Acquire)
}

/// The APIC number of CPU `cpu`.
pub fn apic_id(cpu: usize) -> u32 {
    APIC_ID.of(cpu).load(Ordering::Relaxed) as u32
}

/// Makes CPU `cpu`, another one, look at its queues.
pub fn kick(cpu: usize) {
    apic::send_kick(apic_id(cpu));
}

/// Set before the interrupts that stop the other CPUs are sent.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Whether a non-maskable interrupt means that this CPU shall stop.
pub fn is_stopping() -> bool {
    STOPPING.load(Ordering::Acquire)
}

/// Stops all other CPUs for ever, wherever they are: for a panic.
pub fn stop_others() {
    STOPPING.store(true, Ordering::Release);
    for cpu in (0..cpu_count()).filter(|cpu| *cpu != cpu_area::cpu_index()) {
        apic::send_nmi(apic_id(cpu));
    }
}

/// Starts all CPUs that firmware lists. Once, on the first.
pub fn start_others(boot_info: &BootInfo) {
    if start_listed(boot_info) == 0 {
        // No CPU starts on them from here on. One that is left out may be late.
        memory::add(kernel_space::boot_tables());
    }
}

/// Gives how many did not start.
fn start_listed(boot_info: &BootInfo) -> usize {
    let own = apic::id();
    APIC_ID.of(0).store(own as usize, Ordering::Relaxed);
    let processors = acpi::processors(boot_info.acpi);
    if processors.left_out > 0 {
        log::warn!("{} CPUs more than the kernel can use stay off", processors.left_out);
    }
    let Some(page) = trampoline_page(boot_info) else {
        log::warn!("no free page below 640 KiB: the other CPUs stay off");
        return 0;
    };
    let trampoline = Trampoline::new(page);
    let mut late = 0;
    for id in processors.apic_ids.into_iter().filter(|id| *id != own) {
        let cpu = cpu_count();
        trampoline.prepare(cpu, window::map_stack(STACK_BYTES));
        APIC_ID.of(cpu).store(id as usize, Ordering::Relaxed);
        STARTING.store(cpu, Ordering::Release);
        apic::send_init(id);
        clock::spin(INIT_REST);
        apic::send_start(id, trampoline.vector());
        if !wait_until_here(FIRST_TRY) {
            apic::send_start(id, trampoline.vector());
        }
        if wait_until_here(PATIENCE) || !take_number(cpu) {
            // From here on it runs nothing but what it has to.
            while cpu_count() == cpu {
                spin_loop();
            }
        } else {
            // So that it does not run into what the next one finds in the trampoline.
            apic::send_init(id);
            log::warn!("the CPU with APIC number {id} does not start: left out");
            late += 1;
        }
    }
    late
}

/// A free page in low memory, which the frame allocator never gets. A loader may have put a module
/// there.
pub fn trampoline_page(boot_info: &BootInfo) -> Option<Frame> {
    let modules: ArrayVec<_, MAX_MODULES> =
        boot_info.modules.iter().map(|module| module.start..module.end).collect();
    boot_info
        .usable(&modules)
        .map(|range| range.start.max(LOW.start)..range.end.min(LOW.end))
        .find(|range| range.start.next_multiple_of(4096) + 4096 <= range.end)
        .map(|range| Frame::containing(range.start.next_multiple_of(4096)))
}

/// Takes the number of the CPU that is being started: it does so itself, or who gives it up, but not
/// both.
fn take_number(cpu: usize) -> bool {
    STARTING.compare_exchange(cpu, NOBODY, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// Waits until the CPU that is being started has taken its number.
fn wait_until_here(microseconds: u64) -> bool {
    let end = clock::microseconds() + microseconds;
    while STARTING.load(Ordering::Acquire) != NOBODY {
        if clock::microseconds() >= end {
            return false;
        }
        spin_loop();
    }
    true
}

/// A CPU's first Rust: `cpu` is its number.
pub extern "C" fn start(cpu: usize) -> ! {
    if !take_number(cpu) {
        idle::stop();
    }
    cpu_area::area(cpu).install(cpu, own_stack_top());
    run(cpu)
}

/// The rest, which knows which CPU this is. A function of its own, so that nothing of it comes before `install`.
#[inline(never)]
fn run(cpu: usize) -> ! {
    features::init();
    leftovers::clear();
    gdt::init();
    idt::init();
    apic::init();
    timer::init();
    entry::init();
    fpu::init();
    ONLINE.store(cpu + 1, Ordering::Release);
    kernel_cpu_main()
}

/// The top of the stack that this runs on: it is aligned to its size.
fn own_stack_top() -> u64 {
    let here = 0_u8;
    (&raw const here as u64 | (STACK_BYTES - 1)) + 1
}
