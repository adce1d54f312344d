//! Lines of text, for the program's [output](crate::output) or the system's log.
#![forbid(unsafe_code)]

use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use orbital_abi::{
    Syscall,
    arguments::{LOG_BYTES, SystemLog},
};

use crate::{
    output::write_line,
    start::{at_end, bootstrap},
    sync::{Mutex, MutexGuard},
    syscall::harmless,
};

/// Writes a line, as `std`'s does, to the program's [output](crate::output), else into the log; what
/// [`print!`](crate::print!) has written begins it. A line of more than 256 bytes goes on in the next. Without an output
/// and the right to log nothing happens.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => { $crate::print::print_line(format_args!($($argument)*)) };
}

/// The same without the line's end: whole lines are written, and the rest when one is whole, or at the program's end.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::print::print(format_args!($($argument)*)) };
}

/// The beginning of a line, of all threads.
static BEGUN: Mutex<OutLines> = Mutex::new(Lines::new(write_out));
/// Whether there is one.
static IS_BEGUN: AtomicBool = AtomicBool::new(false);

/// Writes `text`, line by line; a line without an end waits for it.
pub fn print(text: fmt::Arguments<'_>) {
    // First: what formats itself may print, too.
    let text = alloc::fmt::format(text);
    let mut lines = BEGUN.lock();
    // `Lines` never fails.
    let _ = lines.write_str(&text);
    IS_BEGUN.store(lines.length > 0, Relaxed);
    at_end(flush_at_end);
}

/// Writes `text`, line by line, and ends the last one.
pub fn print_line(text: fmt::Arguments<'_>) {
    if IS_BEGUN.load(Relaxed) {
        print(text);
        return flush();
    }
    write(text);
}

/// Writes the beginning of a line, if there is one, as a line of its own.
pub fn flush() {
    flush_locked(BEGUN.lock());
}

/// The same at the program's end, where nobody waits for a thread that was stopped in the middle.
pub(crate) fn flush_at_end() {
    if let Some(lines) = BEGUN.try_lock() {
        flush_locked(lines);
    }
}

fn flush_locked(mut lines: MutexGuard<'_, OutLines>) {
    if lines.length > 0 {
        lines.flush();
    }
    IS_BEGUN.store(false, Relaxed);
}

/// Writes `text` line by line, whatever was begun: for whoever may have been interrupted in the middle of that.
pub(crate) fn write(text: fmt::Arguments<'_>) {
    let mut lines = Lines::new(write_out);
    // `Lines` never fails.
    let _ = lines.write_fmt(text);
    lines.flush();
}

fn write_out(line: &[u8]) {
    if !write_line(line) {
        log(line);
    }
}

fn log(line: &[u8]) {
    let arguments = SystemLog {
        system: bootstrap().system,
        text: line.as_ptr() as u64,
        bytes: line.len() as u64,
    };
    // A program without the right to log has nobody to tell that to.
    let _ = harmless(Syscall::SystemLog, &arguments.encode());
}

/// Lines that go out.
type OutLines = Lines<fn(&[u8])>;

/// Cuts text into lines that the log takes, and an output.
struct Lines<F: FnMut(&[u8])> {
    buffer: [u8; LOG_BYTES],
    length: usize,
    sink: F,
}

impl<F: FnMut(&[u8])> Lines<F> {
    const fn new(sink: F) -> Self {
        Self { buffer: [0; LOG_BYTES], length: 0, sink }
    }

    fn flush(&mut self) {
        (self.sink)(&self.buffer[..self.length]);
        self.length = 0;
    }
}

impl<F: FnMut(&[u8])> Write for Lines<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character == '\n' || self.length + character.len_utf8() > LOG_BYTES {
                self.flush();
            }
            if character != '\n' {
                let place = &mut self.buffer[self.length..];
                self.length += character.encode_utf8(place).len();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let sink = |line: &[u8]| found.push(String::from_utf8(line.to_vec()).unwrap());
        let mut lines = Lines::new(sink);
        lines.write_str(text).unwrap();
        lines.flush();
        found
    }

    #[test]
    fn a_line_without_an_end_waits_for_it() {
        let mut found = Vec::new();
        let mut lines =
            Lines::new(|line: &[u8]| found.push(String::from_utf8(line.to_vec()).unwrap()));
        for text in ["a", "b\nc", "", "d\n\n", "e"] {
            lines.write_str(text).unwrap();
        }
        assert_eq!(lines.length, 1);
        lines.flush();
        assert_eq!(
            (lines.length, found),
            (0, vec!["ab".into(), "cd".into(), String::new(), "e".into()])
        );
    }

    #[test]
    fn text_is_cut_at_line_ends_and_never_within_a_character() {
        assert_eq!(lines("a\nb"), ["a", "b"]);
        assert_eq!(lines(""), [""]);
        let long = "ä".repeat(200);
        let cut = lines(&long);
        assert_eq!(cut.len(), 2);
        assert_eq!(cut.concat(), long);
        assert!(cut.iter().all(|line| line.len() <= LOG_BYTES));
    }
}
