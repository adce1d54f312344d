//! What quotas have in slabs, against a model that looks at every slab and every thing: allocated and freed
//! in any order, by several quotas, also after their processes have ended.
#![forbid(unsafe_code)]

use core::alloc::Layout;
use std::collections::BTreeMap;

use orbital_abi::Error;
use proptest::prelude::*;

use crate::{
    arch::{direct_map, host::machine},
    memory::{
        self,
        class::{Class, SLAB_BYTES},
    },
    object::{Paid, PaidRoom, Quota, Ref},
};

const SLAB: u64 = SLAB_BYTES as u64;
/// How many quotas there are, all carved out of one.
const OWNERS: usize = 3;
/// A large slab has 2^2 frames, where an owner has two slabs of such a class already.
const LARGE_ORDER: usize = 2;
const SMALL_SLABS: usize = 2;
/// What a box holds.
type Boxed = [u8; 150];

#[derive(Clone, Debug)]
enum Step {
    /// Memory of this size and alignment, for this owner.
    Allocate(usize, usize, usize),
    /// The same as a box.
    Box(usize),
    /// One of the things that there are, by its index, counted round.
    Free(usize),
    /// The owner's process has ended.
    ReturnUnused(usize),
    /// Nobody but its slabs knows of the owner any more.
    Forget(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (owner, align) = (0..OWNERS, (0..8_u32).prop_map(|shift| 1 << shift));
    // Many of one class, so that slabs are full, and many of the size of a TCB.
    let size = prop_oneof![200..257_usize, 800..961_usize, 0..400_usize, 0..4200_usize];
    let step = prop_oneof![
        60 => (owner.clone(), size, align).prop_map(|(owner, size, align)| Step::Allocate(owner, size, align)),
        6 => owner.clone().prop_map(Step::Box),
        35 => any::<usize>().prop_map(Step::Free),
        1 => owner.clone().prop_map(Step::ReturnUnused),
        1 => owner.prop_map(Step::Forget),
    ];
    prop::collection::vec(step, 0..500)
}

struct Slab {
    class: Class,
    order: usize,
    things: usize,
}

impl Slab {
    fn bytes(&self) -> u64 {
        SLAB << self.order
    }
}

struct Owner {
    /// As long as it is not forgotten.
    quota: Option<Ref<Quota>>,
    /// What has not gone back to whom it was carved out of.
    limit: u64,
    is_over: bool,
    /// By their addresses.
    slabs: BTreeMap<usize, Slab>,
}

impl Owner {
    fn used(&self) -> u64 {
        self.slabs.values().map(Slab::bytes).sum()
    }

    fn is_alive(&self) -> bool {
        self.quota.is_some() || !self.slabs.is_empty()
    }

    /// The slab for one more thing of `class`: one with room, or the order of a new one, or there is none.
    fn wants(&self, class: Class) -> Result<Option<usize>, Error> {
        let has_room = |slab: &Slab| slab.class == class && slab.things < class.objects(slab.order);
        if self.slabs.values().any(has_room) {
            return Ok(None);
        }
        let gains = |slab: &&Slab| slab.class.gains_by_large_slabs();
        let is_large = class.gains_by_large_slabs()
            && self.slabs.values().filter(gains).count() >= SMALL_SLABS;
        let left = self.limit - self.used();
        let orders = if is_large { &[LARGE_ORDER, 0][..] } else { &[0] };
        let found = orders.iter().copied().find(|order| SLAB << order <= left);
        let refusal = if self.is_over { Error::Ended } else { Error::QuotaExceeded };
        found.map(Some).ok_or(refusal)
    }
}

/// What was allocated.
enum Held {
    Room(PaidRoom),
    Box(Paid<Boxed>),
}

struct Thing {
    owner: usize,
    slab: usize,
    at: usize,
    /// What is written to all of it.
    size: usize,
    fill: u8,
    held: Held,
}

impl Thing {
    /// Where in a frame its bytes are, a frame at a time.
    fn pieces(&self) -> impl Iterator<Item = (memory::frame::Frame, usize, usize)> {
        let end = self.at + self.size;
        let mut at = self.at;
        core::iter::from_fn(move || {
            let (start, length) = (at % SLAB_BYTES, (end - at).min(SLAB_BYTES - at % SLAB_BYTES));
            let frame = direct_map::frame(core::ptr::with_exposed_provenance_mut(at));
            at += length;
            (length > 0).then_some((frame, start, length))
        })
    }

