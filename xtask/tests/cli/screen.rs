//! What is drawn on the framebuffer that GRUB has set up is on the machine's screen.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
};

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

use crate::support::wait_for_line_with;

/// QEMU's monitor.
struct Monitor(UnixStream);

impl Monitor {
    /// Reads up to the next prompt.
    fn answer(&mut self) -> String {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"(qemu) ") && self.0.read(&mut byte).expect("the monitor") > 0 {
            text.extend(byte);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn command(&mut self, line: &str) -> String {
        writeln!(self.0, "{line}").expect("the monitor");
        self.answer()
    }
}

/// A machine's screen: its size, and three bytes for each pixel (`ppm(5)`, the binary form).
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn read(file: &Path) -> Self {
        let bytes = fs::read(file).expect("a picture");
        let mut rest = &bytes[..];
        let mut word = || {
            let end = rest.iter().position(u8::is_ascii_whitespace).expect("a header");
            let word = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 1..];
            word
        };
        assert_eq!(word(), "P6");
        let [width, height, most] = [(); 3].map(|()| word().parse().expect("a number"));
        assert_eq!(most, 255);
        let pixels = rest.to_vec();
        assert_eq!(pixels.len(), 3 * width * height);
        Self { width, height, pixels }
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let start = 3 * (y * self.width + x);
        *self.pixels[start..].first_chunk().expect("a pixel")
    }
}

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
    command.arg("-monitor").arg(format!("unix:{},server=on,wait=off", socket.display()));
    let mut machine = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    wait_for_line_with(machine.stdout.take().unwrap(), |line| line.ends_with("drawn, 1024x768"));
    let mut monitor = Monitor(UnixStream::connect(socket).unwrap());
    monitor.answer();
    let said = monitor.command(&format!("screendump {}", picture.display()));
    assert!(!said.contains("Error"), "{said}");
    writeln!(monitor.0, "quit").unwrap();
    machine.wait().unwrap();
    let picture = Picture::read(&picture);
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
