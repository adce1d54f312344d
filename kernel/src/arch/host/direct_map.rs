//! Simulated physical memory: one allocation of the host's, which all CPUs share.

use std::{
    alloc::{Layout, alloc_zeroed, handle_alloc_error},
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::paging;
use crate::memory::frame::Frame;

/// Size of a frame in bytes.
pub const FRAME_BYTES: usize = 4096;

/// How much memory the machine has.
pub const RAM_BYTES: u64 = 128 << 20;

/// Whether this range of physical addresses touches the interrupt controller's.
pub fn is_own_device(range: &Range<u64>) -> bool {
    range.start < 0xfee0_1000 && 0xfee0_0000 < range.end
}

/// One past the highest physical address that page tables can name.
pub fn physical_end() -> u64 {
    1 << 40
}

/// Blocks up to this size are aligned to it.
const ALIGN: usize = 2 << 20;

/// Where the memory starts in the host's.
static RAM: LazyLock<usize> = LazyLock::new(|| {
    // Constants: it can't fail. Aligned, so that blocks are to their size, as on the real machine.
    let layout = Layout::from_size_align(RAM_BYTES as usize, ALIGN).expect("a layout");
    // SAFETY: the layout has a size.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        handle_alloc_error(layout);
    }
    start.expose_provenance()
});

/// Where physical address `physical` stands in the kernel's address space.
///
/// # Panics
/// Where the machine has no memory: the real one would fault at the first use.
pub fn address(physical: u64) -> u64 {
    assert!(physical < RAM_BYTES, "there is no memory at {physical:#x}");
    *RAM as u64 + physical
}

/// A pointer to the first byte of `frame`.
pub fn pointer(frame: Frame) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(address(frame.address()) as usize)
}

/// The frame that `pointer`, an address of the direct map's, lies in.
pub fn frame(pointer: *const u8) -> Frame {
    Frame::containing((pointer.addr() - *RAM) as u64)
}

/// Fills `frame` with zeroes. The frame belongs to the caller, who maps it nowhere yet.
///
/// # Panics
/// When a CPU may still reach the frame through an old translation.
pub fn zero(frame: Frame) {
    let stale = paging::stale_on(frame);
    assert!(stale.is_empty(), "{frame:?} is used anew while CPUs {stale:?} still reach it");
    // SAFETY: `pointer` has checked that the frame is memory; the caller owns it.
    unsafe { pointer(frame).write_bytes(0, FRAME_BYTES) }
}

/// Whether `frame`, which belongs to the caller, has nothing but zeroes.
///
/// # Panics
/// While a CPU may still reach the frame by what it was before.
pub fn is_zero(frame: Frame) -> bool {
    let stale = paging::stale_on(frame);
    assert!(stale.is_empty(), "{frame:?} is used anew while CPUs {stale:?} still reach it");
    // SAFETY: as in `zero`.
    unsafe { core::slice::from_raw_parts(pointer(frame), FRAME_BYTES) }
        .iter()
        .all(|byte| *byte == 0)
}

/// Copies all of frame `from` to frame `to`, which belongs to the caller, who maps it nowhere yet.
///
/// # Panics
/// When a CPU may still reach `to` through an old translation.
pub fn copy(from: Frame, to: Frame) {
    let stale = paging::stale_on(to);
    assert!(stale.is_empty(), "{to:?} is used anew while CPUs {stale:?} still reach it");
    // SAFETY: `pointer` has checked that both are memory; they are two, and the caller owns one.
    unsafe { pointer(to).copy_from_nonoverlapping(pointer(from), FRAME_BYTES) }
}

/// Copies words of 8 bytes, those with the numbers `words`, from frame `from` to frame `to`, as far as a frame goes.
pub fn copy_words(from: Frame, to: Frame, words: Range<usize>) {
    for word in words.start..words.end.min(FRAME_BYTES / 8) {
        let mut bytes = [0; 8];
        read(from, word * 8, &mut bytes);
        write(to, word * 8, &bytes);
    }
}

/// A word of 8 bytes in `frame`, number `word` of 512, which programs may read and write meanwhile.
fn shared(frame: Frame, word: usize) -> &'static AtomicU64 {
    let word = word % (FRAME_BYTES / 8);
    // SAFETY: all RAM is mapped here, and the word lies in the frame. Frames that programs have too hold no value
    // that Rust could count on, so for as long as it is used it is nothing but this.
    unsafe { AtomicU64::from_ptr(pointer(frame).cast::<u64>().add(word)) }
}

/// Reads a word, number `word` of 512, of a frame that programs may have too.
pub fn read_word(frame: Frame, word: usize) -> u64 {
    shared(frame, word).load(Relaxed)
}

/// Writes one.
pub fn write_word(frame: Frame, word: usize, value: u64) {
    shared(frame, word).store(value, Relaxed);
}

/// Copies `bytes` to `offset` of `frame`, as far as the frame goes. The frame belongs to the caller.
pub fn write(frame: Frame, offset: usize, bytes: &[u8]) {
    let length = bytes.len().min(FRAME_BYTES.saturating_sub(offset));
    // SAFETY: as above; the range ends within the frame.
    unsafe {
        pointer(frame).wrapping_add(offset).copy_from_nonoverlapping(bytes.as_ptr(), length);
    }
}

/// Copies from `offset` of `frame`, as a program does that has it mapped.
///
/// # Panics
/// When the range reaches over the frame's end.
pub fn read(frame: Frame, offset: usize, buffer: &mut [u8]) {
    assert!(offset + buffer.len() <= FRAME_BYTES, "a read over the frame's end");
    // SAFETY: the range lies in a frame that is memory. Only the host thread that holds the
    // machine uses frames, so nobody writes meanwhile.
    unsafe {
        pointer(frame)
            .wrapping_add(offset)
            .copy_to_nonoverlapping(buffer.as_mut_ptr(), buffer.len());
    }
}

/// The physical range as bytes.
///
/// # Safety
/// The range is RAM that the kernel owns, and nobody writes to it as long as the slice lives.
pub unsafe fn bytes(physical: u64, length: usize) -> &'static [u8] {
    assert!(physical + length as u64 <= RAM_BYTES, "there is no such memory");
    let start = core::ptr::with_exposed_provenance(address(physical) as usize);
    // SAFETY: within the memory; the rest the caller says.
    unsafe { core::slice::from_raw_parts(start, length) }
}
