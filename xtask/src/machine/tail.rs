//! The last lines of a log, kept for when it ends badly.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

/// How many lines are kept.
pub const LINES: usize = 40;
/// How long a line can be; a longer one is cut.
const LINE_BYTES: usize = 1024;

/// The last lines of a stream of bytes.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    lines: VecDeque<Vec<u8>>,
    unfinished: Vec<u8>,
}

impl Tail {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    if self.lines.len() == LINES {
                        self.lines.pop_front();
                    }
                    self.lines.push_back(std::mem::take(&mut self.unfinished));
                }
                b'\r' => {}
                byte if self.unfinished.len() < LINE_BYTES => self.unfinished.push(*byte),
                _ => {}
            }
        }
    }

    /// The lines, the unfinished one at the end too.
    pub fn lines(&self) -> Vec<String> {
        let unfinished = (!self.unfinished.is_empty()).then_some(&self.unfinished);
        let lines = self.lines.iter().chain(unfinished);
        lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// The last line that is not empty.
    pub fn last_line(&self) -> String {
        self.lines().into_iter().rfind(|line| !line.is_empty()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let mut tail = Tail::default();
        for number in 0..100 {
            tail.push(format!("line {number}\r\n").as_bytes());
        }
        tail.push(b"unfinished");
        let lines = tail.lines();
        assert_eq!(lines.len(), LINES + 1);
        assert_eq!((lines[0].as_str(), tail.last_line().as_str()), ("line 60", "unfinished"));
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut tail = Tail::default();
        tail.push(&vec![b'x'; 1 << 20]);
        assert_eq!(tail.lines()[0].len(), LINE_BYTES);
        assert_eq!(Tail::default().last_line(), "");
    }
}
