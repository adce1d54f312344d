//! Messages.

use crate::{CapSlot, IpcError, Registers};

/// How many words of a message travel in registers.
pub const REGISTER_WORDS: usize = 8;

/// How many words a message has at most. Those behind the first [`REGISTER_WORDS`] stand in its sender's message page
/// ([`Syscall::ThreadMessagePage`](crate::Syscall::ThreadMessagePage)), and arrive in its receiver's: word `i` at
/// entry `i` of the page.
pub const MAX_WORDS: usize = 496;

/// How many capabilities a message brings at most.
pub const MAX_CAPABILITIES: usize = 4;

/// Where the slots of the second to the last capability of a message stand in its sender's message page, and in
/// its receiver's, by the number of the entry. The first one's is control word 3.
pub const PAGE_SLOTS: core::ops::Range<usize> = 497..500;

/// The first word of a message: a label that the partners agree on, how many words follow, how many capabilities it
/// brings, and how many its sender accepts in what it waits for then.
///
/// Bits 0-31 are the label, bits 32-40 the word count, bits 41-43 the count of capabilities, bits 44-46 how many are
/// accepted; the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Tag(u64);

impl Tag {
    const COUNT_SHIFT: u32 = 32;
    const COUNT_MASK: u64 = 0x1ff;
    const CAPABILITIES_SHIFT: u32 = 41;
    const ACCEPTS_SHIFT: u32 = 44;
    const FEW_MASK: u64 = 7;
    const END: u32 = 47;

    /// A tag with `label` and `words` words, at most [`MAX_WORDS`] of them.
    ///
    /// # Errors
    /// [`IpcError::InvalidMessage`] for more words.
    pub const fn new(label: u32, words: usize) -> Result<Self, IpcError> {
        if words > MAX_WORDS {
            return Err(IpcError::InvalidMessage);
        }
        Ok(Self((words as u64) << Self::COUNT_SHIFT | label as u64))
    }

    /// The same tag, of a message that brings so many capabilities, and whose sender accepts so many.
    ///
    /// # Errors
    /// [`IpcError::InvalidMessage`] for more than [`MAX_CAPABILITIES`] of either.
    pub const fn with_capabilities(self, sent: usize, accepted: usize) -> Result<Self, IpcError> {
        if sent > MAX_CAPABILITIES || accepted > MAX_CAPABILITIES {
            return Err(IpcError::InvalidMessage);
        }
        let counts =
            (sent as u64) << Self::CAPABILITIES_SHIFT | (accepted as u64) << Self::ACCEPTS_SHIFT;
        Ok(Self(self.0 & ((1 << Self::CAPABILITIES_SHIFT) - 1) | counts))
    }

    /// The tag that stood in a register.
    ///
    /// # Errors
    /// [`IpcError::InvalidMessage`] when it names more words or capabilities than a message has, or has bits
    /// that mean nothing.
    pub const fn from_bits(bits: u64) -> Result<Self, IpcError> {
        let tag = Self(bits);
        let is_small = tag.words() <= MAX_WORDS
            && tag.capabilities() <= MAX_CAPABILITIES
            && tag.accepted() <= MAX_CAPABILITIES;
        if bits >> Self::END != 0 || !is_small {
            return Err(IpcError::InvalidMessage);
        }
        Ok(tag)
    }

    /// The same, if its message is words in registers, and nothing else.
    pub const fn short_from_bits(bits: u64) -> Option<Self> {
        if bits >> Self::COUNT_SHIFT > REGISTER_WORDS as u64 { None } else { Some(Self(bits)) }
    }

    /// The same, if its message is words alone.
    pub const fn plain_from_bits(bits: u64) -> Option<Self> {
        if bits >> Self::COUNT_SHIFT > MAX_WORDS as u64 { None } else { Some(Self(bits)) }
    }

    /// The tag as it goes into a register.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What the message is about.
    pub const fn label(self) -> u32 {
        self.0 as u32
    }

    /// How many words follow.
    pub const fn words(self) -> usize {
        (self.0 >> Self::COUNT_SHIFT & Self::COUNT_MASK) as usize
    }

    /// How many of them travel in registers.
    pub const fn register_words(self) -> usize {
        let words = self.words();
        if words < REGISTER_WORDS { words } else { REGISTER_WORDS }
    }

    /// Whether some of them travel in message pages.
    pub const fn is_long(self) -> bool {
        self.words() > REGISTER_WORDS
    }

    /// How many capabilities the message brings.
    pub const fn capabilities(self) -> usize {
        (self.0 >> Self::CAPABILITIES_SHIFT & Self::FEW_MASK) as usize
    }

    /// How many its sender accepts.
    pub const fn accepted(self) -> usize {
        (self.0 >> Self::ACCEPTS_SHIFT & Self::FEW_MASK) as usize
    }

