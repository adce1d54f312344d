//! Inline room for one future of any type: what a thread control block holds instead of a stack.

use core::{
    any::TypeId,
    marker::{PhantomData, PhantomPinned},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
};

/// Room for a future of up to `BYTES` bytes whose output is `T`.
///
/// The future is pinned where the slot stands, so a slot must not move while it holds one: hence
/// [`FutureSlot::poll`] and [`FutureSlot::clear`] take it pinned, and it is not `Unpin`:
///
/// ```compile_fail,E0277
/// fn unpin<T: Unpin>() {}
/// unpin::<orbital_executor::slot::FutureSlot<(), 16>>();
/// ```
///
/// Nor can it be sent, since its future may not be. Whoever holds it answers for that.
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<orbital_executor::slot::FutureSlot<(), 16>>();
/// ```
///
/// A future that is too large, or aligned too strictly, does not compile:
///
/// ```compile_fail,E0080
/// # use orbital_executor::slot::FutureSlot;
/// let mut slot = std::pin::pin!(FutureSlot::<(), 8>::new());
/// let large = [0_u8; 64];
/// slot.as_mut().set(async move {
///     std::future::ready(()).await;
///     drop(large);
/// });
/// ```
///
/// ```compile_fail,E0080
/// # use orbital_executor::slot::FutureSlot;
/// #[repr(align(32))]
/// struct Aligned(u8);
/// let mut slot = std::pin::pin!(FutureSlot::<Aligned, 256>::new());
/// slot.as_mut().set(std::future::ready(Aligned(0)));
/// ```
#[repr(C, align(16))]
pub struct FutureSlot<T: 'static, const BYTES: usize> {
    room: MaybeUninit<[u8; BYTES]>,
    functions: Option<&'static Functions<T>>,
    _pinned: PhantomPinned,
    /// The future may be bound to its thread.
    _not_send: PhantomData<*mut ()>,
}

/// What is known of the future in a slot.
struct Functions<T> {
    kind: TypeId,
    poll: unsafe fn(*mut u8, &mut Context<'_>) -> Poll<T>,
    drop: unsafe fn(*mut u8),
}

impl<T: 'static> Functions<T> {
    /// Those of an `F`.
    #[inline]
    const fn of<F: Future<Output = T> + 'static>() -> &'static Self {
        const {
            &Self {
                kind: TypeId::of::<F>(),
                poll: |room, context| {
                    // SAFETY: the room holds an `F`, which has not moved since it was put in.
                    unsafe { Pin::new_unchecked(&mut *room.cast::<F>()) }.poll(context)
                },
                // SAFETY: as above; the caller forgets the future.
                drop: |room| unsafe { room.cast::<F>().drop_in_place() },
            }
        }
    }
}

