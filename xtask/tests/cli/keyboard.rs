//! The keyboard and the screen of a machine that GRUB has booted: keys are pressed and the screen is looked at through QEMU's
//! monitor.
#![forbid(unsafe_code)]

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use orbital_init::console::{
    acts::Style,
    screen::{FONT, Layout, Screen},
    text,
};
use xtask::{
    build::{
        image::{self, Screen as Mode},
        system::Inputs,
    },
    cli::{RunOptions, SystemOptions},
    machine::qemu::{self, Console, Files},
};

use crate::support::monitor::{Monitor, Picture};

/// What the keys below type.
const TYPED: &str = "Echo a";
/// As QEMU names them. The arrow goes back over a letter, which is put in front of by another one.
const KEYS: [&str; 8] = ["shift-e", "c", "o", "left", "h", "end", "spc", "a"];

/// The pixels of a row of characters, as far as `line` goes.
fn row<'a>(picture: &'a Picture, row: usize, line: &str) -> Vec<&'a [u8]> {
    let size = FONT.character_size;
    let (width, height) = (size.width as usize, size.height as usize);
    let rows = row * height..(row + 1) * height;
    rows.map(|y| &picture.pixels[y * picture.width * 3..][..line.len() * width * 3]).collect()
}

/// Whether a row begins with this line, in the console's own characters.
fn shows(picture: &Picture, line: &str) -> bool {
    let (width, height) = (picture.width, picture.height);
    let layout = Layout { width, height, pitch: width * 3, bytes: 3, shifts: [0, 8, 16] };
    let mut pixels = vec![0; width * height * 3];
    let mut screen = Screen::new(&mut pixels[..], layout).expect("a layout");
    // The cursor stands elsewhere.
    text::read(&format!("{line}\n"), &mut Style::PLAIN.clone(), |act| screen.apply(act));
    screen.draw();
    drop(screen);
    let expected = Picture { width, height, pixels };
    let rows = height / FONT.character_size.height as usize;
    (0..rows).any(|place| row(picture, place, line) == row(&expected, 0, line))
}

#[test]
fn keys_are_typed_and_the_screen_shows_them() {
    let append = "shell=on".to_owned();
    let options = SystemOptions { append, ..SystemOptions::default() };
    let system = Inputs::read(&options).unwrap().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [iso, socket, dump] =
        ["orbital.iso", "monitor", "dump.ppm"].map(|it| folder.path().join(it));
    image::write(&system, Mode::Any, &iso).unwrap();

    let mut command =
        qemu::command(&RunOptions::default(), &Files::Image(iso), Console::Output).unwrap();
    Monitor::listen(&mut command, &socket);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut machine = command.spawn().unwrap();
    let mut serial = BufReader::new(machine.stdout.take().unwrap());
    reads_up_to(&mut serial, "orbital> ");

    let mut monitor = Monitor::open(&socket);
    for key in KEYS {
        monitor.command(&format!("sendkey {key}"));
    }
    // The line is the same on both, and the screen is drawn first: when the last key is here, it is there.
    reads_up_to(&mut serial, TYPED);
    let picture = monitor.picture(&dump);
    assert!(shows(&picture, &format!("orbital> {TYPED}")), "the line is not there");
    assert!(shows(&picture, "Orbital. Type help for the commands."));
    assert!(!shows(&picture, "orbital> Echo b"));

    // Ctrl-C reaches it; and the line that ends the system.
    for key in ["ctrl-c", "s", "h", "u", "t", "d", "o", "w", "n", "ret"] {
        monitor.command(&format!("sendkey {key}"));
    }
    let mut rest = String::new();
    serial.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("^C"), "{rest}");
    // The verdict of success, times two, plus one: as isa-debug-exit does it.
    assert_eq!(machine.wait().unwrap().code(), Some(0x21));
}

/// Reads until this has come.
fn reads_up_to(serial: &mut impl BufRead, text: &str) {
    let (mut read, end) = (Vec::new(), text.as_bytes());
    while !read.ends_with(end) {
        let mut byte = [0];
        serial.read_exact(&mut byte).unwrap_or_else(|_| {
            panic!("{text:?} never came: {}", String::from_utf8_lossy(&read));
        });
        read.push(byte[0]);
    }
}
