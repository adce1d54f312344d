//! Programs that are written in C.
#![forbid(unsafe_code)]

use std::{path::Path, process::Command};

use crate::support::run;

/// Builds the example with the compiler that links the host's programs, too.
fn build(sources: &Path, program: &Path) {
    let built = Command::new("cc")
        .args(["-static", "-nostdlib", "-ffreestanding", "-fno-pie", "-no-pie"])
        .args(["-fno-stack-protector", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o"])
        .arg(program)
        .args([sources.join("echo.c"), sources.join("orbital.c")])
        .output()
        .expect("a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

#[test]
fn the_example_runs_as_init() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("echo");
    build(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../user/c"), &program);
    let ran = run(&["--boot", "direct", "--init", program.to_str().unwrap()]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.contains(" INFO  init: an answer in C\n"), "{ran:?}");
}
