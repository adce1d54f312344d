//! Time: equal threads share it in slices, and the timer is asked for nothing else.
#![forbid(unsafe_code)]

use orbital_abi::Deadline::Never;

use super::{Kernel, Notes, dispatch, user};
use crate::{
    arch::host::{clock, timer},
    sched::place::SLICE_NS,
    tests::kernel::{endpoint, notification},
};

#[test]
fn equal_threads_take_turns_of_one_slice() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    for name in ["a", "b", "c"] {
        let noted = notes.clone();
        kernel.spawn(&process, 7, async move {
            for _ in 0..6 {
                // Half a slice, so that each slice ends after two of them.
                user::work(SLICE_NS / 2).await;
                noted.borrow_mut().push(name);
            }
        });
    }
    let before = dispatch::counters().1;
    kernel.run_until_idle();
    // The second half ends with the slice; it is noted when the thread runs again.
    let turns = notes.borrow().join("");
    assert_eq!(turns, "abcaabbccaabbccabc", "{turns}");
    assert!(dispatch::counters().1 > before);
}

#[test]
fn who_is_alone_is_not_interrupted() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (start, before) = (clock::nanoseconds(), dispatch::counters().1);
    for priority in [9, 8, 7] {
        kernel.spawn(&process, priority, async {
            user::work(100 * SLICE_NS).await;
            assert_eq!(timer::left(), None, "there is nobody to preempt it for");
        });
    }
    kernel.run_until_idle();
    assert_eq!(dispatch::counters().1, before);
    assert_eq!(clock::nanoseconds() - start, 300 * SLICE_NS);
}

#[test]
fn the_timer_is_asked_for_when_an_equal_thread_becomes_ready() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    let (noted, second) = (notes.clone(), notes.clone());
    let start = clock::nanoseconds();
    let late = kernel.thread(&process, 7, async move {
        second.borrow_mut().push(("second", clock::nanoseconds() - start));
        0
    });
    kernel.spawn(&process, 7, async move {
        user::work(5 * SLICE_NS).await;
        late.start().unwrap();
        assert_eq!(timer::left(), None);
        // Any entry notices that somebody waits.
        user::work(10_000).await;
        user::trap(crate::arch::Trap::Spurious).await;
        assert_eq!(timer::left(), Some(0), "it had more than a slice, and nobody to share with");
        user::work(5 * SLICE_NS).await;
        noted.borrow_mut().push(("first", clock::nanoseconds() - start));
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [("second", 5_010_000), ("first", 10_010_000)]);
}

#[test]
fn a_thread_that_is_preempted_by_a_more_urgent_one_goes_on_before_its_equals() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    let noted = notes.clone();
    let urgent = kernel.thread(&process, 9, async move {
        noted.borrow_mut().push("urgent");
        0
    });
    for name in ["first", "second"] {
        let (noted, urgent) = (notes.clone(), urgent.clone());
        kernel.spawn(&process, 7, async move {
            if name == "first" {
                urgent.start().unwrap();
                user::work(10_000).await;
                user::trap(crate::arch::Trap::Spurious).await;
            }
            noted.borrow_mut().push(name);
        });
    }
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), ["urgent", "first", "second"]);
}

#[test]
fn a_slice_that_is_over_when_a_more_urgent_thread_comes_is_over() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    let noted = notes.clone();
    let urgent = kernel.thread(&process, 9, async move {
        noted.borrow_mut().push("urgent");
        0
    });
    for name in ["first", "second"] {
        let (noted, urgent) = (notes.clone(), urgent.clone());
        kernel.spawn(&process, 7, async move {
            if name == "first" {
                user::work(SLICE_NS - 1).await;
                urgent.start().unwrap();
                user::work(1).await;
            }
            noted.borrow_mut().push(name);
        });
    }
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), ["urgent", "second", "first"]);
}

#[test]
fn a_late_timer_interrupt_does_no_harm() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    for name in ["a", "b"] {
        let noted = notes.clone();
        kernel.spawn(&process, 7, async move {
            // One that was on its way when the timer was disarmed, one while nobody runs.
            user::trap(crate::arch::Trap::Timer).await;
            noted.borrow_mut().push(name);
        });
    }
    crate::arch::host::idle::request_interrupt(crate::arch::Trap::Timer);
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), ["a", "b"]);
}

/// A more urgent server wakes an equal of its client's, and gives the CPU back to that without the dispatcher.
#[test]
fn who_is_woken_for_an_equal_by_someone_more_urgent_has_its_turn() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let ((_, slot), (_, word)) = (endpoint(&process), notification(&process));
    let notes = Notes::default();
    let (noted, second) = (notes.clone(), notes.clone());
    kernel.spawn(&process, 8, async move {
        user::receive(slot, Never).await.unwrap();
        user::signal(word, 1).await.unwrap();
        let _ = user::reply_receive(slot, user::message(1, &[]), Never).await;
    });
    kernel.spawn(&process, 5, async move {
        user::wait_signal(word, Never).await.unwrap();
        second.borrow_mut().push("equal");
    });
    kernel.run_until_idle();
    kernel.spawn(&process, 5, async move {
        // The last turn of the dispatcher has seen nobody else.
        user::work(10).await;
        user::call(slot, user::message(1, &[]), Never).await.unwrap();
        user::work(5 * SLICE_NS).await;
        noted.borrow_mut().push("client");
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), ["equal", "client"]);
}
