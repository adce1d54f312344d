//! Wakers: a pointer to a task header and nothing else.

use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull,
    task::{RawWaker, RawWakerVTable, Waker},
};

use crate::task::TaskHeader;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

fn header(pointer: *const ()) -> NonNull<TaskHeader> {
    // SAFETY: only the functions below make wakers, from pointers that are not null.
    unsafe { NonNull::new_unchecked(pointer.cast_mut().cast()) }
}

fn raw(task: NonNull<TaskHeader>) -> RawWaker {
    RawWaker::new(task.as_ptr().cast_const().cast(), &VTABLE)
}

unsafe fn clone(pointer: *const ()) -> RawWaker {
    let task = header(pointer);
    // SAFETY: the waker that is cloned keeps the task alive.
    unsafe { (task.as_ref().vtable().retain)(task) };
    raw(task)
}

unsafe fn wake(pointer: *const ()) {
    // SAFETY: the waker that is used up keeps the task alive until `drop`.
    unsafe {
        wake_by_ref(pointer);
        drop(pointer);
    }
}

unsafe fn wake_by_ref(pointer: *const ()) {
    // SAFETY: the waker keeps the task alive, and was made from a pointer to all of it.
    unsafe { TaskHeader::wake(header(pointer)) };
}

unsafe fn drop(pointer: *const ()) {
    let task = header(pointer);
    // SAFETY: the waker's reference is given back here; the vtable is not the task's memory.
    unsafe { (task.as_ref().vtable().release)(task) };
}

/// A waker for a task that outlives it: no reference is counted. Clones of it are.
pub struct WakerRef<'a> {
    waker: ManuallyDrop<Waker>,
    _task: PhantomData<&'a TaskHeader>,
}

/// The waker of `task`, borrowed.
///
/// # Safety
/// `task` may be used for the whole task, which lives as long as the result.
pub unsafe fn waker_ref<'a>(task: NonNull<TaskHeader>) -> WakerRef<'a> {
    // SAFETY: the vtable does what `RawWaker` asks; the task outlives the waker, which is never
    // dropped itself.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw(task)) });
    WakerRef { waker, _task: PhantomData }
}

impl Deref for WakerRef<'_> {
    type Target = Waker;

    fn deref(&self) -> &Waker {
        &self.waker
    }
}
