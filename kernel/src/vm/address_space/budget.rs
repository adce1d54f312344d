//! How long a step may be. Interrupts are off for all of it, so it is counted by what it does and not by
//! how much of a range it has come over.
#![forbid(unsafe_code)]

/// What is left of a step. The unit is what one entry of a table costs: some 20 instructions in the kernel that
/// is built for tests, and a quarter of that in an optimised one.
pub struct Budget(u64);

/// What a step may do. It goes a little further: whatever it begins it does, as long as anything was left. An optimised
/// kernel ends a process with a few small mappings in two steps.
const UNITS: u64 = if cfg!(debug_assertions) { 192 } else { 320 };

/// To find the entries of the 2 MiB that one table maps, whatever is done to them.
pub const WINDOW: u64 = 14;
/// To find a region, and what it needs no more.
pub const REGION: u64 = 24;
/// To take a region out and to drop it.
pub const RETIRED: u64 = 64;
/// To take a table out. Debug builds look whether it is empty.
pub const TABLE: u64 = if cfg!(debug_assertions) { 40 } else { 8 };
/// To give a frame back.
pub const FREED: u64 = 12;

impl Budget {
    /// For a whole step.
    pub fn new() -> Self {
        Self(UNITS)
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }

    /// Takes `units`, or what is left.
    pub fn take(&mut self, units: u64) {
        self.0 = self.0.saturating_sub(units);
    }

    /// Takes all: someone else is waited for.
    pub fn spend(&mut self) {
        self.0 = 0;
    }

    /// Takes a unit for each of `count` entries, or for as many as it can, but for one at least; how many
    /// that are.
    pub fn take_entries(&mut self, count: u64) -> u64 {
        let taken = count.min(self.0.max(1));
        self.take(taken);
        taken
    }
}
