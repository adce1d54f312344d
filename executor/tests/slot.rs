//! The room for one future. What must not compile is in the documentation of `FutureSlot`.

mod common;

use std::{
    cell::Cell,
    future::{pending, poll_fn, ready},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use orbital_executor::{slot::FutureSlot, yield_now};

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Counts its drops, and is pending.
struct Counted(Rc<Cell<usize>>);

impl Future for Counted {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        Poll::Pending
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_pending_future_is_dropped_once_with_its_slot() {
    let drops = Rc::new(Cell::new(0));
    let mut slot = Box::pin(FutureSlot::<u32, 64>::new());
    slot.as_mut().set(Counted(drops.clone()));
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Pending);
    assert_eq!(drops.get(), 0);
    drop(slot);
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_future_that_is_replaced_or_cleared_is_dropped_once() {
    let drops = Rc::new(Cell::new(0));
    let mut slot = pin!(FutureSlot::<u32, 64>::new());
    slot.as_mut().set(Counted(drops.clone()));
    slot.as_mut().set(Counted(drops.clone()));
    assert_eq!(drops.get(), 1);
    slot.as_mut().clear();
    assert!(slot.is_empty());
    assert_eq!(drops.get(), 2);
    slot.as_mut().clear();
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_future_that_is_ready_is_dropped_before_its_output_is_used() {
    let drops = Rc::new(Cell::new(0));
    let mut slot = pin!(FutureSlot::<u32, 64>::new());
    let held = Counted(drops.clone());
    slot.as_mut().set(poll_fn(move |_| {
        let _ = &held;
        Poll::Ready(7)
    }));
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Ready(7));
    assert!(slot.is_empty());
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_future_as_large_as_the_slot_fits() {
    let mut slot = pin!(FutureSlot::<u8, 64>::new());
    let bytes: [u8; 64] = std::array::from_fn(|number| number as u8);
    let future = poll_fn(move |_| Poll::Ready(bytes.iter().fold(0, |sum: u8, b| sum ^ b)));
    assert_eq!(size_of_val(&future), 64);
    slot.as_mut().set(future);
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Ready(0));
}

#[test]
fn a_future_without_size_fits_in_no_room() {
    let mut slot = pin!(FutureSlot::<u32, 0>::new());
    slot.as_mut().set(poll_fn(|_| Poll::Ready(3)));
    assert!(!slot.is_empty());
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Ready(3));
}

#[test]
fn a_future_is_aligned_to_sixteen_bytes_and_stays_where_it_is() {
    #[repr(align(16))]
    struct Aligned(Vec<usize>);
    impl Future for Aligned {
        type Output = Vec<usize>;
        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Vec<usize>> {
            let address = &raw const *self as usize;
            self.0.push(address);
            if self.0.len() < 3 { Poll::Pending } else { Poll::Ready(std::mem::take(&mut self.0)) }
        }
    }
    // Odd rooms must not spoil the alignment of what follows.
    let mut slots =
        Box::pin(std::array::from_fn::<_, 4, _>(|_| FutureSlot::<Vec<usize>, 47>::new()));
    for number in 0..4 {
        // SAFETY: the slots are pinned by the box.
        let mut slot = unsafe { slots.as_mut().map_unchecked_mut(|slots| &mut slots[number]) };
        slot.as_mut().set(Aligned(Vec::new()));
        let addresses = loop {
            if let Poll::Ready(addresses) = slot.as_mut().poll(&mut context()) {
                break addresses;
            }
        };
        assert_eq!(addresses, [addresses[0]; 3]);
        assert_eq!(addresses[0] % 16, 0);
    }
}

#[test]
fn a_slot_can_be_used_again_for_a_future_of_another_type() {
    let mut slot = pin!(FutureSlot::<String, 128>::new());
    slot.as_mut().set(ready(String::from("one")));
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Ready(String::from("one")));
    slot.as_mut().set(async {
        yield_now().await;
        String::from("two")
    });
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Pending);
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Ready(String::from("two")));
}

#[test]
fn a_slot_knows_which_future_it_holds() {
    let mut slot = pin!(FutureSlot::<u32, 64>::new());
    assert!(!slot.holds::<Counted>(), "it is empty");
    slot.as_mut().set(ready(1));
    assert!(slot.holds::<std::future::Ready<u32>>());
    assert!(!slot.holds::<std::future::Pending<u32>>());
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Ready(1));
    assert!(!slot.holds::<std::future::Ready<u32>>(), "it is empty again");
    slot.as_mut().set(pending());
    assert!(slot.holds::<std::future::Pending<u32>>());
    slot.as_mut().clear();
    assert!(!slot.holds::<std::future::Pending<u32>>());
}

#[test]
fn a_future_that_is_taken_out_is_dropped_once_by_who_took_it() {
    let drops = Rc::new(Cell::new(0));
    let mut slot = Box::pin(FutureSlot::<u32, 64>::new());
    assert!(slot.as_mut().take::<Counted>().is_none(), "it is empty");
    slot.as_mut().set(Counted(drops.clone()));
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Pending);
    let taken = slot.as_mut().take::<Counted>();
    assert!(taken.is_some() && slot.is_empty());
    assert!(slot.as_mut().take::<Counted>().is_none(), "once");
    slot.as_mut().set(ready(7));
    assert_eq!(drops.get(), 0, "nothing was left to be replaced");
    drop(slot);
    assert_eq!(drops.get(), 0, "nor with the slot");
    drop(taken);
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_future_of_another_type_stays_in_the_slot() {
    let drops = Rc::new(Cell::new(0));
    let mut slot = pin!(FutureSlot::<u32, 64>::new());
    slot.as_mut().set(Counted(drops.clone()));
    assert!(slot.as_mut().take::<std::future::Pending<u32>>().is_none());
    assert!(slot.holds::<Counted>());
    assert_eq!(slot.as_mut().poll(&mut context()), Poll::Pending);
    assert_eq!(drops.get(), 0);
    slot.as_mut().clear();
    assert_eq!(drops.get(), 1);
}

#[test]
#[should_panic = "polled an empty slot"]
fn polling_an_empty_slot_panics() {
    let _ = pin!(FutureSlot::<(), 8>::new()).poll(&mut context());
}

#[test]
fn a_future_in_a_slot_gets_the_waker_of_who_polls() {
    let mut slot = Box::pin(FutureSlot::<(), 64>::new());
    slot.as_mut().set(async {
        yield_now().await;
        pending().await
    });
    let mut outer = common::ByHand::new(poll_fn(move |context| slot.as_mut().poll(context)));
    assert_eq!(outer.poll(), Poll::Pending);
    assert_eq!(outer.wakes(), 1);
    assert_eq!(outer.poll(), Poll::Pending);
    assert_eq!(outer.wakes(), 1);
}
