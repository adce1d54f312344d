//! Address spaces, on page tables that the CPU really loads.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use kernel::{
    arch::{Access, Cache, PageSize, Translation},
    memory::{self, frame::Frame},
    object::{Quota, Ref},
    vm::{
        AddressSpace, MemoryObject,
        address_space::{Begun, Mapping, Resolution, Wanted, change::Progress},
        reclaim,
    },
};
use orbital_abi::{
    Error,
    layout::{PAGE_SIZE, USER_END, USER_START},
};

use super::{
    kernel_test,
    walk::{self, Found, Page, Rights},
};

/// More than any test needs.
const FRAMES: u64 = 4096;
const KERNEL_BYTES: u64 = 1 << 20;

/// An address space of its own, and who pays.
pub struct Fixture {
    pub quota: Ref<Quota>,
    pub space: Ref<AddressSpace>,
}

impl Fixture {
    pub fn new() -> Self {
        let quota = Quota::root(FRAMES, KERNEL_BYTES).unwrap();
        Self { space: AddressSpace::new(&quota).unwrap(), quota }
    }

    /// An object of so many pages, each with its number in its first byte.
    pub fn object(&self, pages: u64) -> Ref<MemoryObject> {
        let object = MemoryObject::new(pages * PAGE_SIZE, &self.quota).unwrap();
        for page in 0..pages {
            object.write(page * PAGE_SIZE, &[page as u8 + 1]).unwrap();
        }
        object
    }

    /// Maps all of `object`, and touches it.
    pub fn map_object(
        &self,
        object: &Ref<MemoryObject>,
        address: u64,
        access: Access,
    ) -> Result<(), Error> {
        AddressSpace::map(&self.space, Mapping::whole(object, address, access))?;
        for page in 0..object.pages() {
            let touched = self.space.touch(address + page * PAGE_SIZE, Wanted::Read, 0);
            assert!(matches!(touched, Resolution::Mapped), "page {page}");
        }
        Ok(())
    }

    /// Maps one new page; gives its frame.
    pub fn map(&self, address: u64, access: Access) -> Frame {
        let object = self.object(1);
        self.map_object(&object, address, access).unwrap();
        object.frame(0).unwrap()
    }

    pub fn unmap(&self, address: u64, pages: u64) {
        let begun = AddressSpace::begin_unmap(&self.space, address, pages * PAGE_SIZE, 0);
        let number = match begun {
            Ok(Begun::Number(number)) => number,
            Ok(Begun::Over) => return,
            _ => panic!("it can be unmapped"),
        };
        while !matches!(self.space.advance(number, 0), Progress::Over) {}
    }

    /// Loads the kernel's own tables.
    pub fn leave(&self) {
        AddressSpace::leave();
    }

    /// Ends the space. All of the quota is there again afterwards.
    pub fn close(self) {
        self.leave();
        self.unmap(USER_START, (USER_END - USER_START) / PAGE_SIZE);
        self.space.close();
        drop(self.space);
        while reclaim::step() {}
        let all = kernel::object::Charge::new(&self.quota, FRAMES, KERNEL_BYTES);
        assert!(all.is_ok(), "something is still charged");
    }

    /// What the CPU finds at `address`.
    fn page(&self, address: u64) -> Option<Page> {
        self.space.enter();
        walk::page_of(walk::root(), address)
    }

    /// Tables and pages of the lower half.
    fn count(&self) -> (u64, u64) {
        self.space.enter();
        let (mut tables, mut pages) = (0, 0);
        walk::walk(walk::root(), walk::LOWER, &mut |found| match found {
            Found::Table(_) => tables += 1,
            Found::Page(_) => pages += 1,
        });
        self.leave();
        (tables, pages)
    }
}

const ACCESSES: [(Access, Rights); 3] = [
    (Access::Read, Rights { write: false, execute: false, user: true }),
    (Access::ReadWrite, Rights { write: true, execute: false, user: true }),
    (Access::ReadExecute, Rights { write: false, execute: true, user: true }),
];

kernel_test! {
    /// A page is mapped with the rights that were asked for, at the lowest and highest address too.
    fn mappings_have_the_rights_that_were_asked_for() {
        let fixture = Fixture::new();
        let addresses = [USER_START, 0x40_0000, 0x7fff_ffe0_0000, USER_END - 3 * PAGE_SIZE];
        for address in addresses {
            for (n, (access, rights)) in (0..).zip(ACCESSES) {
                let address = address + n * PAGE_SIZE;
                let frame = fixture.map(address, access);
                let page = fixture.page(address).expect("it is mapped");
                assert_eq!((page.address, page.bytes), (address, PAGE_SIZE));
                assert_eq!((page.physical, page.rights), (frame.address(), rights), "{address:#x}");
                let (cache, size) = (Cache::WriteBack, PageSize::Small);
                let expected = Translation { frame, access, cache, size };
                assert_eq!(fixture.space.translate(address), Some(expected));
            }
        }
        for beside in [0, 0x40_0000 - PAGE_SIZE, 0x40_3000, USER_END] {
            assert_eq!(fixture.page(beside), None, "{beside:#x}");
        }
        assert_eq!(fixture.count().1, 12);
        fixture.close();
    }
}

