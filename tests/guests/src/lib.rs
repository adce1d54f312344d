//! What the test programs share. Each program is a suite: it is booted as init with `case=NAME` on
//! the command line, runs that one case, and powers off. Where a case needs other processes, the
//! program starts itself again in a role.
//!
//! The harness on the host reads the names, and the words behind them, out of the section
//! `.orbital.tests`, so it knows them without booting anything, and follows these lines of the log:
//!
//! ```text
//! test NAME: start
//! test NAME: pass
//! test NAME: fail: why
//! ```
//! A case that panics, faults or hangs prints no `pass`; the harness sees how the machine ended.
//!
//! `chaos` and `pattern` change vector registers behind the compiler's back, so they are for programs
//! whose compiled code has none.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod bare;
#[cfg(not(all(target_os = "none", target_feature = "sse")))]
pub mod chaos;
pub mod children;
pub mod counters;
pub mod cpus;
pub mod fuzz;
pub mod mapped;
pub mod objects;
#[cfg(not(all(target_os = "none", target_feature = "sse")))]
pub mod pattern;
pub mod places;
pub mod random;
pub mod raw;
pub mod scene;
pub mod threads;
pub mod tiny;
pub mod work;
pub mod workers;

use orbital_user::{Thread, println, start::bootstrap, system};

/// A case or a role: a function of the suite.
#[derive(Clone, Copy)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// The words behind a case's name: which machines it wants, and whether it is pinned.
    pub words: &'static str,
    /// What it does.
    pub run: fn(),
}

/// Makes this program a suite of cases and roles: functions of this crate without arguments. A case
/// fails by a panic. All lists but `roles` may be left out, and stand in this order:
///
/// - `cases: [...]` run on the first CPU alone, with all that they start; the machine has one.
/// - `parallel: [...]` run on all CPUs, in machines with 1, 2 and 4.
/// - `on "WORDS": [...]`, any number of these, run on all CPUs of the machines that the words
///   describe: see the table in `tests/src/wants.rs` on the host's side. The word `pinned` makes them
///   run on the first CPU alone.
#[macro_export]
macro_rules! suite {
    (
        $(cases: [$($case:ident),* $(,)?],)?
        $(parallel: [$($parallel:ident),* $(,)?],)?
        $(on $words:literal: [$($other:ident),* $(,)?],)*
        roles: [$($role:ident),* $(,)?] $(,)?
    ) => {
        $crate::suite!(@groups [$($role),*]
            $("pinned": [$($case),*],)?
            $("cpus=1,2,4": [$($parallel),*],)?
            $($words: [$($other),*],)*
        );
    };
    (@groups [$($role:ident),*] $($words:literal: [$($case:ident),*],)*) => {
        $($($crate::name_case!($case, $words);)*)*

        fn main() {
            $crate::run(
                &[$($($crate::Named { name: stringify!($case), words: $words, run: $case }),*),*],
                &[$($crate::Named { name: stringify!($role), words: "", run: $role }),*],
            );
        }

        orbital_user::entry!(main);
    };
}

/// Puts a case's name and words where the harness finds them.
#[doc(hidden)]
#[macro_export]
macro_rules! name_case {
    ($case:ident, $words:literal) => {
        const _: () = {
            const LINE: &str = concat!(stringify!($case), " ", $words, "\n");
            #[cfg(target_os = "none")]
            #[used]
            #[unsafe(link_section = ".orbital.tests")]
            static BYTES: [u8; LINE.len()] = *match LINE.as_bytes().first_chunk() {
                Some(bytes) => bytes,
                None => panic!("the length is the line's own"),
            };
            #[cfg(not(target_os = "none"))]
            let _ = LINE;
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
pub fn run(cases: &[Named], roles: &[Named]) {
    let find = |list: &[Named], name| list.iter().find(|named| named.name == name).copied();
    if let Some(name) = option("role") {
        let role = find(roles, name).expect("a role of this suite");
        return (role.run)();
    }
    let name = option("case").expect("case=NAME on the command line");
    let case = find(cases, name).expect("a case of this suite");
    if case.words.split_whitespace().any(|word| word == "pinned") {
        // Its order is that of one CPU, however many there are. Threads and children inherit this.
        own_thread().set_affinity(1).expect("a CPU to run on");
    }
    println!("test {name}: start");
    (case.run)();
    println!("test {name}: pass");
    println!("test {name}: fail: can't power off: {}", system::shutdown(0));
}
