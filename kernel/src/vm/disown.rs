//! Unmapping what was mapped through a capability that is being revoked.

use super::{AddressSpace, change};
use crate::{arch, capability::kept::Made, cause, object::Ref};

/// Unmaps a mapping. When it is ready, no CPU reaches what was mapped. It may not be there yet, or be on its way out.
pub fn disown(Made { holder, number: start }: Made) -> impl Future<Output = ()> {
    // SAFETY: address spaces alone make mappings.
    let unfinished = Unfinished(unsafe { AddressSpace::from_any(holder) });
    async move {
        let space = &unfinished.0;
        let begin = || AddressSpace::begin_disown(space, start, arch::cpu_index());
        // All of a mapping: dividing nothing, it can't fail.
        let _ = change(space, begin).await;
    }
}

/// An address space in which this may have begun a change. Where its thread is killed before that is over, the mapping's
/// process goes on.
struct Unfinished(Ref<AddressSpace>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.0.is_changing() {
            self.0.cleaner.hurry(cause::priority());
            self.0.cleaner.wake();
        }
    }
}