kernel_test! {
    /// Pages that are unmapped are gone from the tables, and their neighbours are not.
    fn unmapped_pages_are_gone() {
        let fixture = Fixture::new();
        let (one, other) = (fixture.object(70), fixture.object(3));
        // Over the border between two tables.
        let address = 0x80_0000 - 20 * PAGE_SIZE;
        fixture.map_object(&one, address, Access::ReadWrite).unwrap();
        fixture.map_object(&other, address + 70 * PAGE_SIZE, Access::Read).unwrap();
        for page in 0..70 {
            let found = fixture.page(address + page * PAGE_SIZE).unwrap();
            assert_eq!(found.physical, one.frame(page).unwrap().address(), "page {page}");
        }
        fixture.unmap(address, 70);
        for page in 0..70 {
            assert_eq!(fixture.page(address + page * PAGE_SIZE), None, "page {page}");
        }
        assert_eq!(fixture.count().1, 3);
        fixture.unmap(address + 70 * PAGE_SIZE, 3);
        assert_eq!(fixture.count().1, 0);
        drop((one, other));
        fixture.close();
    }
}

kernel_test! {
    /// A closed address space gives back every frame: tables, pages, root.
    fn a_closed_space_gives_everything_back() {
        // The heap may grow the first time, and keeps what it has.
        for round in 0..3 {
            let free = memory::free_frames();
            let used = memory::usage::bytes();
            let fixture = Fixture::new();
            assert_eq!(memory::free_frames(), free - 1, "the root");
            let mut pages = 0;
            // Each in a part of its own of the three upper levels.
            for n in 0..12_u64 {
                let address = USER_START + (n << 39) + (n << 30) + (n << 21);
                let object = fixture.object(n + 1);
                fixture.map_object(&object, address, Access::ReadWrite).unwrap();
                pages += n + 1;
            }
            assert_eq!(fixture.count(), (1 + 12 * 3, pages));
            if round > 0 {
                let slabs = free - 1 - 12 * 3 - pages - memory::free_frames();
                assert!((1..=4).contains(&slabs), "{slabs} slabs for mappings and objects");
            }
            fixture.space.enter();
            fixture.close();
            if round > 0 {
                assert_eq!(memory::free_frames(), free);
            }
            assert_eq!(memory::usage::bytes(), used);
        }
    }
}

kernel_test! {
    /// An address space that is dropped without being closed gives back its root too.
    fn a_dropped_space_gives_its_root_back() {
        let free = memory::free_frames();
        let fixture = Fixture::new();
        fixture.space.enter();
        fixture.leave();
        let Fixture { quota, space } = fixture;
        drop(space);
        assert!(kernel::object::Charge::new(&quota, FRAMES, KERNEL_BYTES).is_ok());
        assert_eq!(memory::free_frames(), free);
    }
}

kernel_test! {
    /// A range that is in use, outside user space, or not of whole pages is refused, and nothing changes.
    fn bad_ranges_change_nothing() {
        let fixture = Fixture::new();
        let object = fixture.object(4);
        let address = 0x40_0000;
        fixture.map_object(&object, address, Access::Read).unwrap();
        let before = fixture.count();
        for (bad, error) in [
            (address, Error::AddressInUse),
            (address - PAGE_SIZE, Error::AddressInUse),
            (address + 3 * PAGE_SIZE, Error::AddressInUse),
            (0, Error::InvalidAddress),
            (USER_END - 3 * PAGE_SIZE, Error::InvalidAddress),
            (0xffff_8000_0000_0000, Error::InvalidAddress),
            (0xffff_ffff_8010_0000, Error::InvalidAddress),
            (u64::MAX - PAGE_SIZE + 1, Error::InvalidAddress),
            (address + 1, Error::InvalidArgument),
        ] {
            let result = fixture.map_object(&object, bad, Access::Read);
            assert_eq!(result, Err(error), "{bad:#x}");
        }
        assert_eq!(fixture.count(), before);
        drop(object);
        fixture.close();
    }
}

kernel_test! {
    /// Without frames for its tables a mapping fails, and what it got is given back.
    fn a_mapping_without_frames_fails() {
        let fixture = Fixture::new();
        let object = fixture.object(1);
        let first = 0x40_0000;
        // The heap grows now, not while there is nothing.
        fixture.map_object(&object, first, Access::Read).unwrap();
        fixture.unmap(first, 1);
        let before = memory::free_frames();
        let mut taken = Vec::with_capacity(before as usize);
        let before = memory::free_frames();
        taken.extend(core::iter::from_fn(memory::allocate_frame));
        // None, one and two of the three tables that it takes.
        for spare in 0..3 {
            let address = USER_START + ((spare + 1) << 39);
            if spare > 0 {
                memory::free_frame(taken.pop().unwrap());
            }
            let result = fixture.map_object(&object, address, Access::Read);
            assert_eq!(result, Err(Error::QuotaExceeded), "{spare} frames");
            assert_eq!(fixture.space.translate(address), None);
            let other = AddressSpace::new(&fixture.quota).err();
            assert_eq!(other, (spare == 0).then_some(Error::QuotaExceeded), "it takes one");
        }
        taken.drain(..).for_each(memory::free_frame);
        assert_eq!(memory::free_frames(), before);
        drop(object);
        fixture.close();
    }
}
