//! What is drawn on the framebuffer that GRUB has set up is on the machine's screen.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::Stdio};

use xtask::{
    build::{
        cargo::{self, GUESTS, Goal, Profile},
        image::{self, Screen},
        system::{Inputs, take},
    },
    cli::{Boot, RunOptions, SystemOptions},
    machine::qemu::{self, Console, Files},
    setup::{packages, toolchain::Toolchain},
};

use crate::support::{monitor::Monitor, wait_for_line_with};

/// The test program that draws.
fn program() -> PathBuf {
    let toolchain = Toolchain::ensure().unwrap();
    let mut programs = cargo::build(&toolchain, Goal::Programs(&[GUESTS]), Profile::Debug).unwrap();
    take(&mut programs, "screen").unwrap()
}

#[track_caller]
fn is_drawn(boot: Boot) {
    let folder = tempfile::tempdir().unwrap();
    let [image, socket, picture] =
        ["orbital.iso", "monitor", "picture"].map(|name| folder.path().join(name));
    let options = RunOptions { boot, ..RunOptions::default() };
    packages::ensure(&packages::for_run(&options)).unwrap();
    let init = Some(program());
    let system =
        SystemOptions { init, append: "role=draws".to_owned(), ..SystemOptions::default() };
    let system = Inputs::read(&system).unwrap().build().unwrap();
    image::write(&system, Screen::Any, &image).unwrap();
    let mut command = qemu::command(&options, &Files::Image(image), Console::Output).unwrap();
    Monitor::listen(&mut command, &socket);
    let mut machine = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    wait_for_line_with(machine.stdout.take().unwrap(), |line| line.ends_with("drawn, 1024x768"));
    let mut monitor = Monitor::open(&socket);
    let picture = monitor.picture(&picture);
    monitor.quit();
    machine.wait().unwrap();
    let (width, height) = (picture.width, picture.height);
    assert_eq!((width, height), (1024, 768));
    for (left, top, colour) in [
        (0, 0, [255, 0, 0]),
        (width / 2, 0, [0, 255, 0]),
        (0, height / 2, [0, 0, 255]),
        (width / 2, height / 2, [255, 255, 255]),
    ] {
        // The corners of each quarter.
        for x in [left, left + width / 2 - 1] {
            for y in [top, top + height / 2 - 1] {
                assert_eq!(picture.at(x, y), colour, "{x} {y}");
            }
        }
    }
}

#[test]
fn a_picture_is_seen_after_grub_on_bios() {
    is_drawn(Boot::Iso);
}

#[test]
fn a_picture_is_seen_after_grub_on_uefi() {
    is_drawn(Boot::Uefi);
}
