//! Values that each thread has for itself.
//!
//! A thread's first use of one allocates its block and points FS there; so a thread that uses none has nothing to save
//! when it leaves its CPU. The runtime drops the values when a thread of [`spawn`](crate::thread::spawn) returns. A thread
//! that uses them must not set the base of FS by itself; others may, and end with whatever they have there.
//!
//! Needs the instructions for bases (FSGSBASE), which every x86_64 processor since 2018 has; there is no system call for it.

use alloc::{boxed::Box, vec::Vec};
use core::{
    any::Any,
    cell::RefCell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// One value for each thread that asks for it, made when it does.
pub struct LocalKey<T: 'static> {
    /// Its place in the threads' blocks, plus one; 0 until it is needed.
    number: AtomicUsize,
    make: fn() -> T,
}

/// What a thread has: its values, by the numbers of their keys.
struct Block {
    values: RefCell<Vec<Option<Box<dyn Any>>>>,
}

impl<T: 'static> LocalKey<T> {
    /// Values that `make` makes.
    pub const fn new(make: fn() -> T) -> Self {
        Self { number: AtomicUsize::new(0), make }
    }

    /// Runs `f` on the calling thread's value.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let number = self.number();
        let block = machine::block();
        if let Some(value) = block.find::<T>(number) {
            return f(value);
        }
        // Not borrowed meanwhile: it may ask for others.
        let made: Box<dyn Any> = Box::new((self.make)());
        block.insert(number, made);
        f(block.find(number).expect("it was put there"))
    }

    fn number(&self) -> usize {
        /// How many keys are in use.
        static KEYS: AtomicUsize = AtomicUsize::new(0);
        let number = self.number.load(Relaxed);
        if number != 0 {
            return number;
        }
        let new = KEYS.fetch_add(1, Relaxed) + 1;
        match self.number.compare_exchange(0, new, Relaxed, Relaxed) {
            Ok(_) => new,
            // Another thread was quicker; a number is lost.
            Err(theirs) => theirs,
        }
    }
}

impl Block {
    const fn new() -> Self {
        Self { values: RefCell::new(Vec::new()) }
    }

    fn find<T: 'static>(&self, number: usize) -> Option<&T> {
        let values = self.values.borrow();
        let value: *const T = values.get(number - 1)?.as_ref()?.downcast_ref()?;
        // SAFETY: a value stays in its box until the thread returns, when nothing of it runs any more but what drops
        // values, and those are taken out first.
        Some(unsafe { &*value })
    }

    fn insert(&self, number: usize, value: Box<dyn Any>) {
        let mut values = self.values.borrow_mut();
        if values.len() < number {
            values.resize_with(number, || None);
        }
        values[number - 1] = Some(value);
    }

    /// Takes all values out. Those that dropping one makes anew are dropped too.
    fn drop_values(&self) {
        loop {
            let values = self.values.take();
            if values.is_empty() {
                return;
            }
            drop(values);
        }
    }
}

/// Drops the calling thread's values: before it ends.
///
/// # Safety
/// No reference to one of them is used any more.
pub(crate) unsafe fn drop_all() {
    // SAFETY: the caller's.
    drop(unsafe { machine::take() });
}

#[cfg(target_os = "none")]
mod machine {
    use alloc::{boxed::Box, collections::BTreeSet};
    use core::{arch::asm, arch::x86_64::__cpuid_count};

    use super::Block;
    use crate::sync::Mutex;

    /// The addresses of all blocks: what a thread has in FS at its end may be its own.
    static BLOCKS: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

    /// The calling thread's, which is made if there is none.
    pub(super) fn block<'a>() -> &'a Block {
        assert!(has_bases(), "thread-local values need a processor with FSGSBASE");
        let mut base = base();
        if base.is_null() {
            base = Box::into_raw(Box::new(Block::new()));
            BLOCKS.lock().insert(base as usize);
            set_base(base);
        }
        // SAFETY: it is this thread's, until that ends.
        unsafe { &*base }
    }

