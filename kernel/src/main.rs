//! The kernel's boot order, on one screen.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(all(test, target_os = "none"), allow(internal_features))]
#![cfg_attr(all(test, target_os = "none"), feature(allow_internal_unsafe, custom_test_frameworks))]
#![cfg_attr(all(test, target_os = "none"), test_runner(in_kernel::run))]
#![cfg_attr(all(test, target_os = "none"), reexport_test_harness_main = "run_tests")]

#[cfg(all(test, target_os = "none"))]
extern crate alloc;

#[cfg(all(test, target_os = "none"))]
mod in_kernel;

/// Called by the boot code, on the first CPU, with what the loader said.
#[cfg(target_os = "none")]
#[unsafe(no_mangle)]
fn kernel_main(boot_info: &kernel::boot::BootInfo) -> ! {
    use kernel::{arch, framebuffer, ipc, loader, log, sched, self_test, shutdown, trace};

    log::init(&boot_info.command_line);
    arch::init_memory(boot_info);
    arch::init_descriptors();
    arch::init_timer();
    arch::init_user_entry();
    log::init_deferred();
    loader::load_symbols(boot_info);
    trace::init(&boot_info.command_line);
    trace::init_cpu();
    boot_info.describe();
    framebuffer::init(boot_info);
    sched::init();
    arch::start_others(boot_info);
    arch::init_lines(boot_info);
    ipc::init(&boot_info.command_line);
    self_test::run(&boot_info.command_line);
    #[cfg(test)]
    in_kernel::select(boot_info, run_tests);
    match loader::load_init(boot_info) {
        Ok((init, thread)) => start(init, &thread),
        Err(error) => shutdown::init_failed(error),
    }
}

/// Called by the start-up code on every other CPU, once it is set up.
#[cfg(target_os = "none")]
#[unsafe(no_mangle)]
fn kernel_cpu_main() -> ! {
    kernel::trace::init_cpu();
    kernel::sched::init();
    kernel::sched::dispatch::start()
}

/// Starts init, the kernel's own tasks, and the dispatcher.
#[cfg(target_os = "none")]
fn start(init: kernel::object::Ref<kernel::process::Process>, thread: &kernel::thread::Tcb) -> ! {
    use kernel::{ipc, log, sched, shutdown, vm::reclaim};

    // Nobody waits for these: what they do is short, and comes from the machine itself.
    let started = sched::spawn(u8::MAX, log::drain())
        .and_then(|_| sched::spawn(0, reclaim::run()))
        .map(reclaim::set_task)
        .and_then(|()| ipc::start_tasks())
        .and_then(|_| sched::spawn(u8::MAX, shutdown::watch(init)))
        .and_then(|_| thread.start());
    match started {
        Ok(()) => sched::dispatch::start(),
        Err(error) => shutdown::init_failed(error),
    }
}

/// The kernel is no program of the host's.
#[cfg(not(target_os = "none"))]
fn main() {}
