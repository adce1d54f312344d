//! What the test programs share. Each program is a suite: it is booted as init with `case=NAME` on
//! the command line, runs that one case, and powers off. Where a case needs other processes, the
//! program starts itself again in a role.
//!
//! The harness on the host reads the names out of the section `.orbital.tests`, so it knows them
//! without booting anything, and follows these lines of the log:
//!
//! ```text
//! test NAME: start
//! test NAME: pass
//! test NAME: fail: why
//! ```
//! A case that panics, faults or hangs prints no `pass`; the harness sees how the machine ended.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod bare;
pub mod children;
pub mod counters;
pub mod cpus;
pub mod fuzz;
pub mod mapped;
pub mod objects;
pub mod pattern;
pub mod places;
pub mod random;
pub mod raw;
pub mod threads;
pub mod workers;

use orbital_user::{Thread, println, start::bootstrap, system};

/// A function with its name.
pub type Named = (&'static str, fn());

/// Makes this program a suite of cases and roles: functions of this crate without arguments. A case
/// fails by a panic. Cases run on the first CPU alone, with all that they start; parallel ones on all
/// that there are.
#[macro_export]
macro_rules! suite {
    (
        cases: [$($case:ident),* $(,)?],
        $(parallel: [$($parallel:ident),* $(,)?],)?
        roles: [$($role:ident),* $(,)?] $(,)?
    ) => {
        $($crate::name_case!($case);)*
        $($($crate::name_case!($parallel);)*)?

        fn main() {
            $crate::run(
                &[$((stringify!($case), $case as fn())),*],
                &[$($((stringify!($parallel), $parallel as fn())),*)?],
                &[$((stringify!($role), $role as fn())),*],
            );
        }

        orbital_user::entry!(main);
    };
}

/// Puts a case's name where the harness finds it.
#[doc(hidden)]
#[macro_export]
macro_rules! name_case {
    ($case:ident) => {
        const _: () = {
            const NAME: &str = concat!(stringify!($case), "\n");
            #[cfg(target_os = "none")]
            #[used]
            #[unsafe(link_section = ".orbital.tests")]
            static BYTES: [u8; NAME.len()] = *match NAME.as_bytes().first_chunk() {
                Some(bytes) => bytes,
                None => panic!("the length is the name's own"),
            };
            #[cfg(not(target_os = "none"))]
            let _ = NAME;
        };
    };
}

/// The first thread of this process; not to be dropped.
pub fn own_thread() -> core::mem::ManuallyDrop<Thread> {
    core::mem::ManuallyDrop::new(Thread::from_slot(bootstrap().thread))
}

/// The value of `key` on the command line.
pub fn option(key: &str) -> Option<&'static str> {
    let words = bootstrap().command_line().split_whitespace();
    words.filter_map(|word| word.split_once('=')).find(|(name, _)| *name == key).map(|(_, v)| v)
}

/// Runs the case or the role that the command line names.
///
/// # Panics
/// When it names none of them.
pub fn run(cases: &[Named], parallel: &[Named], roles: &[Named]) {
    let find = |list: &[Named], name| {
        list.iter().find(|(other, _)| *other == name).map(|(_, function)| *function)
    };
    if let Some(name) = option("role") {
        let role = find(roles, name).expect("a role of this suite");
        return role();
    }
    let name = option("case").expect("case=NAME on the command line");
    let case = match find(cases, name) {
        Some(case) => {
            // Its order is that of one CPU, however many there are. Threads and children inherit this.
            own_thread().set_affinity(1).expect("a CPU to run on");
            case
        }
        None => find(parallel, name).expect("a case of this suite"),
    };
    println!("test {name}: start");
    case();
    println!("test {name}: pass");
    println!("test {name}: fail: can't power off: {}", system::shutdown(0));
}
