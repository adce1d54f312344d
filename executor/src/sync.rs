//! The atomics and cells: the CPU's, or loom's where the models are checked.
#![forbid(unsafe_code)]

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

#[cfg(loom)]
pub use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};

/// Makes a constructor `const`, except under loom, whose atomics can't be made at compile time.
macro_rules! const_unless_loom {
    ($(#[$attribute:meta])* pub fn $($rest:tt)*) => {
        #[cfg(not(loom))]
        $(#[$attribute])*
        pub const fn $($rest)*

        #[cfg(loom)]
        $(#[$attribute])*
        pub fn $($rest)*
    };
    ($(#[$attribute:meta])* pub unsafe fn $($rest:tt)*) => {
        #[cfg(not(loom))]
        $(#[$attribute])*
        pub const unsafe fn $($rest)*

        #[cfg(loom)]
        $(#[$attribute])*
        pub unsafe fn $($rest)*
    };
}
pub(crate) use const_unless_loom;

/// A cell with loom's interface: loom's own reports whoever touches it without having the right to.
#[cfg(not(loom))]
pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    /// A cell around `value`.
    pub const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer that may be written through while nobody else has one.
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// One turn of a short wait.
pub fn spin() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Stands between a sequentially consistent read-modify-write and a sequentially consistent load
/// whose order counts. These need no fence (and on x86 the locked instruction is one), but loom
/// takes them for acquire and release, and orders a store before a load by a fence alone.
pub fn store_before_load() {
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}
