//! One CPU's ready threads: a FIFO per priority and a bitmap of the levels that have one, so that
//! adding and picking take the same few steps however many there are.
#![forbid(unsafe_code)]

use crate::{
    object::Ref,
    thread::{ReadyQueue, Tcb},
};

/// How many priorities there are; 0 is the lowest.
pub const PRIORITIES: usize = 256;
const WORD_BITS: usize = 64;

/// Ready threads, by priority.
pub struct RunQueue {
    levels: [ReadyQueue; PRIORITIES],
    occupied: [u64; PRIORITIES / WORD_BITS],
}

impl RunQueue {
    /// An empty run queue.
    pub const fn new() -> Self {
        Self {
            levels: [const { ReadyQueue::new() }; PRIORITIES],
            occupied: [0; PRIORITIES / WORD_BITS],
        }
    }

    fn mark(&mut self, priority: u8) -> &mut ReadyQueue {
        let level = usize::from(priority);
        self.occupied[level / WORD_BITS] |= 1 << (level % WORD_BITS);
        &mut self.levels[level]
    }

    /// Adds a thread behind the others of its priority.
    pub fn push_back(&mut self, thread: Ref<Tcb>) {
        self.mark(thread.priority).push_back(thread);
    }

    /// Adds a thread before the others of its priority: it had not used up its slice.
    pub fn push_front(&mut self, thread: Ref<Tcb>) {
        self.mark(thread.priority).push_front(thread);
    }

    /// The highest priority that has a ready thread.
    pub fn top(&self) -> Option<u8> {
        let word = self.occupied.iter().rposition(|word| *word != 0)?;
        let bit = WORD_BITS - 1 - self.occupied[word].leading_zeros() as usize;
        Some((word * WORD_BITS + bit) as u8)
    }

    /// Takes the next thread: the first of the highest priority.
    pub fn pop(&mut self) -> Option<Ref<Tcb>> {
        let level = usize::from(self.top()?);
        let thread = self.levels[level].pop_front();
        if self.levels[level].is_empty() {
            self.occupied[level / WORD_BITS] &= !(1 << (level % WORD_BITS));
        }
        thread
    }
}

impl Default for RunQueue {
    fn default() -> Self {
        Self::new()
    }
}
