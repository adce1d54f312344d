//! What the kernel's own page tables map, with which rights.
#![forbid(unsafe_code)]

use core::ops::Range;

use kernel::{
    arch::{
        PageTables, direct_map,
        x86_64::layout::{DIRECT_MAP, DIRECT_MAP_END, KERNEL_BASE, WINDOW, WINDOW_BYTES},
    },
    memory::{self, usage},
    object::Quota,
    vm::AddressSpace,
};

use super::{
    kernel_test, loaded,
    walk::{self, Found, Page, Rights},
};

const CODE: Rights = Rights { write: false, execute: true, user: false };
const CONSTANTS: Rights = Rights { write: false, execute: false, user: false };
const DATA: Rights = Rights { write: true, execute: false, user: false };

fn every_page(check: &mut dyn FnMut(Page)) {
    walk::walk(walk::root(), walk::UPPER, &mut |found| {
        if let Found::Page(page) = found {
            check(page);
        }
    });
}

/// Every small page of `range`.
fn pages(range: Range<u64>) -> impl Iterator<Item = (u64, Option<Page>)> {
    range.step_by(4096).map(|address| (address, walk::page_of(walk::root(), address)))
}

kernel_test! {
    /// No page of the kernel's is both writable and executable, and user programs can use none.
    fn nothing_is_writable_and_executable() {
        let mut count = 0;
        every_page(&mut |page| {
            count += 1;
            assert!(!(page.rights.write && page.rights.execute), "{page:x?}");
            assert!(!page.rights.user, "{page:x?}");
        });
        assert!(count > 500, "only {count} pages: the walk saw too little");
    }
}

kernel_test! {
    /// What can be executed through one mapping can't be written through any other.
    fn code_is_writable_through_no_alias() {
        let code = walk::kernel_pages(|page| page.rights.execute);
        assert!(!code.is_empty());
        let text = loaded::physical(loaded::text());
        for page in &code {
            assert!(text.start <= page.physical && page.range().end <= text.end, "{page:x?}");
        }
        // The direct map too shows it: as something to read.
        let mut aliases = 0;
        every_page(&mut |page| {
            if page.physical < text.end && text.start < page.range().end {
                assert!(!page.rights.write, "{page:x?} is the kernel's code");
                aliases += 1;
            }
        });
        assert_eq!(aliases, 2 * code.len());
    }
}

kernel_test! {
    /// Code, constants and data of the image have the rights of their kind, and its frames.
    fn the_image_has_the_rights_of_its_parts() {
        for (range, rights) in [
            (loaded::text(), CODE),
            (loaded::constants(), CONSTANTS),
            (loaded::data(), DATA),
        ] {
            assert!(!range.is_empty() && range.start % 4096 == 0 && range.end % 4096 == 0);
            for (address, page) in pages(range).filter(|(at, _)| *at != loaded::stack_guard()) {
                if loaded::boot_tables().contains(&address) {
                    assert_eq!(page, None, "the boot tables are not the image's any more");
                    continue;
                }
                let page = page.unwrap_or_else(|| panic!("{address:#x} is not mapped"));
                assert_eq!(page.rights, rights, "{page:x?}");
                assert_eq!((page.bytes, page.physical), (4096, address - KERNEL_BASE));
            }
        }
        let here = the_image_has_the_rights_of_its_parts as *const () as u64;
        assert!(loaded::text().contains(&here));
        assert!(loaded::constants().contains(&(TEXT.as_ptr() as u64)));
        assert!(loaded::data().contains(&((&raw const VARIABLE) as u64)));
    }
}

static TEXT: &str = "a constant";
static VARIABLE: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(1);

kernel_test! {
    /// The direct map shows every frame of RAM at its place: for data, but for the image's constants
    /// and code, which it shows as constants.
    fn the_direct_map_covers_all_memory() {
        let read_only = loaded::physical(loaded::text().start..loaded::constants().end);
        let ranges = loaded::usable().iter().cloned().chain(loaded::modules());
        let mut covered = 0;
        for physical in ranges.flat_map(|range| range.step_by(4096)) {
            let address = direct_map::address(physical);
            assert!((DIRECT_MAP..DIRECT_MAP_END).contains(&address));
            let page = walk::page_of(walk::root(), address)
                .unwrap_or_else(|| panic!("{physical:#x} is not in the direct map"));
            assert_eq!(page.physical + (address - page.address), physical, "{page:x?}");
            let rights = if read_only.contains(&physical) { CONSTANTS } else { DATA };
            assert_eq!(page.rights, rights, "{page:x?}");
            covered += 1;
        }
        assert!(covered >= memory::total_frames());
    }
}

kernel_test! {
    /// The kernel's own tables map nothing in the lower half: what the boot code had there is gone.
    fn the_lower_half_is_empty() {
        let root = walk::root();
        for index in walk::LOWER {
            assert_eq!(walk::entry(root, index), 0, "top-level entry {index}");
        }
        PageTables::load_kernel();
        assert_eq!(walk::root(), root, "the tables that were loaded are the kernel's own");
    }
}

kernel_test! {
    /// Nothing is mapped in the upper half outside of the direct map, the window and the image.
    fn the_upper_half_has_three_parts() {
        let image = loaded::text().start..loaded::data().end;
        let parts = [DIRECT_MAP..DIRECT_MAP_END, WINDOW..WINDOW + WINDOW_BYTES, image];
        let mut counts = [0; 3];
        every_page(&mut |page| {
            let last = page.address + (page.bytes - 1);
            let within = |part: &Range<u64>| part.contains(&page.address) && part.contains(&last);
            let part = parts.iter().position(within);
            counts[part.unwrap_or_else(|| panic!("{page:x?} is in no part"))] += 1;
        });
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }
}

kernel_test! {
    /// Every address space has the kernel's upper half, and sees what the kernel maps later.
    fn address_spaces_share_the_upper_half() {
        let kernel = walk::root();
        let quota = Quota::root(64, 1 << 16).unwrap();
        let space = AddressSpace::new(&quota).unwrap();
        let top = || walk::UPPER.map(move |index| walk::entry(kernel, index));
        let before: alloc::vec::Vec<u64> = top().collect();
        space.enter();
        assert_ne!(walk::root(), kernel);
        for index in walk::UPPER {
            assert_eq!(walk::entry(walk::root(), index), walk::entry(kernel, index), "{index}");
        }
        assert!(walk::LOWER.into_iter().all(|index| walk::entry(walk::root(), index) == 0));

        // With the new space loaded, the heap grows by more than it had.
        let used = usage::bytes();
        let large = alloc::vec![0x5a_u8; 4 << 20];
        assert!(usage::bytes() >= used + (4 << 20));
        assert!(large.iter().all(|byte| *byte == 0x5a));
        assert!(top().eq(before), "a top-level entry appeared after boot");
        drop(large);
        AddressSpace::leave();
        assert_eq!(walk::root(), kernel);
        space.close();
    }
}
