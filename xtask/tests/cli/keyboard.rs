//! The keyboard and the screen of a machine that GRUB has booted: keys are pressed and the screen is looked at through QEMU's
//! monitor.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
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

/// What the keys below type.
const TYPED: &str = "Echo a";
/// As QEMU names them. The arrow goes back over a letter, which is put in front of by another one.
const KEYS: [&str; 8] = ["shift-e", "c", "o", "left", "h", "end", "spc", "a"];

/// QEMU's monitor.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// Gives a command, and waits until it is done: until the next prompt.
    fn does(&mut self, command: &str) {
        self.waits();
        writeln!(self.0.get_mut(), "{command}").unwrap();
    }

    fn waits(&mut self) {
        let (mut read, prompt) = (Vec::new(), b"(qemu) ");
        while !read.ends_with(prompt) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("the monitor");
            read.push(byte[0]);
        }
    }
}

/// A picture: width, height, and three bytes a pixel.
struct Picture(usize, usize, Vec<u8>);

impl Picture {
    /// Reads a PPM file as QEMU writes it: `P6`, width and height, 255, then the pixels.
    fn read(file: &Path) -> Self {
        let bytes = fs::read(file).unwrap();
        let mut words = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
        let mut next = || words.next().expect("a picture");
        assert_eq!(next(), b"P6");
        let mut number = || std::str::from_utf8(next()).unwrap().parse::<usize>().unwrap();
        let (width, height) = (number(), number());
        let pixels = next().strip_prefix(b"255\n").expect("a picture").to_vec();
        assert_eq!(pixels.len(), width * height * 3);
        Self(width, height, pixels)
    }

    /// The pixels of a row of characters, as far as `line` goes.
    fn row(&self, row: usize, line: &str) -> Vec<&[u8]> {
        let (width, height) =
            (FONT.character_size.width as usize, FONT.character_size.height as usize);
        let rows = row * height..(row + 1) * height;
        rows.map(|y| &self.2[y * self.0 * 3..][..line.len() * width * 3]).collect()
    }

    /// Whether a row begins with this line.
    fn shows(&self, line: &str) -> bool {
        let Self(width, height, _) = *self;
        let layout = Layout { width, height, pitch: width * 3, bytes: 3, shifts: [0, 8, 16] };
        let mut drawn = vec![0; width * height * 3];
        let mut screen = Screen::new(&mut drawn[..], layout).expect("a layout");
        // The cursor stands elsewhere.
        text::read(&format!("{line}\n"), &mut Style::PLAIN.clone(), |act| screen.apply(act));
        screen.draw();
        drop(screen);
        let expected = Self(width, height, drawn);
        let rows = height / FONT.character_size.height as usize;
        (0..rows).any(|row| self.row(row, line) == expected.row(0, line))
    }
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
    command.arg("-monitor").arg(format!("unix:{},server=on,wait=off", socket.display()));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut machine = command.spawn().unwrap();
    let mut serial = BufReader::new(machine.stdout.take().unwrap());
    reads_up_to(&mut serial, "orbital> ");

    let mut monitor = Monitor(BufReader::new(UnixStream::connect(&socket).unwrap()));
    for key in KEYS {
        monitor.does(&format!("sendkey {key}"));
    }
    // The line is the same on both: when the last key is there, all are.
    reads_up_to(&mut serial, "Echo a");
    // The screen is drawn before the line is sent.
    monitor.does(&format!("screendump {}", dump.display()));
    monitor.waits();
    let picture = Picture::read(&dump);
    assert!(picture.shows(&format!("orbital> {TYPED}")), "the line is not there");
    assert!(picture.shows("Orbital. Type help for the commands."));
    assert!(!picture.shows("orbital> Echo b"));

    // Ctrl-C reaches it; and the line that ends the system.
    for key in ["ctrl-c", "s", "h", "u", "t", "d", "o", "w", "n", "ret"] {
        writeln!(monitor.0.get_mut(), "sendkey {key}").unwrap();
        monitor.waits();
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
