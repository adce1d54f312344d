//! By which tag each CPU remembers the translations of which address space.
//!
//! A CPU that switches between a few spaces keeps what it knows of each. What it may have missed meanwhile is
//! seen by a number: a space counts how often something was taken away from it, before whoever did so asks which
//! CPUs have it loaded. A CPU says that it loads a space, and then reads the number: so it is asked, or it sees
//! that its knowledge is of the past, and forgets it. A tag that goes to another space is forgotten too.
#![forbid(unsafe_code)]

use core::cell::Cell;

use crate::{
    arch::{self, Tag},
    percpu::{MAX_CPUS, PerCpu},
};

/// The most tags that are used.
const MOST: usize = 8;

static TAGS: PerCpu<Tags> = PerCpu::new([const { Tags::new() }; MAX_CPUS]);

/// The tags of one CPU.
struct Tags {
    known: [Cell<Known>; MOST],
    /// Which one goes to the next space that has none.
    next: Cell<usize>,
}

/// What is remembered by a tag: of which space, and as of which number of changes. Spaces count from 1.
#[derive(Clone, Copy)]
struct Known {
    space: u64,
    changes: u64,
}

impl Tags {
    const fn new() -> Self {
        let known = [const { Cell::new(Known { space: 0, changes: 0 }) }; MOST];
        Self { known, next: Cell::new(0) }
    }
}

/// The tag by which this CPU remembers the space with this number, which has changed so often; `None` on a CPU
/// without tags.
#[inline(always)]
pub fn choose(space: u64, changes: u64) -> Option<Tag> {
    let count = arch::tags().min(MOST);
    (count != 0).then(|| choose_of(count, space, changes))
}

fn choose_of(count: usize, space: u64, changes: u64) -> Tag {
    let tags = TAGS.here();
    let now = Known { space, changes };
    let own = tags.known[..count].iter().position(|known| known.get().space == space);
    if let Some(tag) = own {
        let before = tags.known[tag].replace(now);
        return if before.changes == changes { Tag::Kept(tag) } else { Tag::New(tag) };
    }
    let tag = tags.next.get();
    tags.next.set((tag + 1) % count);
    tags.known[tag].set(now);
    Tag::New(tag)
}
