//! Memory, on the machine's own page tables.

use alloc::vec::Vec;

use kernel::memory;

use super::kernel_test;

kernel_test! {
    /// Frames are given out once, and come back.
    fn frames_are_given_out_once() {
        let before = memory::free_frames();
        let frames: Vec<_> = (0..64).map(|_| memory::allocate_frame().expect("a frame")).collect();
        for (index, frame) in frames.iter().enumerate() {
            assert!(!frames[..index].contains(frame), "{frame:?} was given out twice");
        }
        assert_eq!(memory::free_frames(), before - 64);
        for frame in frames {
            memory::free_frame(frame);
        }
        assert_eq!(memory::free_frames(), before);
    }
}
