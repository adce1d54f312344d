//! Points at which another CPU may be faster: the kernel passes one wherever it asks the machine for
//! something, on the host thread that plays its CPU. A fixture that plays several CPUs has a function
//! there that lets others go on.
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};
use std::rc::Rc;

type Others = Rc<dyn Fn()>;

std::thread_local! {
    static OTHERS: RefCell<Option<Others>> = const { RefCell::new(None) };
    /// Whether the kernel is at work on a CPU, and not a test or the machine itself.
    static IN_KERNEL: Cell<bool> = const { Cell::new(false) };
}

/// From here on `others` is called at each point.
pub fn set_others(others: impl Fn() + 'static) {
    OTHERS.set(Some(Rc::new(others)));
}

/// Such a point.
pub(super) fn point() {
    if IN_KERNEL.get()
        && let Some(others) = OTHERS.with_borrow(Option::clone)
    {
        without(|| others());
    }
}

/// The kernel is at work while `f` runs.
pub(super) fn within<R>(f: impl FnOnce() -> R) -> R {
    let _before = Before(IN_KERNEL.replace(true));
    f()
}

/// A program is at work, or a test, while `f` runs.
pub fn without<R>(f: impl FnOnce() -> R) -> R {
    let _before = Before(IN_KERNEL.replace(false));
    f()
}

/// What was, for when it ends, be it by a panic.
struct Before(bool);

impl Drop for Before {
    fn drop(&mut self) {
        IN_KERNEL.set(self.0);
    }
}

/// Nobody is called any more.
pub(super) fn reset() {
    drop(OTHERS.take());
}
