//! Which address space each CPU has loaded. A CPU keeps one until it runs a thread of another process,
//! or sleeps; whoever changes tables or ends a process looks at that
//! ([`AddressSpace::loaded`](crate::vm::AddressSpace::loaded)).
#![forbid(unsafe_code)]

use core::cell::RefCell;

use crate::{
    arch::PageTables,
    object::Ref,
    percpu::{MAX_CPUS, PerCpu},
    process::Process,
};

static LOADED: PerCpu<RefCell<Option<Ref<Process>>>> =
    PerCpu::new([const { RefCell::new(None) }; MAX_CPUS]);

/// Loads the address space of `process`, unless it is loaded.
pub fn enter(process: &Ref<Process>) {
    let mut loaded = LOADED.here().borrow_mut();
    if loaded.as_ref().is_some_and(|loaded| loaded.is(process)) {
        return;
    }
    process.space.enter();
    let previous = loaded.replace(process.clone());
    drop(loaded);
    if let Some(previous) = previous {
        previous.space.left();
    }
}

/// Loads the kernel's own tables: nobody waits for this CPU to forget a translation.
pub fn leave() {
    let previous = LOADED.here().take();
    if let Some(previous) = previous {
        PageTables::load_kernel();
        previous.space.left();
    }
}
