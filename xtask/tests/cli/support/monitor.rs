//! QEMU's monitor, and pictures of a machine's screen.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
};

/// QEMU's monitor.
pub struct Monitor(UnixStream);

impl Monitor {
    /// Has the machine of `command` listen there.
    pub fn listen(command: &mut Command, socket: &Path) {
        command.arg("-monitor").arg(format!("unix:{},server=on,wait=off", socket.display()));
    }

    /// The monitor of a machine that runs.
    pub fn open(socket: &Path) -> Self {
        let mut monitor = Self(UnixStream::connect(socket).expect("the monitor"));
        monitor.answer();
        monitor
    }

    /// Reads up to the next prompt.
    fn answer(&mut self) -> String {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"(qemu) ") && self.0.read(&mut byte).expect("the monitor") > 0 {
            text.extend(byte);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Gives a command and waits until it is done, or the machine has ended; gives what it said.
    pub fn command(&mut self, line: &str) -> String {
        writeln!(self.0, "{line}").expect("the monitor");
        self.answer()
    }

    /// Takes a picture of the screen.
    pub fn picture(&mut self, file: &Path) -> Picture {
        let said = self.command(&format!("screendump {}", file.display()));
        assert!(!said.contains("Error"), "{said}");
        Picture::read(file)
    }

    /// Ends the machine, and waits for that: one that finds the connection closed need not read what came before.
    pub fn quit(mut self) {
        self.command("quit");
    }
}

/// A machine's screen: its size, and three bytes for each pixel (`ppm(5)`, the binary form).
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
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

    /// A pixel's red, green and blue.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let start = 3 * (y * self.width + x);
        *self.pixels[start..].first_chunk().expect("a pixel")
    }
}
