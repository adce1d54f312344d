//! Other processes of a benchmark: this program again, in a role.
#![forbid(unsafe_code)]

use alloc::format;

use orbital_user::{
    program::Archive,
    spawn::{Child, Spawn},
};

/// Its own priority, which is init's: no process waits for another but by what it does.
const PRIORITY: u8 = u8::MAX;

/// A file of the archive that the host has put together.
pub fn file(name: &str) -> &'static [u8] {
    Archive::open().expect("the archive of programs").find(name).expect("a program in the archive")
}

/// Starts this program in `role`, with what `with` adds.
pub fn start(role: &str, with: impl FnOnce(Spawn<'_>) -> Spawn<'_>) -> Child {
    let arguments = format!("role={role}");
    let spawn = Spawn::new(role).arguments(&arguments).priority(PRIORITY);
    with(spawn).start(file("init")).expect("a process")
}

/// Ends it, and waits until it is gone.
pub fn end(child: &Child) {
    child.process.kill().expect("a process that runs");
    child.wait().expect("its end");
}
