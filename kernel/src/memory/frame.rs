//! Physical frames of 4 KiB.
#![forbid(unsafe_code)]

/// Size of a frame in bytes.
const FRAME_BYTES: u64 = 4096;

/// A physical frame, by its number: its address divided by 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame(u64);

impl Frame {
    /// Frame number `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The frame that physical address `address` lies in.
    pub const fn containing(address: u64) -> Self {
        Self(address / FRAME_BYTES)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Physical address of its first byte.
    pub const fn address(self) -> u64 {
        self.0 * FRAME_BYTES
    }
}
