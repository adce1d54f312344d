//! The ways of booting and the machines: the demo runs to its end on each. What a machine lacks is
//! said in a clear line.
#![forbid(unsafe_code)]

use std::process::{Command, Stdio};

use crate::support::{Ran, direct, run};
use xtask::{
    cli::{Boot, RunOptions},
    machine::qemu::{self, Console, Files},
};

#[track_caller]
fn passes(words: &[&str]) -> Ran {
    let ran = run(words);
    assert_eq!(ran.status, 0, "{words:?}: {ran:?}");
    assert!(ran.stdout.contains("Orbital kernel starting..."), "{words:?}: {ran:?}");
    assert!(ran.stdout.contains("init: all checks passed"), "{words:?}: {ran:?}");
    ran
}

#[test]
fn grub_on_bios() {
    assert!(passes(&[]).stdout.contains("started by GRUB"));
}

#[test]
fn grub_on_uefi() {
    assert!(passes(&["--boot", "uefi"]).stdout.contains("started by GRUB"));
}

#[test]
fn qemu_itself() {
    assert!(passes(&["--boot", "direct"]).stdout.contains("started by PVH"));
}

#[test]
fn the_optimised_kernel() {
    passes(&["--release"]);
}

#[test]
fn little_and_much_memory() {
    for boot in ["iso", "direct"] {
        passes(&["--memory", "64M", "--boot", boot]);
        // Some of it lies above 4 GiB.
        passes(&["--memory", "4G", "--boot", boot]);
    }
}

#[test]
fn other_machines_and_more_cpus() {
    passes(&["--machine", "pc"]);
    passes(&["--machine", "microvm", "--boot", "direct"]);
    passes(&["--smp", "4"]);
}

#[test]
fn the_command_line_comes_as_it_was_typed_by_either_loader() {
    for boot in ["iso", "direct"] {
        let append = r#"log=boot=debug,init=debug exec="echo a; echo b" $x"#;
        let ran = run(&["--boot", boot, "--append", append]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.stdout.contains("\na\nb\n"), "{ran:?}");
        let line = ran.stdout.lines().find(|line| line.contains("command line:")).unwrap();
        // GRUB moves the quote before the word; the kernel's tests show that both mean the same.
        assert!(line.contains("log=boot=debug,init=debug "), "{line}");
        assert!(line.contains("echo a; echo b\"") && line.ends_with("$x"), "{line}");
    }
}

#[test]
fn a_module_reaches_the_archive_once() {
    let ran = run(&["--boot", "direct", "--module", "/dev/null=one", "--module", "/dev/null=one"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    passes(&["--boot", "direct", "--module", "/dev/null=one"]);
}

#[test]
fn too_little_memory_is_said_in_a_line() {
    let ran = run(&["--boot", "direct", "--memory", "4M"]);
    assert_ne!(ran.status, 0, "{ran:?}");
    assert_ne!(ran.status, 4, "a hang: {ran:?}");
}

#[test]
fn an_image_boots_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("orbital.iso");
    let ran = run(&["image", "-o", image.to_str().unwrap(), "--append", "log=boot=info"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let ran = boot(&Files::Image(image), Boot::Iso, &[]);
    assert_eq!(ran.status, 0x10 << 1 | 1, "{ran:?}");
    assert!(ran.stdout.contains("command line: shell=off log=boot=info"), "{ran:?}");
    assert!(ran.stdout.contains("init: all checks passed"), "{ran:?}");
}

#[test]
fn a_cpu_without_long_mode_or_nx_is_said_in_a_line() {
    let direct = direct();
    let ran = boot(&direct, Boot::Direct, &["-cpu", "qemu32"]);
    assert!(ran.stdout.contains("this CPU has no 64-bit mode"), "{ran:?}");
    let ran = boot(&direct, Boot::Direct, &["-cpu", "max,nx=off"]);
    assert!(ran.stdout.contains("this CPU has no NX bit"), "{ran:?}");
}

#[test]
fn a_cpu_without_the_newer_protections_runs_too() {
    for cpu in ["qemu64", "max,smap=off,smep=off,umip=off", "max,xsave=off,avx=off,pdpe1gb=off"] {
        let ran = boot(&direct(), Boot::Direct, &["-cpu", cpu]);
        assert!(ran.stdout.contains("init: all checks passed"), "{cpu}: {ran:?}");
    }
}

#[test]
fn without_a_module_there_is_a_clear_line() {
    let Files::Direct { kernel, command_line, .. } = direct() else { unreachable!() };
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "q35", "-cpu", "max", "-m", "128M", "-nodefaults", "-no-reboot"]);
    command.args(["-display", "none", "-serial", "stdio", "-append", &command_line]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
    command.arg("-kernel").arg(kernel).stdin(Stdio::null());
    let ran: Ran = command.output().unwrap().into();
    assert!(ran.status > 0x20, "{ran:?}");
    assert!(ran.stdout.contains("module"), "{ran:?}");
}

/// Boots with more of QEMU's options; gives QEMU's own exit status.
fn boot(files: &Files, boot: Boot, more: &[&str]) -> Ran {
    let options = RunOptions { boot, ..RunOptions::default() };
    let mut command = qemu::command(&options, files, Console::Output).unwrap();
    command.args(more).stdin(Stdio::null()).output().unwrap().into()
}
