//! Mappings against a model: a list of pages.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{AT, Access, Error, Kernel, PAGE_SIZE, Wanted, frame, map, object, part, touch, unmap};

/// Page numbers are small, so that mappings meet often.
#[derive(Clone, Debug)]
enum Step {
    Map { at: u64, first: u64, pages: u64, access: Access },
    Unmap { at: u64, pages: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let access =
        prop_oneof![Just(Access::Read), Just(Access::ReadWrite), Just(Access::ReadExecute)];
    let map = (0..120_u64, 0..50_u64, 0..50_u64, access)
        .prop_map(|(at, first, pages, access)| Step::Map { at, first, pages, access });
    let unmap = (0..120_u64, 0..80_u64).prop_map(|(at, pages)| Step::Unmap { at, pages });
    prop::collection::vec(prop_oneof![map, unmap], 0..40)
}

/// One mapping: where it ends, which page of the object it starts with, and its access.
type Mapped = BTreeMap<u64, (u64, u64, Access)>;

fn overlapping(mapped: &Mapped, at: u64, end: u64) -> Vec<(u64, u64)> {
    let all = mapped.iter().map(|(start, (end, ..))| (*start, *end));
    all.filter(|(start, its_end)| *start < end && at < *its_end).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_page_leads_where_the_last_mapping_said(steps in steps()) {
        let kernel = Kernel::boot();
        let process = kernel.process("p");
        let object = object(60, &kernel.init.quota);
        let mut mapped = Mapped::new();
        // Over the border of two tables.
        let base = AT - 64 * PAGE_SIZE;
        for step in steps {
            match step {
                Step::Map { at, first, pages, access } => {
                    let end = at + pages;
                    let expected = if first + pages > 60 || pages == 0 {
                        Err(Error::InvalidArgument)
                    } else if !overlapping(&mapped, at, end).is_empty() {
                        Err(Error::AddressInUse)
                    } else {
                        mapped.insert(at, (end, first, access));
                        Ok(())
                    };
                    let address = base + at * PAGE_SIZE;
                    let mapping = part(&object, address, first, pages, access);
                    prop_assert_eq!(map(&process.space, &mapping), expected);
                }
                Step::Unmap { at, pages } => {
                    let end = at + pages;
                    let expected = if pages == 0 {
                        Err(Error::InvalidArgument)
                    } else {
                        for (start, _) in overlapping(&mapped, at, end) {
                            let (its_end, first, access) = mapped.remove(&start).unwrap();
                            if start < at {
                                mapped.insert(start, (at, first, access));
                            }
                            if end < its_end {
                                mapped.insert(end, (its_end, first + end - start, access));
                            }
                        }
                        Ok(())
                    };
                    prop_assert_eq!(unmap(&process.space, base + at * PAGE_SIZE, pages), expected);
                }
            }
            for page in 0..180 {
                let holding = mapped.range(..=page).next_back().filter(|(_, (end, ..))| page < *end);
                let expected = holding.map(|(start, (_, first, access))| {
                    (frame(&object, first + page - start).unwrap(), *access)
                });
                let address = base + page * PAGE_SIZE;
                prop_assert_eq!(touch(&process.space, address, Wanted::Read), expected.is_some());
                let found = process.space.translate(address);
                prop_assert_eq!(found.map(|found| (found.frame, found.access)), expected);
            }
        }
    }
}
