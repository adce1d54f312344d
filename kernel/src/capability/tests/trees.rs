//! Who was derived from whom, in tables without processes: what a revoke kills, and what closing
//! leaves of a tree.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error, Rights};

use super::super::{
    Capability, Table,
    revoke::Revoking,
    table::{Closed, leaving::Tidied},
    transfer,
};
use super::close_all;
use crate::{
    ipc::Endpoint,
    object::{Quota, Ref},
    tests::kernel::Kernel,
};

/// More children than one step has in hand.
pub(super) const MANY: usize = 100;

/// Tables with one quota.
pub(super) struct Tables {
    pub(super) tables: Vec<Ref<Table>>,
    pub(super) quota: Ref<Quota>,
}

impl Tables {
    pub(super) fn new(count: usize) -> Self {
        let tables = (0..count).map(|_| Table::new(None).unwrap()).collect();
        Self { tables, quota: Quota::root(0, 1 << 30).unwrap() }
    }

    /// A root: a capability to an object of its own.
    pub(super) fn root(&self, table: usize) -> CapSlot {
        let endpoint = Endpoint::new(&self.quota).unwrap();
        let capability = Capability::new(endpoint, Rights::all());
        self.tables[table].lock().insert(capability, &self.quota).unwrap()
    }

    pub(super) fn copy(&self, from: usize, slot: CapSlot, to: usize) -> Result<CapSlot, Error> {
        self.mint(from, slot, 0, to)
    }

    pub(super) fn mint(
        &self,
        from: usize,
        slot: CapSlot,
        badge: u64,
        to: usize,
    ) -> Result<CapSlot, Error> {
        let (from, to) = (&self.tables[from], &self.tables[to]);
        transfer::copy(from, slot, (Rights::all(), badge), to, &self.quota)
    }

    pub(super) fn relocate(&self, from: usize, slot: CapSlot, to: usize) -> Result<CapSlot, Error> {
        let (from, to) = (&self.tables[from], &self.tables[to]);
        loop {
            if let Some(moved) = transfer::relocate(from, slot, to, &self.quota)? {
                return Ok(moved.slot);
            }
        }
    }

    pub(super) fn is_there(&self, table: usize, slot: CapSlot) -> bool {
        self.tables[table].lock().lookup(slot).is_ok()
    }

    pub(super) fn close(&self, table: usize, slot: CapSlot) -> Result<(), Error> {
        let closed = self.tables[table].lock().remove(slot)?;
        drop(closed);
        Ok(())
    }

    pub(super) fn begin(&self, table: usize, slot: CapSlot) -> Result<Revoking, Error> {
        Revoking::begin(&self.tables[table], slot)
    }

    pub(super) fn revoke(&self, table: usize, slot: CapSlot) {
        let mut revoking = self.begin(table, slot).unwrap();
        while revoking.step().goes_on() {}
        revoking.end();
    }

    /// What the reaper does for a table of a process that lives.
    pub(super) fn tidy(&self, table: usize) {
        let mut slot = 0;
        loop {
            let tidied = self.tables[table].lock().tidy(&mut slot);
            match tidied {
                Tidied::Nothing => return,
                Tidied::More | Tidied::Left(_) => {}
                Tidied::Waits(index, _) => drop(self.tables[table].lock().waits_swept(index)),
                Tidied::Abandoned(index) => {
                    let abandoned = Revoking::abandoned(&self.tables[table], index);
                    if let Some(mut revoking) = abandoned {
                        while revoking.step().goes_on() {}
                        revoking.end();
                    }
                }
            }
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A mark that the test has left would keep a table for good.
            self.tables.drain(..).for_each(core::mem::forget);
            return;
        }
        for (index, table) in self.tables.iter().enumerate() {
            self.tidy(index);
            assert_eq!(table.lock().unfinished(), 0);
            close_all(table);
        }
        assert_eq!(self.quota.usage().kernel_bytes_used, 0, "something is left");
    }
}

#[test]
fn a_revoke_kills_what_was_derived_and_nothing_else() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(3);
    let (root, other) = (tables.root(0), tables.root(0));
    let child = tables.copy(0, root, 0).unwrap();
    let abroad = tables.copy(0, child, 1).unwrap();
    let further = tables.copy(1, abroad, 2).unwrap();
    let back = tables.copy(2, further, 0).unwrap();
    let sibling = tables.copy(0, root, 2).unwrap();
    let unrelated = tables.copy(0, other, 1).unwrap();
    tables.revoke(0, child);
    for (table, slot, is_there) in [
        (0, root, true),
        (0, child, true),
        (1, abroad, false),
        (2, further, false),
        (0, back, false),
        (2, sibling, true),
        (0, other, true),
        (1, unrelated, true),
    ] {
        let found = tables.tables[table].lock().lookup(slot).map(|_| ());
        assert_eq!(found, if is_there { Ok(()) } else { Err(Error::StaleCapability) });
    }
    assert_eq!(tables.begin(1, abroad).err(), Some(Error::StaleCapability));
    // It can be derived from again.
    let again = tables.copy(0, child, 1).unwrap();
    tables.revoke(0, root);
    assert!(!tables.is_there(0, child) && !tables.is_there(1, again));
    assert!(tables.is_there(0, root) && !tables.is_there(2, sibling));
}