    fn write(&self) {
        for (frame, start, length) in self.pieces() {
            direct_map::write(frame, start, &vec![self.fill; length]);
        }
    }

    fn is_as_written(&self) -> bool {
        self.pieces().all(|(frame, start, length)| {
            let mut content = vec![0; length];
            direct_map::read(frame, start, &mut content);
            content.iter().all(|byte| *byte == self.fill)
        })
    }
}

struct Model {
    root: Ref<Quota>,
    owners: Vec<Owner>,
    things: Vec<Thing>,
    /// Frames that are free while there is nothing.
    free: u64,
    next_fill: u8,
}

impl Model {
    fn new(limits: [u64; OWNERS]) -> Self {
        let free = memory::free_frames();
        let root = Quota::root(0, 1 << 20).unwrap();
        let owners = limits.map(|frames| Owner {
            quota: Some(Quota::carve(&root, 0, frames * SLAB).unwrap()),
            limit: frames * SLAB,
            is_over: false,
            slabs: BTreeMap::new(),
        });
        Self { root, owners: owners.into(), things: Vec::new(), free, next_fill: 0 }
    }

    fn allocate(
        &mut self,
        owner: usize,
        layout: Layout,
        allocate: impl FnOnce(&Ref<Quota>) -> Result<(usize, Held), Error>,
    ) -> Result<(), TestCaseError> {
        let Some(quota) = &self.owners[owner].quota else { return Ok(()) };
        let class = Class::of(layout);
        let wanted = match class {
            Some(class) => self.owners[owner].wants(class),
            None => Err(Error::QuotaExceeded),
        };
        let (at, held) = match (allocate(quota), &wanted) {
            (Ok(found), Ok(_)) => found,
            (Ok(_), Err(_)) => return Err(TestCaseError::fail("more than it may have")),
            (Err(error), _) => {
                prop_assert_eq!(Err(error), wanted.map(drop));
                return Ok(());
            }
        };
        let (class, order) = (class.unwrap(), wanted.unwrap());
        prop_assert!(at.is_multiple_of(layout.align()), "{layout:?} at {at:#x}");
        let base = match order {
            Some(order) => self.add(owner, at & !((SLAB_BYTES << order) - 1), class, order)?,
            None => {
                let slabs = &mut self.owners[owner].slabs;
                let Some((base, slab)) = slabs.range_mut(..=at).next_back() else {
                    return Err(TestCaseError::fail("in nobody's slab"));
                };
                prop_assert!(slab.class == class && at < base + slab.bytes() as usize);
                slab.things += 1;
                *base
            }
        };
        let slab = &self.owners[owner].slabs[&base];
        prop_assert!(slab.things <= class.objects(slab.order));
        prop_assert!(at + class.bytes() <= base + slab.bytes() as usize, "within its slab");
        // No two things overlap, also by what they do not use of their class.
        let apart = |thing: &Thing| {
            let bytes = self.owners[thing.owner].slabs[&thing.slab].class.bytes();
            thing.at + bytes <= at || at + class.bytes() <= thing.at
        };
        prop_assert!(self.things.iter().all(apart));
        self.next_fill = self.next_fill.wrapping_add(1);
        let (size, fill) = (layout.size(), self.next_fill);
        let thing = Thing { owner, slab: base, at, size, fill, held };
        if let Held::Room(_) = thing.held {
            thing.write();
        }
        self.things.push(thing);
        Ok(())
    }