    /// Whether sender and receiver need message pages.
    pub const fn needs_page(self) -> bool {
        self.is_long() || self.capabilities() > 1
    }

    /// The tag as the receiver gets it: without what its sender accepts.
    pub const fn delivered(self) -> Self {
        Self(self.0 & ((1 << Self::ACCEPTS_SHIFT) - 1))
    }

    /// The tag of a thread that sends nothing, and accepts as many.
    pub const fn accepting(self) -> Self {
        Self(self.0 & Self::FEW_MASK << Self::ACCEPTS_SHIFT)
    }
}

/// A tag, and its words as far as they travel in registers. Those behind the count are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Message {
    /// Label and word count.
    pub tag: Tag,
    /// The first words; those behind the count do not travel.
    pub words: [u64; REGISTER_WORDS],
}

impl Message {
    /// A message with `label` and `words`, all of which travel in registers.
    ///
    /// # Errors
    /// [`IpcError::InvalidMessage`] for more than [`REGISTER_WORDS`] words.
    pub fn new(label: u32, words: &[u64]) -> Result<Self, IpcError> {
        if words.len() > REGISTER_WORDS {
            return Err(IpcError::InvalidMessage);
        }
        let tag = Tag::new(label, words.len())?;
        let mut message = Self { tag, words: [0; REGISTER_WORDS] };
        message.words[..words.len()].copy_from_slice(words);
        Ok(message)
    }

    /// What the message is about.
    pub fn label(&self) -> u32 {
        self.tag.label()
    }

    /// The words that travel in registers.
    pub fn words(&self) -> &[u64] {
        &self.words[..self.tag.register_words()]
    }
}

/// A message as its receiver gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The badge of the capability that it was sent through; 0 without one.
    pub badge: u64,
    /// Whether the sender waits for a reply.
    pub is_call: bool,
    /// Whether it is the kernel's word of a fault ([`FaultMessage`](crate::fault::FaultMessage)): no program can
    /// forge that.
    pub is_fault: bool,
    /// Signals of the notification that is bound to the thread: then there is no message. 0 where there is one.
    pub signals: u64,
    /// What was sent.
    pub message: Message,
}

/// In control word 2 of what was received: the sender waits for a reply.
pub const IS_CALL: u64 = 1;
/// It is the kernel's word of a fault, too.
pub const IS_FAULT: u64 = 2;
/// It is no message: control word 0 has signals.
pub const IS_SIGNAL: u64 = 4;

impl Received {
    /// What a receive has left in the registers.
    ///
    /// # Errors
    /// [`IpcError::InvalidMessage`] for a tag that no kernel gives.
    pub fn decode(registers: &Registers) -> Result<Self, IpcError> {
        let [first, tag, marks, _] = registers.control;
        let (badge, signals) = if marks & IS_SIGNAL == 0 { (first, 0) } else { (0, first) };
        let message = Message { tag: Tag::from_bits(tag)?, words: registers.words };
        let (is_call, is_fault) = (marks & IS_CALL != 0, marks & IS_FAULT != 0);
        Ok(Self { badge, is_call, is_fault, signals, message })
    }
}

/// How long an operation may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Do not wait: the `try` form, which answers [`Error::WouldBlock`](crate::Error::WouldBlock).
    Now,
    /// Wait as long as it takes.
    Never,
    /// Wait until this time, in nanoseconds since boot; neither 0 nor `u64::MAX`, which stand for the
    /// others.
    At(u64),
}

impl Deadline {
    /// The deadline that stood in a register.
    pub const fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::Now,
            u64::MAX => Self::Never,
            time => Self::At(time),
        }
    }

    /// The deadline as it goes into a register: the time, 0 for now, `u64::MAX` for never.
    pub const fn bits(self) -> u64 {
        match self {
            Self::Now => 0,
            Self::Never => u64::MAX,
            Self::At(time) => time,
        }
    }
}

/// The control registers of a message operation: what stands before the words. Control word 3 is the slot of the
/// first capability that is sent, where there is one. Else `reply_receive` names there the kept reply that is answered,
/// `reply` in the endpoint's place; 0 is the call that the thread owes.
///
/// | operation | endpoint | tag: label and words | capabilities | accepted | deadline |
/// |---|---|---|---|---|---|
/// | send | used | used | used | 0 | used |
/// | call, reply_receive | used | used | used | used | used |
/// | receive | used | 0 | 0 | used | used |
/// | reply | a kept reply, or 0 | used | used | 0 | 0 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The endpoint to send to or to receive from.
    pub endpoint: CapSlot,
    /// The tag of what is sent.
    pub tag: Tag,
    /// How long to wait.
    pub deadline: Deadline,
}