#[test]
fn children_of_a_closed_one_are_its_parent_s() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let middle = tables.copy(0, root, 1).unwrap();
    let other = tables.copy(0, root, 1).unwrap();
    let child = tables.copy(1, middle, 0).unwrap();
    tables.close(1, middle).unwrap();
    tables.revoke(1, other);
    assert!(tables.is_there(0, child), "it is no sibling's child");
    tables.revoke(0, root);
    assert!(!tables.is_there(0, child) && !tables.is_there(1, other));
    // Those of a root are roots.
    let child = tables.copy(0, root, 1).unwrap();
    let sibling = tables.copy(0, root, 1).unwrap();
    tables.close(0, root).unwrap();
    let grandchild = tables.copy(1, child, 0).unwrap();
    tables.revoke(1, sibling);
    assert!(tables.is_there(0, grandchild));
    tables.revoke(1, child);
    assert!(!tables.is_there(0, grandchild) && tables.is_there(1, sibling));
}

#[test]
fn a_tree_is_at_most_64_deep() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let mut chain = vec![tables.root(0)];
    for depth in 1..=64 {
        chain.push(tables.copy((depth + 1) % 2, chain[depth - 1], depth % 2).unwrap());
    }
    assert_eq!(tables.copy(0, chain[64], 0).err(), Some(Error::TooDeep));
    assert!(tables.copy(1, chain[63], 0).is_ok(), "beside the last");
    // With one less above it goes again.
    tables.close(1, chain[31]).unwrap();
    let last = tables.copy(0, chain[64], 0).unwrap();
    assert_eq!(tables.copy(0, last, 0).err(), Some(Error::TooDeep));
    tables.revoke(0, chain[0]);
    assert!((1..=64).all(|depth| !tables.is_there(depth % 2, chain[depth])));
    assert!(!tables.is_there(0, last));
}

#[test]
fn one_with_many_children_is_stale_at_once_and_leaves_in_steps() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let middle = tables.copy(0, root, 0).unwrap();
    let children: Vec<_> = (0..MANY).map(|_| tables.copy(0, middle, 1).unwrap()).collect();
    assert!(matches!(tables.tables[0].lock().remove(middle), Ok(Closed::Leaving(_))));
    assert_eq!(tables.close(0, middle), Err(Error::StaleCapability));
    let next = CapSlot::new(middle.index(), middle.generation() + 1);
    assert_eq!(tables.close(0, next), Err(Error::EmptySlot));
    assert_eq!(tables.copy(0, middle, 0).err(), Some(Error::StaleCapability));
    assert_ne!(tables.root(0).index(), middle.index(), "the slot is not free yet");
    assert!(children.iter().all(|child| tables.is_there(1, *child)));
    tables.tidy(0);
    assert_eq!(tables.tables[0].lock().unfinished(), 0);
    assert_eq!(tables.root(0), next, "now it is");
    tables.revoke(0, root);
    assert!(!children.iter().any(|child| tables.is_there(1, *child)));
}

#[test]
fn one_that_leaves_is_killed_with_the_others() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let middle = tables.copy(0, root, 1).unwrap();
    let children: Vec<_> = (0..MANY).map(|_| tables.copy(1, middle, 0).unwrap()).collect();
    tables.close(1, middle).unwrap();
    assert_eq!(tables.tables[1].lock().unfinished(), 1);
    tables.revoke(0, root);
    assert_eq!(tables.tables[1].lock().unfinished(), 0);
    assert!(!children.iter().any(|child| tables.is_there(0, *child)));
}

#[test]
fn a_table_that_is_emptied_leaves_the_tree_whole() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(3);
    let root = tables.root(0);
    let middles: Vec<_> = (0..MANY).map(|_| tables.copy(0, root, 1).unwrap()).collect();
    let children: Vec<_> = middles.iter().map(|it| tables.copy(1, *it, 2).unwrap()).collect();
    for _ in 0..MANY {
        tables.copy(1, middles[7], 2).unwrap();
    }
    assert_eq!(close_all(&tables.tables[1]), MANY);
    assert!(children.iter().all(|child| tables.is_there(2, *child)));
    tables.revoke(0, root);
    assert!(!children.iter().any(|child| tables.is_there(2, *child)));
    assert_eq!(close_all(&tables.tables[2]), 0);
}
