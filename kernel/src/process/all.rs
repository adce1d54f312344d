//! All processes that have not ended, in the order of their numbers: for whoever looks at the whole system.

use core::ptr::NonNull;

use intrusive_collections::{
    Bound, KeyAdapter, RBTree, RBTreeAtomicLink, UnsafeRef, intrusive_adapter,
};
use spin::Mutex;

use super::Process;
use crate::object::{AnyRef, Ref};

intrusive_adapter!(Adapter = UnsafeRef<Process>: Process { registered => RBTreeAtomicLink });

impl KeyAdapter<'_> for Adapter {
    type Key = u64;

    fn get_key(&self, process: &Process) -> u64 {
        process.id
    }
}

/// The tree keeps what is in it.
static ALL: Mutex<Option<RBTree<Adapter>>> = Mutex::new(None);

/// A process begins.
pub(super) fn add(process: &Ref<Process>) {
    let process = process.clone().into_raw().as_ptr();
    // SAFETY: an object is not moved, and is there until `remove` takes this reference back.
    let process = unsafe { UnsafeRef::from_raw(process) };
    ALL.lock().get_or_insert_with(|| RBTree::new(Adapter::new())).insert(process);
}

/// It has ended, or does not begin after all.
pub(super) fn remove(process: &Process) {
    let removed = ALL.lock().as_mut().and_then(|all| all.find_mut(&process.id).remove());
    let removed = removed.and_then(|process| NonNull::new(UnsafeRef::into_raw(process)));
    // SAFETY: `add` gave this reference away, and it has just left the tree.
    drop(removed.map(|process| unsafe { Ref::from_raw(process) }));
}

/// The first process whose number is at least `number`.
pub fn at_or_after(number: u64) -> Option<Ref<Process>> {
    let all = ALL.lock();
    let found = all.as_ref()?.lower_bound(Bound::Included(&number));
    found.get().map(Ref::from_object)
}

impl Process {
    /// The next thread of a walk through its threads: see `Members::next_of_walk`.
    pub fn next_of_walk(
        &self,
        after: u64,
        number_of: impl FnOnce(&AnyRef) -> u64,
    ) -> Option<(AnyRef, bool)> {
        self.life.lock().threads.next_of_walk(after, number_of)
    }
}
