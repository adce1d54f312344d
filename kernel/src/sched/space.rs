//! Which address space each CPU has loaded. A CPU keeps one until it runs a thread of another process,
//! or sleeps; whoever changes tables or ends a process looks at that
//! ([`AddressSpace::loaded`](crate::vm::AddressSpace::loaded)).

use core::{cell::Cell, ptr::NonNull};

use crate::{
    arch::{self, PageTables},
    percpu::{MAX_CPUS, PerCpu},
    vm::AddressSpace,
};

/// Not counted: the end of a process waits until no CPU has its address space loaded, and keeps it until then.
static LOADED: PerCpu<Cell<Option<NonNull<AddressSpace>>>> =
    PerCpu::new([const { Cell::new(None) }; MAX_CPUS]);

/// Loads `space`, unless it is loaded.
#[inline(always)]
pub fn enter(space: &AddressSpace) {
    let cpu = arch::cpu_index();
    let own = Some(NonNull::from(space));
    let loaded = LOADED.here();
    if loaded.get() == own {
        return;
    }
    space.enter(cpu);
    left(loaded.replace(own), cpu);
}

/// Loads the kernel's own tables: nobody waits for this CPU to forget a translation.
pub fn leave() {
    let previous = LOADED.here().take();
    if previous.is_some() {
        PageTables::load_kernel();
        left(previous, arch::cpu_index());
    }
}

fn left(previous: Option<NonNull<AddressSpace>>, cpu: usize) {
    if let Some(previous) = previous {
        // SAFETY: it is kept as long as this CPU counts as one that has it loaded; that is until here.
        unsafe { AddressSpace::left(previous, cpu) };
    }
}
