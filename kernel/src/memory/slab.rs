//! Slabs: memory for kernel objects, taken and given back in a few steps.
//!
//! A slab is one frame, reached through the direct map. It holds objects of one [`Class`] for one owner,
//! a quota, which is charged for the whole of it. That is the point: if owners shared slabs, a process
//! could make objects all over the machine's slabs and free all but one in each, and so hold a page with
//! every few bytes that it pays for; what others were promised would not be there. As it is, whoever
//! breaks up slabs breaks up its own.
//!
//! ```text
//!  frame:  header │ object │ object │ free ──► object │ free ─┐ │ never used …
//!                     ▲ `used` of them        ▲───────────────┘
//! ```
//!
//! ```text
//!            1            2            3
//!   frame ─────► partial ─────► full ─────► partial
//!     ▲             │ 4
//!     └─────────────┘
//! ```
//! 1. the owner has no slab of the class with room; 2. the last place is taken; 3. one is given back: the
//! slab stands on its owner's list again; 4. the last object is gone: the frame goes back at once. Free
//! frames wait in the frame allocator's caches of each CPU, not here, so that nobody has memory idle
//! that others were promised.
//!
//! A slab is one frame, so that it can be had whenever any frame is free: larger blocks could be broken
//! up by whoever frees every other frame. Where much of a frame would be wasted, as with TCBs, and the
//! owner has a few slabs of the class already, a block of four frames is tried first, and one frame taken
//! where there is none. An object's address, rounded down to that of the frame or the block, is that of
//! its slab's header, which names the owner: objects need no word for who paid. Of a class that has both,
//! the frame allocator's books tell frames and blocks apart.
//!
//! The owner's lock guards its list and its slabs' headers, but for what never changes: owner, class and
//! frame.

use core::ptr::NonNull;

use super::{
    class::{CLASSES, Class, HEADER_BYTES, LARGE_ORDER, SLAB_BYTES},
    frame::Frame,
    owners, usage,
};
use crate::arch::direct_map;

/// So many frames' worth of slabs of a class an owner has before it gets large ones.
const SMALL_SLABS: u32 = 2;

/// What stands at a slab's start.
#[repr(C)]
struct Header {
    owner: NonNull<()>,
    frame: Frame,
    class: Class,
    order: u8,
    /// Objects that it has room for.
    room: u16,
    /// Objects in use.
    used: u16,
    /// Places that were in use at some time: those behind are in no list.
    touched: u16,
    /// Places that were given back, each with a pointer to the next.
    free: Option<NonNull<FreePlace>>,
    /// Neighbours among the owner's slabs of this class with room.
    next: Option<NonNull<Header>>,
    previous: Option<NonNull<Header>>,
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES);

struct FreePlace {
    next: Option<NonNull<FreePlace>>,
}

/// An owner's slabs that have room, by class. Full ones are in no list: their objects lead to them.
pub struct Slabs {
    partial: [Option<NonNull<Header>>; CLASSES],
    /// How many slabs there are of classes that gain by large ones.
    of_such: u32,
}

/// A slab without objects any more: a block of its owner's, to be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emptied {
    /// Its first frame.
    pub frame: Frame,
    /// It has 2^`order` frames.
    pub order: usize,
}

// SAFETY: the slabs are the owner's alone, and can be used by any CPU that has its lock.
unsafe impl Send for Slabs {}

/// A slab that has an object.
#[derive(Clone, Copy)]
pub struct Slab(NonNull<Header>);

impl Slab {
    /// The slab in which `memory` lies, an object of `class`.
    ///
    /// # Safety
    /// `memory` came from [`Slabs::allocate`] for that class and was not given back.
    #[inline]
    pub unsafe fn of(memory: NonNull<u8>, class: Class) -> Self {
        // Frames in blocks are not allocated by themselves.
        let is_large =
            class.gains_by_large_slabs() && owners(direct_map::frame(memory.as_ptr())) == 0;
        let order = if is_large { LARGE_ORDER } else { 0 };
        let inside = memory.addr().get() % (SLAB_BYTES << order);
        // SAFETY: the slab starts where its frame or block does, and no object lies at its very start.
        Self(unsafe { memory.byte_sub(inside) }.cast())
    }

    /// Its owner, as [`Slabs::add`] was told. Needs no lock.
    ///
    /// # Safety
    /// The slab still has an object.
    #[inline]
    pub unsafe fn owner(self) -> NonNull<()> {
        // SAFETY: the caller's; the owner is written once, before the first object is handed out.
        unsafe { (&raw const (*self.0.as_ptr()).owner).read() }
    }
}

impl Slabs {
    /// No slabs.
    pub const fn new() -> Self {
        Self { partial: [None; CLASSES], of_such: 0 }
    }

