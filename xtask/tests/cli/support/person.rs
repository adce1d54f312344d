//! A person at a terminal: types, and reads what the screen shows. Waits for texts, never for a time; what never comes ends with
//! the machine, whose own time-out ends that.
#![forbid(unsafe_code)]

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZero,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

use nix::pty::{Winsize, openpty};

/// Rows and columns of the screen.
const SIZE: (u16, u16) = (24, 80);

/// Ends a sequence in the middle.
const CANCEL: char = '\x18';

/// The person, and the command that runs at the terminal.
pub struct Person {
    child: Child,
    keys: File,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// All that came, without control sequences.
    text: String,
    /// The end of what came, in the middle of a sequence.
    rest: String,
    /// Up to where the text was looked at.
    seen: usize,
}

impl Person {
    /// Runs `command` at a terminal.
    pub fn at(mut command: Command) -> Self {
        let (rows, columns) = SIZE;
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("a terminal");
        let (master, slave) = (File::from(pty.master), File::from(pty.slave));
        command.stdin(Stdio::from(slave.try_clone().expect("the terminal")));
        command.stdout(Stdio::from(slave)).stderr(Stdio::null());
        let child = command.spawn().expect("the command");
        // It keeps the terminal's other end open.
        drop(command);
        let keys = master.try_clone().expect("the terminal");
        let output = read(master);
        let side = |count| NonZero::new(count).expect("a screen");
        let screen = vt100::Parser::new(side(rows), side(columns), 0);
        Self { child, keys, output, screen, text: String::new(), rest: String::new(), seen: 0 }
    }

    /// Types this.
    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal");
    }

    /// Types a line and Enter.
    pub fn enters(&mut self, line: &str) {
        self.types(&format!("{line}\r"));
    }

    /// Reads on; `false` where nothing comes any more.
    fn reads(&mut self) -> bool {
        let Ok(bytes) = self.output.recv() else { return false };
        self.screen.process(&bytes);
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        self.strip();
        true
    }

    /// Takes what came without its control sequences, each of which ends with a letter or is cancelled, and without returns to the beginning
    /// of a row: what comes then begins a new one here.
    fn strip(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        let mut pieces = rest.split('\x1b');
        let first = pieces.next().unwrap_or_default().replace(CANCEL, "");
        self.text.push_str(&first.replace('\r', "\n"));
        for piece in pieces {
            match piece.find(|c: char| c.is_ascii_alphabetic() || c == CANCEL) {
                Some(end) => {
                    let text = piece[end + 1..].replace(CANCEL, "");
                    self.text.push_str(&text.replace('\r', "\n"));
                }
                None => self.rest = format!("\x1b{piece}"),
            }
        }
    }

    /// Waits until `text` has come, behind what was waited for before.
    pub fn sees(&mut self, text: &str) {
        loop {
            if let Some(place) = self.text[self.seen..].find(text) {
                self.seen += place + text.len();
                return;
            }
            assert!(self.reads(), "{text:?} never came:\n{}", self.text);
        }
    }

    /// Waits until all `texts` have come, behind what was waited for before, in whatever order.
    pub fn sees_all(&mut self, texts: &[&str]) {
        let start = self.seen;
        let mut end = start;
        for text in texts {
            self.seen = start;
            self.sees(text);
            end = end.max(self.seen);
        }
        self.seen = end;
    }

    /// The row with the cursor.
    pub fn row(&self) -> String {
        let screen = self.screen.screen();
        let (row, _) = screen.cursor_position();
        screen.rows(0, SIZE.1).nth(row.into()).unwrap_or_default().trim_end().to_owned()
    }

    /// Waits until the row with the cursor is this.
    pub fn sees_row(&mut self, expected: &str) {
        while self.row() != expected {
            let has_come = self.reads();
            assert!(
                has_come,
                "{expected:?} never was the row, but {:?}:\n{}",
                self.row(),
                self.text
            );
        }
        self.seen = self.text.len();
    }

    /// All that came so far, without control sequences.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Waits for the command's end; gives its status and all that came.
    pub fn leaves(mut self) -> (Option<i32>, String) {
        while self.reads() {}
        let status = self.child.wait().expect("the command's end");
        (status.code(), std::mem::take(&mut self.text))
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It has ended, unless the test has failed: then its machine goes with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads in a thread. A terminal that nobody has open any more gives an error.
fn read(mut master: File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = master.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
