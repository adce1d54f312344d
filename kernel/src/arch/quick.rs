//! What the kernel says to the entry code after a call that it has made quickly: whose registers the CPU leaves with,
//! and which of them it has yet to load.
//!
//! A quick call saves no message words. They stay in the CPU's registers or on the kernel's stack on the way through the
//! kernel, from the one who sends to the one who receives; so the kernel can do without looking at them, but for the
//! first two, whose registers it uses itself: those it is given as all the control words, in the caller's
//! [`SavedRegisters`](super::SavedRegisters).
#![forbid(unsafe_code)]

/// The answer. `R` is the machine's `SavedRegisters`.
#[derive(Clone, Copy, Debug)]
#[must_use = "the entry code acts on it"]
pub struct Quick<R> {
    /// Whose thread goes on.
    pub registers: *mut R,
    /// How: one of those below.
    pub way: u64,
}

/// [`Quick::way`] up to here: the thread that goes on is at a system call that succeeded. Its first three control
/// words stand in its registers, and so do the first two words where there are any; the others are in the CPU. So
/// many words are valid; those behind have to be zero.
pub const MOST_WORDS: u64 = 8;
/// In [`Quick::way`] beside a number of words: the fourth control word stands in its registers, too; else it is zero.
pub const FOURTH: u64 = 1 << 4;
/// Beside that: as before, but the dispatcher has to have a turn first.
pub const TURN: u64 = 1 << 8;
/// Everything of the thread that goes on stands in its registers.
pub const SAVED: u64 = 1 << 9;

/// The answer to a call without words: where the control words of the one who goes on are in the CPU alone, unless
/// [`Quick::way`] is [`SAVED`].
#[derive(Clone, Copy, Debug)]
#[must_use = "the entry code acts on it"]
pub struct Bare<R> {
    /// How, and whose thread.
    pub quick: Quick<R>,
    /// Its control words 0 to 2.
    pub control: [u64; 3],
}

impl<R> Bare<R> {
    /// The thread goes on with these control words, as a call made it wait that succeeded.
    #[inline(always)]
    pub fn with_control(registers: *mut R, control: [u64; 3]) -> Self {
        Self { quick: Quick::with_words(registers, 0), control }
    }

    /// As [`Quick::after_a_turn`].
    #[inline(always)]
    pub fn after_a_turn(self) -> Self {
        Self { quick: self.quick.after_a_turn(), ..self }
    }

    /// As [`Quick::saved`].
    #[inline(always)]
    pub fn saved(registers: *mut R) -> Self {
        Self { quick: Quick::saved(registers), control: [0; 3] }
    }
}

impl<R> Quick<R> {
    /// The thread goes on with so many message words, as a call made it wait that succeeded.
    #[inline(always)]
    pub fn with_words(registers: *mut R, words: usize) -> Self {
        Self { registers, way: words as u64 }
    }

    /// Beside [`Quick::with_words`]: the call gives a fourth control word, too.
    #[inline(always)]
    pub fn with_fourth(self) -> Self {
        Self { way: self.way | FOURTH, ..self }
    }

    /// The dispatcher has to have a turn first.
    #[inline(always)]
    pub fn after_a_turn(self) -> Self {
        Self { way: self.way | TURN, ..self }
    }

    /// The thread goes on with what its registers say.
    #[inline(always)]
    pub fn saved(registers: *mut R) -> Self {
        Self { registers, way: SAVED }
    }
}