    /// Takes it away, if there is one.
    ///
    /// # Safety
    /// Nobody uses it any more.
    pub(super) unsafe fn take() -> Option<Box<Block>> {
        if !has_bases() || base().is_null() || !BLOCKS.lock().contains(&(base() as usize)) {
            return None;
        }
        let base = base();
        // It stays in place while values are dropped that use others.
        // SAFETY: it came out of a box, and is given back once: FS is no thread's any more that runs on.
        unsafe { (*base).drop_values() };
        BLOCKS.lock().remove(&(base as usize));
        set_base(core::ptr::null_mut());
        // SAFETY: as above.
        Some(unsafe { Box::from_raw(base) })
    }

    fn base() -> *mut Block {
        let base;
        // SAFETY: the instruction is there: whoever asks has looked.
        unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
        base
    }

    fn set_base(base: *mut Block) {
        // SAFETY: as above; a thread without a block of its own has no use for FS.
        unsafe { asm!("wrfsbase {}", in(reg) base, options(nostack, preserves_flags)) };
    }

    /// Leaf 7 of CPUID, EBX, bit 0 (Intel SDM volume 2, CPUID).
    fn has_bases() -> bool {
        __cpuid_count(7, 0).ebx & 1 != 0
    }
}

#[cfg(not(target_os = "none"))]
mod machine {
    use std::{boxed::Box, cell::Cell, ptr, thread_local};

    use super::Block;

    thread_local! {
        static BLOCK: Cell<*mut Block> = const { Cell::new(ptr::null_mut()) };
    }

    pub(super) fn block<'a>() -> &'a Block {
        if BLOCK.get().is_null() {
            BLOCK.set(Box::into_raw(Box::new(Block::new())));
        }
        // SAFETY: it is this thread's, until that takes it away.
        unsafe { &*BLOCK.get() }
    }

    /// # Safety
    /// Nobody uses it any more.
    pub(super) unsafe fn take() -> Option<Box<Block>> {
        let block = BLOCK.get();
        if block.is_null() {
            return None;
        }
        // SAFETY: it came out of a box; it stays in place while values are dropped that use others.
        unsafe { (*block).drop_values() };
        BLOCK.set(ptr::null_mut());
        // SAFETY: as above, and it is given back once.
        Some(unsafe { Box::from_raw(block) })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::{LocalKey, drop_all};

    #[test]
    fn each_thread_has_its_own_value() {
        static NUMBER: LocalKey<Cell<u32>> = LocalKey::new(|| Cell::new(1));
        static OTHER: LocalKey<Cell<u32>> =
            LocalKey::new(|| Cell::new(NUMBER.with(Cell::get) + 10));
        NUMBER.with(|number| number.set(2));
        thread::spawn(|| {
            assert_eq!((OTHER.with(Cell::get), NUMBER.with(Cell::get)), (11, 1));
            NUMBER.with(|number| number.set(3));
        })
        .join()
        .unwrap();
        assert_eq!((NUMBER.with(Cell::get), OTHER.with(Cell::get)), (2, 12));
    }

    #[test]
    fn values_are_dropped_with_their_thread_and_those_that_are_made_meanwhile() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        static LATE: LocalKey<Token> = LocalKey::new(|| Token(false));
        static EARLY: LocalKey<Token> = LocalKey::new(|| Token(true));

        struct Token(bool);
        impl Drop for Token {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                if self.0 {
                    LATE.with(|_| ());
                }
            }
        }

        thread::spawn(|| {
            EARLY.with(|_| ());
            // SAFETY: no reference is kept.
            unsafe { drop_all() };
            assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
            EARLY.with(|_| ());
            // SAFETY: as above.
            unsafe { drop_all() };
        })
        .join()
        .unwrap();
        assert_eq!(DROPPED.load(Ordering::Relaxed), 4);
    }
}