    /// Room for an object of `class`; `None` where a slab must be added first.
    #[inline]
    pub fn allocate(&mut self, class: Class) -> Option<NonNull<u8>> {
        let mut slab = self.partial[class.index()]?;
        // SAFETY: what is in the list are slabs of this owner's, and `&mut self` says that its lock is held.
        let header = unsafe { slab.as_mut() };
        let place = match header.free {
            Some(place) => {
                // SAFETY: a place in the list of free ones holds a pointer to the next.
                header.free = unsafe { place.as_ref() }.next;
                place.cast()
            }
            None => {
                let offset = HEADER_BYTES + usize::from(header.touched) * class.bytes();
                header.touched += 1;
                // SAFETY: a slab with room and no free place has one that was never used.
                unsafe { slab.byte_add(offset) }.cast()
            }
        };
        header.used += 1;
        if header.used == header.room {
            self.unlink(slab);
        }
        usage::taken(class.bytes());
        Some(place)
    }

    /// The order of the block that the next slab of `class` should be; 0 will do in any case.
    pub fn wanted_order(&self, class: Class) -> usize {
        let wants_large = class.gains_by_large_slabs() && self.of_such >= SMALL_SLABS;
        if wants_large { LARGE_ORDER } else { 0 }
    }

    /// Makes a block of 2^`order` frames a slab for objects of `class`. `owner` is what [`Slab::owner`] gives
    /// for each of them.
    ///
    /// # Safety
    /// The block is the caller's, allocated with this order, 0 or what [`Slabs::wanted_order`] said, who
    /// uses it in no other way until [`Slabs::free`] gives it back.
    pub unsafe fn add(&mut self, frame: Frame, order: usize, class: Class, owner: NonNull<()>) {
        let Some(slab) = NonNull::new(direct_map::pointer(frame).cast::<Header>()) else { return };
        self.of_such += u32::from(class.gains_by_large_slabs());
        let (room, order) = (class.objects(order) as u16, order as u8);
        let (used, touched, free, next, previous) = (0, 0, None, None, None);
        let header =
            Header { owner, frame, class, order, room, used, touched, free, next, previous };
        // SAFETY: the block is the caller's, and the direct map shows it.
        unsafe { slab.write(header) };
        self.link(slab);
    }

    /// Takes back what [`Slabs::allocate`] gave, and lies in `slab`. Gives the slab's block where that was the
    /// last object in it: then it is the caller's, to be freed.
    ///
    /// # Safety
    /// `memory` came from `allocate` of these slabs, is given back once, and nobody uses it any more.
    #[inline]
    pub unsafe fn free(&mut self, Slab(mut slab): Slab, memory: NonNull<u8>) -> Option<Emptied> {
        // SAFETY: the slab is this owner's, and `&mut self` says that its lock is held.
        let header = unsafe { slab.as_mut() };
        let class = header.class;
        usage::given_back(class.bytes());
        let was_full = header.used == header.room;
        debug_assert!(header.used > 0, "an object was given back twice");
        header.used -= 1;
        if header.used == 0 {
            let emptied = Emptied { frame: header.frame, order: header.order.into() };
            if !was_full {
                self.unlink(slab);
            }
            self.of_such -= u32::from(class.gains_by_large_slabs());
            return Some(emptied);
        }
        let place = memory.cast::<FreePlace>();
        // SAFETY: nobody uses the memory any more, and every class has room for a pointer.
        unsafe { place.write(FreePlace { next: header.free }) };
        header.free = Some(place);
        if was_full {
            self.link(slab);
        }
        None
    }

    /// Whether no slab has room: so it is where there is none.
    pub fn is_empty(&self) -> bool {
        self.partial.iter().all(Option::is_none)
    }

    /// Puts a slab with room onto its list.
    fn link(&mut self, mut slab: NonNull<Header>) {
        // SAFETY: the slab is this owner's, and in no list; the other one is the list's first.
        unsafe {
            let header = slab.as_mut();
            let first = &mut self.partial[header.class.index()];
            (header.previous, header.next) = (None, *first);
            if let Some(mut next) = *first {
                next.as_mut().previous = Some(slab);
            }
            *first = Some(slab);
        }
    }

    /// Takes a slab off its list.
    fn unlink(&mut self, mut slab: NonNull<Header>) {
        // SAFETY: the slab is this owner's, and so are its neighbours, which are others.
        unsafe {
            let header = slab.as_mut();
            let (previous, next) = (header.previous.take(), header.next.take());
            match previous {
                Some(mut previous) => previous.as_mut().next = next,
                None => self.partial[header.class.index()] = next,
            }
            if let Some(mut next) = next {
                next.as_mut().previous = previous;
            }
        }
    }
}

impl Default for Slabs {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Slabs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("slabs")
    }
}
