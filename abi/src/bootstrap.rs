//! What a program finds when it starts.

use crate::{CapSlot, arguments::NAME_BYTES, layout::PAGE_SIZE};

/// Tells a bootstrap block from other memory: `"ORBITAL1"`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"ORBITAL1");

/// How many capabilities a creator can hand over by position or by name.
pub const GRANTED: usize = 16;

/// How long a command line can be in bytes: what is left of the page.
pub const COMMAND_LINE_BYTES: usize = PAGE_SIZE as usize - 8 * 8 - GRANTED * (8 + NAME_BYTES);

/// The bootstrap block: one read-only page, whose address stands in `rdi` when the first thread of
/// a process starts. The kernel writes init's, a creator that of each process it starts. A
/// capability that was not given is [`CapSlot::NULL`].
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Bootstrap {
    /// [`MAGIC`].
    pub magic: u64,
    /// The process itself.
    pub process: CapSlot,
    /// Its first thread.
    pub thread: CapSlot,
    /// The system: for init with all rights, for others perhaps only to log.
    pub system: CapSlot,
    /// The archive of programs (ustar), read-only: init has it, and who gets it from there.
    pub archive: CapSlot,
    /// Size of the archive in bytes; the rest of its last page is zero.
    pub archive_bytes: u64,
    /// What else the creator handed over, in its own order.
    pub granted: [CapSlot; GRANTED],
    /// What the creator calls them: UTF-8, filled up with zeros; all zeros where it has no name for one.
    pub names: [[u8; NAME_BYTES]; GRANTED],
    /// How many bytes of `command_line` are used.
    pub command_line_bytes: u64,
    /// The stack's lowest address, below which a guard page lies; 0 when unknown.
    pub stack_bottom: u64,
    /// The command line in UTF-8: the kernel's for init, a creator's arguments for others.
    pub command_line: [u8; COMMAND_LINE_BYTES],
}

const _: () = assert!(size_of::<Bootstrap>() == PAGE_SIZE as usize);

impl Bootstrap {
    /// A block that hands over nothing.
    pub const fn new() -> Self {
        Self {
            magic: MAGIC,
            process: CapSlot::NULL,
            thread: CapSlot::NULL,
            system: CapSlot::NULL,
            archive: CapSlot::NULL,
            archive_bytes: 0,
            granted: [CapSlot::NULL; GRANTED],
            names: [[0; NAME_BYTES]; GRANTED],
            command_line_bytes: 0,
            stack_bottom: 0,
            command_line: [0; COMMAND_LINE_BYTES],
        }
    }

    /// Where the capability with this name stands among those handed over: the first one, if there is one.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        let wanted = padded(name)?;
        self.names.iter().position(|found| *found == wanted)
    }

    /// Names the capability at `place`. Without that place, or with a name of no or too many bytes, nothing happens.
    pub fn set_name(&mut self, place: usize, name: &str) {
        if let (Some(found), Some(name)) = (self.names.get_mut(place), padded(name)) {
            *found = name;
        }
    }

    /// Stores `text` as the command line, cut at a character's start where it is too long.
    pub fn set_command_line(&mut self, text: &str) {
        let mut end = text.len().min(COMMAND_LINE_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.command_line[..end].copy_from_slice(&text.as_bytes()[..end]);
        self.command_line_bytes = end as u64;
    }

    /// The command line; empty where it is not UTF-8.
    pub fn command_line(&self) -> &str {
        let end = (self.command_line_bytes as usize).min(COMMAND_LINE_BYTES);
        core::str::from_utf8(&self.command_line[..end]).unwrap_or("")
    }
}

/// A name filled up with zeros.
fn padded(name: &str) -> Option<[u8; NAME_BYTES]> {
    let mut bytes = [0; NAME_BYTES];
    bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    (!name.is_empty()).then_some(bytes)
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self::new()
    }
}
