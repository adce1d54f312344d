//! One CPU's ready threads: a FIFO per priority and a bitmap of the levels that have one, so that
//! adding and picking take the same few steps however many there are.

use crate::{
    object::Ref,
    thread::{ReadyQueue, Tcb},
};

/// How many priorities there are; 0 is the lowest.
pub const PRIORITIES: usize = 256;
const WORD_BITS: usize = 64;
/// How many threads are looked at for one to give away: those before it may have to stay.
const LOOK_AT: usize = 64;

/// Ready threads, by priority.
pub struct RunQueue {
    levels: [ReadyQueue; PRIORITIES],
    occupied: [u64; PRIORITIES / WORD_BITS],
    length: usize,
}

impl RunQueue {
    /// An empty run queue.
    pub const fn new() -> Self {
        Self {
            levels: [const { ReadyQueue::new() }; PRIORITIES],
            occupied: [0; PRIORITIES / WORD_BITS],
            length: 0,
        }
    }

    fn mark(&mut self, priority: u8) -> &mut ReadyQueue {
        let level = usize::from(priority);
        self.length += 1;
        self.occupied[level / WORD_BITS] |= 1 << (level % WORD_BITS);
        &mut self.levels[level]
    }

    /// Adds a thread behind the others of its priority.
    pub fn push_back(&mut self, thread: Ref<Tcb>) {
        self.mark(thread.priority()).push_back(thread);
    }

    /// Adds a thread before the others of its priority: it had not used up its slice.
    pub fn push_front(&mut self, thread: Ref<Tcb>) {
        self.mark(thread.priority()).push_front(thread);
    }

    /// Takes `thread` out; `None` when it is not in here.
    ///
    /// # Safety
    /// `thread` is in no other run queue.
    pub unsafe fn remove(&mut self, thread: &Tcb) -> Option<Ref<Tcb>> {
        let level = usize::from(thread.priority());
        // SAFETY: the caller's; in this run queue it is on the level of its priority.
        let removed = unsafe { self.levels[level].remove(thread) };
        self.length -= usize::from(removed.is_some());
        self.unmark_if_empty(level);
        removed
    }

    /// Whether nobody is ready.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many threads are ready.
    pub fn len(&self) -> usize {
        self.length
    }

    fn unmark_if_empty(&mut self, level: usize) {
        if self.levels[level].is_empty() {
            self.occupied[level / WORD_BITS] &= !(1 << (level % WORD_BITS));
        }
    }

    /// The first that may run on CPU `cpu`, of the most urgent `LOOK_AT` threads.
    fn first_for(&self, cpu: usize) -> Option<&Tcb> {
        let levels = (0..self.occupied.len()).rev().flat_map(|word| {
            let mut bits = self.occupied[word];
            core::iter::from_fn(move || {
                let bit = bits.checked_ilog2()? as usize;
                bits ^= 1 << bit;
                Some(word * WORD_BITS + bit)
            })
        });
        let mut threads = levels.flat_map(|level| self.levels[level].iter()).take(LOOK_AT);
        threads.find(|thread| thread.may_run_on(cpu))
    }

    /// Whether there is one among the most urgent `LOOK_AT` threads that may run on CPU `cpu`.
    pub fn has_for(&self, cpu: usize) -> bool {
        self.first_for(cpu).is_some()
    }

    /// Takes the first of those.
    pub fn take_for(&mut self, cpu: usize) -> Option<Ref<Tcb>> {
        let thread = self.first_for(cpu).map(Ref::from_object)?;
        // SAFETY: it is in this run queue.
        unsafe { self.remove(&thread) }
    }

    /// The highest priority that has a ready thread.
    pub fn top(&self) -> Option<u8> {
        let word = self.occupied.iter().rposition(|word| *word != 0)?;
        let bit = WORD_BITS - 1 - self.occupied[word].leading_zeros() as usize;
        Some((word * WORD_BITS + bit) as u8)
    }

    /// The first thread of `priority`.
    #[inline]
    pub fn first(&self, priority: u8) -> Option<&Tcb> {
        self.levels[usize::from(priority)].first()
    }

    /// Takes that if `choose` does: with what that gave, and whether another one is as urgent.
    #[inline(always)]
    pub fn take_first<T>(
        &mut self,
        priority: u8,
        choose: impl FnOnce(&Tcb) -> Option<T>,
    ) -> Option<(Ref<Tcb>, T, bool)> {
        let level = usize::from(priority);
        let queue = &mut self.levels[level];
        let chosen = choose(queue.first()?)?;
        let thread = queue.pop_front()?;
        let is_last = queue.is_empty();
        self.length -= 1;
        if is_last {
            self.occupied[level / WORD_BITS] &= !(1 << (level % WORD_BITS));
        }
        Some((thread, chosen, !is_last))
    }

    /// Takes that.
    #[inline]
    pub fn pop_first(&mut self, priority: u8) -> Option<Ref<Tcb>> {
        let level = usize::from(priority);
        let thread = self.levels[level].pop_front();
        self.length -= usize::from(thread.is_some());
        self.unmark_if_empty(level);
        thread
    }

    /// Takes the first thread of `priority`, where there is one, and adds `other`, of the same priority, behind the
    /// others. Without one it gives `other` back.
    #[inline]
    pub fn exchange_first(&mut self, priority: u8, other: Ref<Tcb>) -> Ref<Tcb> {
        let level = &mut self.levels[usize::from(priority)];
        let Some(first) = level.pop_front() else { return other };
        level.push_back(other);
        first
    }

    /// Takes the next thread: the first of the highest priority.
    pub fn pop(&mut self) -> Option<Ref<Tcb>> {
        self.pop_first(self.top()?)
    }
}

impl Default for RunQueue {
    fn default() -> Self {
        Self::new()
    }
}