impl<T: 'static, const BYTES: usize> FutureSlot<T, BYTES> {
    /// An empty slot.
    pub const fn new() -> Self {
        Self {
            room: MaybeUninit::uninit(),
            functions: None,
            _pinned: PhantomPinned,
            _not_send: PhantomData,
        }
    }

    /// Whether it holds no future.
    pub const fn is_empty(&self) -> bool {
        self.functions.is_none()
    }

    /// Puts a future into a slot that is empty: one that was there is not dropped.
    #[inline(always)]
    pub fn fill<F: Future<Output = T> + 'static>(self: Pin<&mut Self>, future: F) {
        const {
            assert!(size_of::<F>() <= BYTES, "the future is larger than the slot");
            assert!(align_of::<F>() <= 16, "the future needs more alignment than the slot has");
        }
        debug_assert!(self.is_empty(), "the future that was there is lost");
        // SAFETY: the slot itself is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        let room = this.room.as_mut_ptr().cast::<u8>();
        // SAFETY: the room is large and aligned enough, by the assertions.
        unsafe { room.cast::<F>().write(future) };
        this.functions = Some(Functions::of::<F>());
    }

    /// Puts a future in. One that was there is dropped. A future that is too large does not
    /// compile.
    pub fn set<F: Future<Output = T> + 'static>(self: Pin<&mut Self>, future: F) {
        const {
            assert!(size_of::<F>() <= BYTES, "the future is larger than the slot");
            assert!(align_of::<F>() <= 16, "the future needs more alignment than the slot has");
        }
        // SAFETY: a future that is there is dropped in place; the slot itself is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        this.take_out();
        let room = this.room.as_mut_ptr().cast::<u8>();
        // SAFETY: the room is large and aligned enough, by the assertions.
        unsafe { room.cast::<F>().write(future) };
        this.functions = Some(Functions::of::<F>());
    }

    /// Whether it holds an `F`.
    #[inline(always)]
    pub fn holds<F: Future<Output = T> + 'static>(&self) -> bool {
        // In most builds a type's functions stand in one place, and its address tells.
        let functions = self.functions.map_or(core::ptr::null(), core::ptr::from_ref);
        core::ptr::eq(functions, Functions::of::<F>()) || self.is_of_kind(TypeId::of::<F>())
    }

    #[cold]
    fn is_of_kind(&self, kind: TypeId) -> bool {
        self.functions.is_some_and(|functions| functions.kind == kind)
    }

    /// The future, if it is an `F`.
    pub fn get<F: Future<Output = T> + 'static>(&self) -> Option<&F> {
        // SAFETY: the room holds an `F`.
        self.holds::<F>().then(|| unsafe { &*self.room.as_ptr().cast::<F>() })
    }

    /// Takes the future out, if it is an `F`: one that does not mind to be moved.
    #[inline]
    pub fn take<F: Future<Output = T> + Unpin + 'static>(self: Pin<&mut Self>) -> Option<F> {
        if !self.holds::<F>() {
            return None;
        }
        // SAFETY: the slot itself is not moved, and an `F` may be.
        let this = unsafe { self.get_unchecked_mut() };
        this.functions = None;
        // SAFETY: the room holds an `F`, which counts as gone from now on.
        Some(unsafe { this.room.as_mut_ptr().cast::<F>().read() })
    }

    /// Polls the future; one that is ready is dropped at once.
    ///
    /// # Panics
    /// When the slot is empty.
    pub fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // SAFETY: the future is polled in place.
        let this = unsafe { self.get_unchecked_mut() };
        let functions = this.functions.expect("polled an empty slot");
        // SAFETY: the functions belong to the future that the room holds.
        let result = unsafe { (functions.poll)(this.room.as_mut_ptr().cast(), context) };
        if result.is_ready() {
            this.take_out();
        }
        result
    }

    /// Drops the future, if there is one.
    pub fn clear(self: Pin<&mut Self>) {
        // SAFETY: as in `set`.
        unsafe { self.get_unchecked_mut() }.take_out();
    }

    fn take_out(&mut self) {
        if let Some(functions) = self.functions.take() {
            // SAFETY: the room holds the future that the functions belong to; it counts as gone
            // from now on.
            unsafe { (functions.drop)(self.room.as_mut_ptr().cast()) };
        }
    }
}

impl<T: 'static, const BYTES: usize> Default for FutureSlot<T, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static, const BYTES: usize> Drop for FutureSlot<T, BYTES> {
    fn drop(&mut self) {
        self.take_out();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::{boxed::Box, rc::Rc};

    fn context() -> Context<'static> {
        Context::from_waker(core::task::Waker::noop())
    }

    #[test]
    fn polls_what_was_put_in_and_drops_it_once() {
        let mut slot = Box::pin(FutureSlot::<u32, 64>::new());
        assert!(slot.is_empty());
        let token = Rc::new(());
        let held = token.clone();
        slot.as_mut().set(async move {
            crate::yield_now().await;
            drop(held);
            7
        });
        assert_eq!(slot.as_mut().poll(&mut context()), Poll::Pending);
        assert_eq!(Rc::strong_count(&token), 2);
        assert_eq!(slot.as_mut().poll(&mut context()), Poll::Ready(7));
        assert!(slot.is_empty());
        assert_eq!(Rc::strong_count(&token), 1);
    }

    #[test]
    fn clearing_and_replacing_drop_the_future() {
        let mut slot = Box::pin(FutureSlot::<u32, 64>::new());
        let token = Rc::new(());
        for _ in 0..2 {
            let held = token.clone();
            slot.as_mut().set(async move {
                let _held = held;
                core::future::pending().await
            });
            assert_eq!(Rc::strong_count(&token), 2, "the one before was dropped");
        }
        slot.as_mut().clear();
        assert_eq!(Rc::strong_count(&token), 1);
        slot.as_mut().clear();
    }
}
