//! Lines of the kernel's log, as [`SystemLogRead`](crate::Syscall::SystemLogRead) tells them.
//!
//! The kernel keeps its latest lines, numbered from 0. Of one that is read registers have the head, and the reader's
//! message page has what it says: module and text, one behind the other, 8 bytes in a word, the lowest first.

use crate::{Registers, message::REGISTER_WORDS};

/// Bytes of a line at most, its module included.
pub const LINE_BYTES: usize = 512;
/// The word of the message page from which on a line stands: the first that registers have no room for.
pub const FIRST_WORD: usize = REGISTER_WORDS;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LogLevel {
    /// Something has gone wrong.
    Error = 1,
    /// Something is not as it should be.
    Warn = 2,
    /// What is worth to be known.
    Info = 3,
    /// What helps to find out why.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

impl LogLevel {
    /// All of them, the gravest first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The level with this number, if there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| *level as u64 == number)
    }
}

/// What registers have of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineHead {
    /// Its number. What lies between the one that was asked for and this was overwritten.
    pub position: u64,
    /// In nanoseconds since boot.
    pub time: u64,
    /// The CPU that has written it.
    pub cpu: u8,
    /// Its level.
    pub level: LogLevel,
    /// Length of the module's name in bytes.
    pub module_bytes: u16,
    /// Length of the text behind that in bytes. Both are [`LINE_BYTES`] at most, and UTF-8.
    pub text_bytes: u16,
}

impl LineHead {
    /// As words.
    pub fn to_words(&self) -> [u64; 3] {
        let what = u64::from(self.level as u8)
            | u64::from(self.cpu) << 8
            | u64::from(self.module_bytes) << 16
            | u64::from(self.text_bytes) << 32;
        [self.position, self.time, what]
    }

    /// From words: `None` for a level that there is not, and for more bytes than a line can have.
    pub fn from_words([position, time, what]: [u64; 3]) -> Option<Self> {
        let level = LogLevel::from_number(what & 0xff)?;
        let [module_bytes, text_bytes] = [what >> 16, what >> 32].map(|bytes| bytes as u16);
        let fits = usize::from(module_bytes) + usize::from(text_bytes) <= LINE_BYTES;
        let head = Self { position, time, cpu: (what >> 8) as u8, level, module_bytes, text_bytes };
        (fits && what >> 48 == 0).then_some(head)
    }

    /// Into registers.
    pub fn encode(&self) -> Registers {
        let [position, time, what] = self.to_words();
        Registers::control([position, time, what, 0])
    }

    /// From registers.
    pub fn decode(registers: &Registers) -> Option<Self> {
        let [position, time, what, _] = registers.control;
        Self::from_words([position, time, what])
    }
}
