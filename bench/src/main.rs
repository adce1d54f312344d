//! The benchmarks of `cargo xtask bench`, as user programs. This one is booted as init with
//! `bench=NAME` on the command line, measures that one thing, says what it found, and powers off.
//! Where a benchmark needs another process, the program starts itself again with `role=NAME`.
//!
//! Its machine counts instructions: the time-stamp counter goes up by one with each, so a figure is
//! exact, and the same in every run. The host's side (`xtask/src/bench/`) reads these lines of the log:
//!
//! ```text
//! bench NAME: overhead 4, per 2
//! bench NAME: samples 541 541 541
//! bench NAME: end, 3 samples
//! ```
//! `overhead` is what measuring itself takes, and is still in each sample; `per` is how many times a
//! sample does what the figure is about. What the figures mean stands with their names in
//! `xtask/src/bench/table.rs`.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod boot;
mod calls;
mod capabilities;
mod crowd;
mod faults;
mod handlers;
mod interrupts;
mod ipc;
mod mappings;
mod measure;
mod notifications;
mod processes;
mod roles;
mod stub;
mod threads;

use measure::Samples;
use orbital_user::{println, start::bootstrap, system};

orbital_user::entry!(main);

/// A benchmark's name, and what measures it.
type Benchmark = (&'static str, fn() -> Samples);

const BENCHMARKS: &[Benchmark] = &[
    ("overhead", measure::overhead_alone),
    ("syscall_null", calls::null),
    ("yield_switch", calls::yield_switch),
    ("ipc_call_reply_0", ipc::no_words),
    ("ipc_call_reply_8", ipc::eight_words),
    ("ipc_call_reply_64", ipc::sixty_four_words),
    ("ipc_call_reply_496", ipc::all_words),
    ("ipc_call_reply_cap", ipc::capability),
    ("ipc_call_reply_general_0", ipc::no_words),
    ("notify_round_trip", notifications::round_trip),
    ("page_map_unmap", mappings::map_unmap),
    ("page_fault_zero", faults::zero),
    ("fault_handle", handlers::fault),
    ("cap_copy_close", capabilities::copy_close),
    ("cap_revoke_per_child", capabilities::revoke),
    ("thread_create", threads::create),
    ("process_spawn", processes::spawn),
    ("boot_kernel", boot::kernel),
    ("bytes_blocked_thread", threads::bytes_blocked),
    ("irq_off_worst", interrupts::worst),
];

/// What the program does as another process.
const ROLES: &[(&str, fn())] = &[
    ("yielder", calls::yielder),
    ("server", ipc::server),
    ("cap_server", ipc::cap_server),
    ("faulter", handlers::faulter),
    ("hoarder", interrupts::hoarder),
    ("spendthrift", interrupts::spendthrift),
    ("member", crowd::member),
];

/// The value of `key` on the command line.
fn option(key: &str) -> Option<&'static str> {
    let words = bootstrap().command_line().split_whitespace();
    words.filter_map(|word| word.split_once('=')).find(|(name, _)| *name == key).map(|(_, v)| v)
}

fn find<T: Copy>(list: &[(&str, T)], name: &str) -> Option<T> {
    list.iter().find(|(other, _)| *other == name).map(|(_, found)| *found)
}

fn main() -> Result<(), orbital_user::Error> {
    // Before anything else: one of the benchmarks asks how long it took to get here.
    boot::note_start();
    if let Some(name) = option("role") {
        find(ROLES, name).expect("a role of this program")();
        return Ok(());
    }
    let name = option("bench").expect("bench=NAME on the command line");
    let Some(run) = find(BENCHMARKS, name) else {
        println!("bench {name}: there is no such benchmark");
        return Err(system::shutdown(1));
    };
    run().report(name);
    Err(system::shutdown(0))
}
