//! The sizes that slabs hand out, and how large slabs are.
#![forbid(unsafe_code)]

use core::alloc::Layout;

/// Size of a slab that is one frame, as most are.
pub const SLAB_BYTES: usize = 4096;
/// The order of a large slab, four frames.
pub(super) const LARGE_ORDER: usize = 2;
/// Its first bytes are its header's. As many as the largest alignment, so that an object whose size is a
/// multiple of that has it too.
pub(super) const HEADER_BYTES: usize = 64;

/// How many sizes there are.
pub const CLASSES: usize = 13;

/// The sizes in bytes, multiples of 16: most are what is left when so many share a slab, so that little
/// of it is wasted. A TCB is one of 960 bytes: 4 in a slab, 17 in a large one.
const SIZES: [u16; CLASSES] = [64, 96, 128, 192, 256, 320, 448, 576, 672, 960, 1344, 2016, 4032];

/// A size that slabs hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(u8);

impl Class {
    /// The smallest that fits; `None` where an object of the layout fits into no slab.
    pub const fn of(layout: Layout) -> Option<Self> {
        let mut class = 0;
        while class < CLASSES {
            let size = SIZES[class] as usize;
            // Objects stand one after the other behind the header.
            let aligned = layout.align() <= 16
                || layout.align() <= HEADER_BYTES && size.is_multiple_of(layout.align());
            if layout.size() <= size && aligned {
                return Some(Self(class as u8));
            }
            class += 1;
        }
        None
    }

    /// The class of a type's objects. A type that fits into no slab does not compile.
    pub const fn of_type<T>() -> Self {
        match Self::of(Layout::new::<T>()) {
            Some(class) => class,
            None => panic!("too large for a slab"),
        }
    }

    /// Every class, the smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CLASSES as u8).map(Self)
    }

    /// Its place among the classes.
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Bytes of an object.
    pub const fn bytes(self) -> usize {
        SIZES[self.0 as usize] as usize
    }

    /// How many objects share a slab of 2^`order` frames.
    pub const fn objects(self, order: usize) -> usize {
        ((SLAB_BYTES << order) - HEADER_BYTES) / self.bytes()
    }

    /// Whether large slabs are worth while: few share a small one, and more a large one than four small
    /// ones.
    pub const fn gains_by_large_slabs(self) -> bool {
        GAINS[self.index()]
    }
}

/// Which classes gain by large slabs: known beforehand, for it takes divisions to find out.
const GAINS: [bool; CLASSES] = {
    let mut gains = [false; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let small = Class(class as u8).objects(0);
        gains[class] = small <= 4 && Class(class as u8).objects(LARGE_ORDER) > small << LARGE_ORDER;
        class += 1;
    }
    gains
};

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn the_smallest_class_that_fits_is_chosen() {
        let mut least = 0;
        for class in Class::all() {
            for size in [least, least + 1, class.bytes()] {
                assert_eq!(Class::of(layout(size, 16)), Some(class), "{size} bytes");
            }
            least = class.bytes() + 1;
        }
        assert_eq!(Class::of(layout(SLAB_BYTES - HEADER_BYTES + 1, 1)), None);
        assert_eq!(Class::of(layout(usize::MAX / 2, 1)), None);
    }

    #[test]
    fn alignments_are_kept_or_refused() {
        for align in [1, 2, 4, 8, 16, 32, 64] {
            for size in [0, 1, 63, 300, 700, 900, 1100, 3000] {
                let class = Class::of(layout(size, align)).unwrap();
                assert!(class.bytes().is_multiple_of(align) && class.bytes() >= size);
            }
        }
        assert_eq!(Class::of(layout(8, 128)), None);
    }

    #[test]
    fn little_of_a_slab_is_wasted() {
        for class in Class::all() {
            let (order, least) = match class.gains_by_large_slabs() {
                true => (LARGE_ORDER, 1),
                false => (0, 250),
            };
            let used = class.objects(order) * class.bytes();
            let wasted = (SLAB_BYTES << order) - HEADER_BYTES - used;
            assert!(wasted < least && wasted < class.bytes(), "{class:?}: {wasted} bytes");
        }
        let large: Vec<_> = Class::all().filter(|class| class.gains_by_large_slabs()).collect();
        assert_eq!(large.iter().map(|class| class.bytes()).collect::<Vec<_>>(), [960]);
    }
}
