//! The kernel's view of physical memory: all RAM, mapped once in the upper half.

use core::{
    arch::asm,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::layout::DIRECT_MAP;
use crate::memory::frame::Frame;

/// Size of a frame in bytes.
pub const FRAME_BYTES: usize = 4096;

/// Where physical address `physical` stands in the kernel's address space.
#[inline]
pub fn address(physical: u64) -> u64 {
    DIRECT_MAP + physical
}

/// A pointer to the first byte of `frame`.
#[inline]
pub fn pointer(frame: Frame) -> *mut u8 {
    address(frame.address()) as *mut u8
}

/// The frame that `pointer`, an address of the direct map's, lies in.
#[inline]
pub fn frame(pointer: *const u8) -> Frame {
    Frame::containing(pointer.addr() as u64 - DIRECT_MAP)
}

/// Fills `frame` with zeroes. The frame belongs to the caller, who maps it nowhere yet.
pub fn zero(frame: Frame) {
    // SAFETY: all RAM is mapped here; the caller owns the frame, so nobody else holds a reference
    // into it.
    unsafe { pointer(frame).write_bytes(0, FRAME_BYTES) }
}

/// Whether `frame`, which belongs to the caller, has nothing but zeroes. Looks at eight words at a time: what debug
/// builds check takes time with interrupts off, too.
pub fn is_zero(frame: Frame) -> bool {
    // SAFETY: as in `zero`; a frame is as many words, and every value of one is a `u64`.
    let words = unsafe { &*pointer(frame).cast::<[[u64; 8]; 64]>() };
    words.iter().all(|[a, b, c, d, e, f, g, h]| a | b | c | d | e | f | g | h == 0)
}

/// Copies all of frame `from` to frame `to`, which belongs to the caller, who maps it nowhere yet.
pub fn copy(from: Frame, to: Frame) {
    // SAFETY: all RAM is mapped here; they are two frames, and the caller owns one. A program that writes
    // the other meanwhile writes no value that Rust keeps.
    unsafe { pointer(to).copy_from_nonoverlapping(pointer(from), FRAME_BYTES) }
}

/// Copies words of 8 bytes, those with the numbers `words`, from frame `from` to frame `to`, as far as a frame goes.
/// Programs may have both mapped, and read and write them meanwhile.
#[inline(always)]
pub fn copy_words(from: Frame, to: Frame, words: Range<usize>) {
    let start = words.start.min(FRAME_BYTES / 8);
    let count = words.end.min(FRAME_BYTES / 8).saturating_sub(start);
    let start = start * 8;
    // SAFETY: all RAM is mapped here, and the range lies within both frames. For Rust no value stands there that
    // a program could change: the instruction moves whatever it finds. The direction flag is clear in the kernel.
    unsafe {
        asm!(
            "rep movsq",
            inout("rcx") count => _,
            inout("rsi") pointer(from).wrapping_add(start) => _,
            inout("rdi") pointer(to).wrapping_add(start) => _,
            options(nostack, preserves_flags),
        );
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

/// The physical range as bytes.
///
/// # Safety
/// The range is RAM that the kernel owns, and nobody writes to it as long as the slice lives.
pub unsafe fn bytes(physical: u64, length: usize) -> &'static [u8] {
    // SAFETY: the caller says so.
    unsafe { core::slice::from_raw_parts(address(physical) as *const u8, length) }
}
