//! The word in a cell: the caller and what it lends, or what there is in place of a call.
#![forbid(unsafe_code)]

use core::ptr;

use crate::thread::Tcb;

/// No call.
pub(super) const NOTHING: *mut Tcb = ptr::null_mut();
/// A call whose caller has given up, or ended.
pub(super) const GONE: *mut Tcb = ptr::without_provenance_mut(1 << LENT_BITS);
/// A kept call that someone is about to answer, or to put back.
pub(super) const IN_HAND: *mut Tcb = ptr::without_provenance_mut(2 << LENT_BITS);
/// Below the caller's address stands the priority that it lends: the eight bits above are all alike in an address.
const LENT_BITS: u32 = u8::BITS;

/// The caller, and what it lends.
#[inline]
pub(super) fn pack(caller: *mut Tcb, lends: u8) -> *mut Tcb {
    caller.map_addr(|address| address << LENT_BITS | usize::from(lends))
}

/// The caller.
#[inline]
pub(super) fn caller(word: *mut Tcb) -> *mut Tcb {
    word.map_addr(|bits| (bits.cast_signed() >> LENT_BITS).cast_unsigned())
}

/// Whether it is one, and none of the other values.
#[inline]
pub(super) fn is_call(word: *mut Tcb) -> bool {
    word.addr() > IN_HAND.addr()
}

/// What it lends.
#[inline]
pub(super) fn lends(word: *mut Tcb) -> u8 {
    word.addr() as u8
}
