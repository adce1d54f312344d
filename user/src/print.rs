//! Lines in the system's log.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};

use orbital_abi::{
    Syscall,
    arguments::{LOG_BYTES, SystemLog},
};

use crate::{start::bootstrap, syscall::harmless};

/// Writes a line into the log, as `std`'s does. A longer line than the log takes goes on in the
/// next. Without the right to log nothing happens.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => { $crate::print::print(format_args!($($argument)*)) };
}

/// Writes `text` into the log, line by line.
pub fn print(text: fmt::Arguments<'_>) {
    let mut lines = Lines { buffer: [0; LOG_BYTES], length: 0, sink: log };
    // `Lines` never fails.
    let _ = lines.write_fmt(text);
    lines.flush();
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

/// Cuts text into lines that the log takes.
struct Lines<F: FnMut(&[u8])> {
    buffer: [u8; LOG_BYTES],
    length: usize,
    sink: F,
}

impl<F: FnMut(&[u8])> Lines<F> {
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
        let mut lines = Lines { buffer: [0; LOG_BYTES], length: 0, sink };
        lines.write_str(text).unwrap();
        lines.flush();
        found
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
