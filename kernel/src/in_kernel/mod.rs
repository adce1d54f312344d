//! Tests inside the booted kernel, by Rust's custom test framework: what only the real machine can
//! show. The harness on the host reads their names out of the section `.orbital.tests` and boots one
//! by `case=NAME`; the lines are those of the guest programs:
//!
//! ```text
//! test NAME: start
//! test NAME: pass
//! ```
//! A test fails by a panic, as everything in the kernel does. Each has a machine of its own, so none
//! needs to leave it as it was. They run on the first CPU, right before init would be loaded: nothing
//! is scheduled yet, interrupts are off, and the kernel's own address space is loaded.
//!
//! | module | what |
//! |---|---|
//! | [`loaded`] | what the loader said, for the tests |
//! | [`walk`] | the page tables as the CPU reads them |
//! | [`frames`], [`heap`] | memory is given out once, runs out, and comes back |
//! | [`kernel_space`], [`guards`] | what the kernel's own tables map, and what not |
//! | [`address_space`], [`user_copy`] | a process's tables, and reads through them |
//! | [`descriptors`], [`protections`] | the CPU's tables and control registers |
//! | [`own_stacks`], [`fpu`] | exceptions with stacks of their own, vector registers |
//! | [`interrupts`] | interrupts at the worst moments |
//! | [`time`] | clock and timer |
//! | [`executor`], [`dispatch`] | tasks and wakers; the dispatcher, which never returns |
//! | [`objects`] | quotas and counts |
//! | [`diagnostics`] | log, symbols, backtrace |

mod address_space;
mod descriptors;
mod diagnostics;
mod dispatch;
mod executor;
mod fpu;
mod frames;
mod guards;
mod heap;
mod interrupts;
mod kernel_space;
mod loaded;
mod objects;
mod own_stacks;
mod protections;
mod time;
mod user_copy;
mod walk;

use kernel::{arch::power, boot::BootInfo, kprintln};

/// A test.
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its body.
    pub run: fn(),
}

/// Declares a test, on the machine that the words describe (`docs/testing.md`): collected by the framework, and named where the harness finds it. A section of
/// one's own counts as unsafe, but not on the account of the files that have tests.
#[allow_internal_unsafe]
macro_rules! kernel_test {
    ($(#[$meta:meta])* $(on $words:literal)? fn $name:ident() $body:block) => {
        $(#[$meta])*
        fn $name() $body

        mod $name {
            const LINE: &str = concat!(stringify!($name), $(" ", $words,)? "\n");

            #[used]
            #[unsafe(link_section = ".orbital.tests")]
            static NAME: [u8; LINE.len()] = *match LINE.as_bytes().first_chunk() {
                Some(bytes) => bytes,
                None => panic!("the length is the name's own"),
            };

            #[test_case]
            const CASE: crate::in_kernel::Case =
                crate::in_kernel::Case { name: stringify!($name), run: super::$name };
        }
    };
}
pub(crate) use kernel_test;

static SELECTED: spin::Once<&'static str> = spin::Once::new();

/// Runs the test that the command line names, and powers off; goes on where it names none.
pub fn select(boot_info: &BootInfo, run_tests: fn()) {
    if let Some(name) = boot_info.command_line.get("case") {
        SELECTED.call_once(|| alloc::boxed::Box::leak(name.into()));
        loaded::keep(boot_info);
        run_tests();
    }
}

/// Called by the framework with all tests.
pub fn run(cases: &[&Case]) {
    let name = *SELECTED.get().expect("a test was selected");
    let case = cases.iter().find(|case| case.name == name).expect("a test of this name");
    kprintln!("test {name}: start");
    (case.run)();
    pass()
}

/// The test passed: the machine ends. For tests that can't return.
pub fn pass() -> ! {
    kprintln!("test {}: pass", SELECTED.get().expect("a test was selected"));
    power::off(power::VERDICT_SUCCESS)
}
