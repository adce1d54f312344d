//! Handles of capabilities.

/// A handle of one capability in the calling process's table: an index and the generation that
/// the slot had when the capability was put there.
///
/// A slot that was closed and used again has a new generation, so a stale handle is told apart
/// from a wrong one and can never name the new object. Any 64-bit value is safe to pass to the
/// kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct CapSlot(u64);

impl CapSlot {
    /// The handle that never names a capability.
    pub const NULL: Self = Self(0);

    /// Builds a handle from its parts.
    pub const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    /// A handle as it stood in a register.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The handle as it goes into a register.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Which slot of the table.
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// How often that slot had been filled when this handle was made; 0 only in handles that name
    /// nothing.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether this is [`CapSlot::NULL`].
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl core::fmt::Debug for CapSlot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
}