    /// A new slab with one thing.
    fn add(
        &mut self,
        owner: usize,
        base: usize,
        class: Class,
        order: usize,
    ) -> Result<usize, TestCaseError> {
        let end = base + (SLAB_BYTES << order);
        for (other, slab) in self.owners.iter().flat_map(|owner| &owner.slabs) {
            prop_assert!(other + slab.bytes() as usize <= base || end <= *other, "a new slab");
        }
        self.owners[owner].slabs.insert(base, Slab { class, order, things: 1 });
        Ok(base)
    }

    fn free(&mut self, index: usize) -> Result<(), TestCaseError> {
        if self.things.is_empty() {
            return Ok(());
        }
        let thing = self.things.swap_remove(index % self.things.len());
        match &thing.held {
            Held::Room(room) => {
                prop_assert_eq!(room.pointer().addr().get(), thing.at);
                prop_assert!(thing.is_as_written());
            }
            Held::Box(boxed) => prop_assert_eq!(**boxed, [thing.fill; size_of::<Boxed>()]),
        }
        let owner = &mut self.owners[thing.owner];
        let slab = owner.slabs.get_mut(&thing.slab).unwrap();
        slab.things -= 1;
        if slab.things == 0 {
            owner.slabs.remove(&thing.slab);
        }
        drop(thing.held);
        Ok(())
    }

    fn play(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Allocate(owner, size, align) => {
                let layout = Layout::from_size_align(size, align).unwrap();
                self.allocate(owner, layout, |quota| {
                    let room = PaidRoom::new(layout, quota)?;
                    Ok((room.pointer().as_ptr().expose_provenance(), Held::Room(room)))
                })
            }
            Step::Box(owner) => {
                let fill = self.next_fill.wrapping_add(1);
                self.allocate(owner, Layout::new::<Boxed>(), |quota| {
                    let boxed = Paid::new([fill; size_of::<Boxed>()], quota)?;
                    Ok(((&raw const *boxed).expose_provenance(), Held::Box(boxed)))
                })
            }
            Step::Free(index) => self.free(index),
            Step::ReturnUnused(owner) => {
                let owner = &mut self.owners[owner];
                if let Some(quota) = &owner.quota {
                    quota.return_unused();
                    (owner.limit, owner.is_over) = (owner.used(), true);
                }
                Ok(())
            }
            Step::Forget(owner) => {
                self.owners[owner].quota = None;
                Ok(())
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for owner in &self.owners {
            if let Some(quota) = &owner.quota {
                let usage = quota.usage();
                prop_assert_eq!(
                    usage.kernel_bytes_used,
                    owner.used(),
                    "each slab is charged whole"
                );
                prop_assert_eq!(usage.kernel_bytes_limit, owner.limit);
            }
        }
        let alive = || self.owners.iter().filter(|owner| owner.is_alive());
        // The quotas themselves share a slab of whom they were carved out of.
        let books = if alive().count() > 0 { SLAB } else { 0 };
        let carved: u64 = alive().map(|owner| owner.limit).sum();
        prop_assert_eq!(self.root.usage().kernel_bytes_used, books + carved);
        let slabs: u64 = self.owners.iter().map(Owner::used).sum();
        prop_assert_eq!(memory::free_frames(), self.free - (books + slabs) / SLAB);
        Ok(())
    }
}

proptest! {
    #[test]
    fn slabs_never_overlap_and_each_is_paid_whole(
        limits in [0..12_u64, 0..40_u64, 3..40_u64],
        steps in steps(),
    ) {
        let _machine = machine();
        let mut model = Model::new(limits);
        model.check()?;
        for step in steps {
            model.play(step)?;
            model.check()?;
        }
        while !model.things.is_empty() {
            model.free(7)?;
            model.check()?;
        }
        for owner in 0..OWNERS {
            model.play(Step::Forget(owner))?;
            model.check()?;
        }
        prop_assert_eq!(memory::free_frames(), model.free);
    }
}
