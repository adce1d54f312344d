//! Other processes of a case: this program again, in a role.
#![forbid(unsafe_code)]

use alloc::{format, string::String};

use orbital_user::{
    ExitReason,
    program::Archive,
    spawn::{Child, Spawn},
    sync::Mutex,
};

/// This program's file.
pub fn own_file() -> &'static [u8] {
    // Each time that the archive is opened, it is mapped for good.
    static FILE: Mutex<Option<&[u8]>> = Mutex::new(None);
    FILE.lock().get_or_insert_with(|| {
        let archive = Archive::open().expect("the archive of programs");
        // The harness boots the suite as init.
        archive.find("init").expect("this program in the archive")
    })
}

/// Starts this program in `role`, with what `with` adds.
pub fn start(role: &str, with: impl FnOnce(Spawn<'_>) -> Spawn<'_>) -> Child {
    start_with_arguments(role, "", with)
}

/// The same, with more words on its command line.
pub fn start_with_arguments(
    role: &str,
    arguments: &str,
    with: impl FnOnce(Spawn<'_>) -> Spawn<'_>,
) -> Child {
    let arguments: String = format!("role={role} {arguments}");
    let name = &role[..role.len().min(16)];
    with(Spawn::new(name).arguments(&arguments)).start(own_file()).expect("a child process")
}

/// Waits for the end of a child that should succeed.
#[track_caller]
pub fn succeed(child: &Child) {
    assert_eq!(child.wait(), Ok(ExitReason::Exited(0)));
}
