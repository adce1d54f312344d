//! Tests inside the booted kernel, by Rust's custom test framework: what only the real machine can
//! show. The harness on the host reads their names out of the section `.orbital.tests` and boots one
//! by `case=NAME`; the lines are those of the guest programs:
//!
//! ```text
//! test NAME: start
//! test NAME: pass
//! ```
//! A test fails by a panic, as everything in the kernel does.

mod memory;

use kernel::{arch::power, boot::CommandLine, kprintln};

/// A test.
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its body.
    pub run: fn(),
}

/// Declares a test: collected by the framework, and named where the harness finds it.
macro_rules! kernel_test {
    ($(#[$meta:meta])* fn $name:ident() $body:block) => {
        $(#[$meta])*
        fn $name() $body

        mod $name {
            const LINE: &str = concat!(stringify!($name), "\n");

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
pub fn select(command_line: &CommandLine, run_tests: fn()) {
    if let Some(name) = command_line.get("case") {
        SELECTED.call_once(|| alloc::boxed::Box::leak(name.into()));
        run_tests();
    }
}

/// Called by the framework with all tests.
pub fn run(cases: &[&Case]) {
    let name = *SELECTED.get().expect("a test was selected");
    let case = cases.iter().find(|case| case.name == name).expect("a test of this name");
    kprintln!("test {name}: start");
    (case.run)();
    kprintln!("test {name}: pass");
    power::off(power::VERDICT_SUCCESS)
}
