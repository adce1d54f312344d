//! Slots that are set aside for a thread which accepts capabilities: so that nothing can be lacking when they come,
//! and nothing is taken then. They stay the thread's until it ends, for its next messages.
//!
//! They are free, and stand in a list of their own, as the others in the table's.
#![forbid(unsafe_code)]

use orbital_abi::Error;

use super::Entries;
use crate::{
    capability::slot::Slot,
    object::{Quota, Ref},
};

/// Some slots of a table that are set aside.
#[derive(Default)]
#[must_use = "slots that are not given back are lost to their table"]
pub struct Reserved {
    /// The first one's index, where there are some.
    pub first: u32,
    /// How many there are.
    pub count: u8,
}

impl Entries {
    /// Sets slots aside until `reserved` has `count`. More slots are paid by `quota`. What was set aside before an
    /// error stays so.
    ///
    /// # Errors
    /// As [`Entries::insert`].
    pub fn set_aside(
        &mut self,
        reserved: &mut Reserved,
        count: usize,
        quota: &Ref<Quota>,
    ) -> Result<(), Error> {
        while usize::from(reserved.count) < count {
            let (_, index) = self.reserve(quota)?;
            let Some(slot) = self.slots.get(index) else { return Err(Error::TableFull) };
            self.free.set(slot.next());
            slot.set_next(Some(reserved.first));
            *reserved = Reserved { first: index, count: reserved.count + 1 };
        }
        Ok(())
    }

    /// The slots, free as all others from now on.
    pub fn give_back(&mut self, reserved: Reserved) {
        let Reserved { first: mut index, count } = reserved;
        for _ in 0..count {
            let Some(slot) = self.slots.get(index) else { return };
            let next = slot.next();
            slot.set_next(self.free.replace(Some(index)));
            index = next.unwrap_or_default();
        }
    }

    /// The slot that was set aside with that index.
    pub(in crate::capability) fn reserved(&self, index: u32) -> Option<&Slot> {
        self.slots.get(index)
    }
}
