//! Objects, their counts, and quotas, on the real heap.
#![forbid(unsafe_code)]

use kernel::{
    ipc::Endpoint,
    memory::{self, usage},
    object::{Charge, Quota, Ref, registry::live},
    vm::{MemoryObject, memory_object::MAX_PAGES, pages::Pages},
};
use orbital_abi::{Error, ObjectKind, layout::PAGE_SIZE};

use super::kernel_test;

/// An object all pages of which were touched.
fn object(quota: &Ref<Quota>, pages: u64) -> Result<Ref<MemoryObject>, Error> {
    let object = MemoryObject::new(pages * PAGE_SIZE, quota)?;
    (0..pages).try_for_each(|page| object.write(page * PAGE_SIZE, &[1]))?;
    Ok(object)
}

/// How many slabs an object takes: one, or two where its parts are of different sizes.
fn slabs() -> u64 {
    let is_enough = |slabs: &u64| {
        let bytes = Pages::kernel_bytes(1) + slabs * PAGE_SIZE;
        object(&Quota::root(1, bytes).unwrap(), 1).is_ok()
    };
    (1..3).find(is_enough).expect("two parts, two slabs")
}

/// What an object of so many pages costs in kernel memory, the only one of its quota.
fn price(pages: u64) -> u64 {
    Pages::kernel_bytes(pages) + slabs() * PAGE_SIZE
}

kernel_test! {
    /// A quota that is just enough is enough, one byte or one frame less is not, and a refusal costs
    /// nothing.
    fn quotas_are_exact() {
        let pages = 10;
        let (enough, slabs) = (Quota::root(pages, price(pages)).unwrap(), slabs());
        let free = memory::free_frames();
        for _ in 0..3 {
            let held = object(&enough, pages).unwrap();
            assert_eq!(memory::free_frames(), free - pages - slabs);
            assert_eq!(Charge::new(&enough, 1, 0).err(), Some(Error::QuotaExceeded));
            assert_eq!(Charge::new(&enough, 0, 1).err(), Some(Error::QuotaExceeded));
            drop(held);
            assert_eq!(memory::free_frames(), free);
        }
        for (frames, bytes) in [(pages - 1, price(pages)), (pages, price(pages) - 1), (0, 0)] {
            let short = Quota::root(frames, bytes).unwrap();
            assert_eq!(object(&short, pages).err(), Some(Error::QuotaExceeded));
            assert!(Charge::new(&short, frames, bytes).is_ok(), "the refusal kept something");
            assert_eq!(memory::free_frames(), free);
        }
    }
}

kernel_test! {
    /// What is carved out of a quota comes back with the last thing that it paid for.
    fn carved_quotas_come_back() {
        let used = usage::bytes();
        let root = Quota::root(100, 110_000).unwrap();
        let parent = Quota::carve(&root, 60, 60_000).unwrap();
        let child = Quota::carve(&parent, 40, 40_000).unwrap();
        let held = object(&child, 16).unwrap();
        assert!(Quota::carve(&parent, 21, 0).is_err() && Quota::carve(&parent, 0, 20_001).is_err());
        assert!(Quota::carve(&parent, u64::MAX, u64::MAX).is_err());
        drop((parent, child));
        assert!(Charge::new(&root, 41, 0).is_err(), "what paid for the object still costs");
        drop(held);
        assert!(Charge::new(&root, 100, 110_000).is_ok());
        drop(root);
        assert_eq!(usage::bytes(), used);
    }
}

kernel_test! {
    /// A memory object of more frames than the machine has is refused, and none is kept.
    fn too_large_an_object_is_refused() {
        let quota = Quota::root(memory::free_frames(), u64::MAX).unwrap();
        let all = memory::total_frames() + 1;
        let (free, used) = (memory::free_frames(), usage::bytes());
        assert_eq!(object(&quota, all).err(), Some(Error::QuotaExceeded));
        assert_eq!((memory::free_frames(), usage::bytes()), (free, used));
        let too_many = (MAX_PAGES + 1) * PAGE_SIZE;
        for bytes in [0, 1, PAGE_SIZE - 1, PAGE_SIZE + 1, too_many, u64::MAX] {
            let refused = MemoryObject::new(bytes, &quota).err();
            assert_eq!(refused, Some(Error::InvalidArgument), "{bytes}");
        }
    }
}

kernel_test! {
    /// The registry counts the objects of each kind, not the references to them.
    fn the_registry_counts_objects() {
        let all = || ObjectKind::ALL.map(live);
        let before = all();
        let objects_before = live(ObjectKind::MemoryObject);
        let endpoints_before = live(ObjectKind::Endpoint);
        let quota = Quota::root(100, 1 << 20).unwrap();
        assert_eq!(all(), before, "quotas are no capability's");
        let objects = [1, 2, 3].map(|pages| object(&quota, pages).unwrap());
        let more: [_; 5] = core::array::from_fn(|_| objects[0].clone());
        assert_eq!(live(ObjectKind::MemoryObject), objects_before + 3);
        let endpoint = Endpoint::new(&quota).unwrap();
        assert_eq!(live(ObjectKind::Endpoint), endpoints_before + 1);
        drop(objects);
        assert_eq!(live(ObjectKind::MemoryObject), objects_before + 1);
        drop(more);
        drop(endpoint);
        assert_eq!(all(), before);
        assert!(object(&quota, 1000).is_err());
        assert_eq!(all(), before, "an object that could not be made does not count");
    }
}
