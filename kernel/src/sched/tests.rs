//! The dispatcher, by what programs see of it: who runs, when, and for how long.
#![forbid(unsafe_code)]

mod kills;
mod run_queue;
mod slices;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use orbital_abi::{Error, ExitReason, Registers, Syscall};

use super::dispatch;
use crate::{
    arch::host::{Stop, current_registers, idle, run},
    sched,
    tests::{kernel::Kernel, user},
    thread::state::ThreadState,
};

/// What programs noted, in the order in which they did.
type Notes<T> = Rc<RefCell<Vec<T>>>;

#[test]
fn the_most_urgent_thread_runs_first() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    for priority in [3, 255, 0, 64, 63, 128, 1] {
        let noted = notes.clone();
        kernel.spawn(&process, priority, async move {
            noted.borrow_mut().push(priority);
        });
    }
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [255, 128, 64, 63, 3, 1, 0]);
}

#[test]
fn equal_threads_run_in_the_order_in_which_they_were_started() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    for count in 0..5 {
        let noted = notes.clone();
        kernel.spawn(&process, 7, async move {
            noted.borrow_mut().push(count);
            user::give_way().await;
            noted.borrow_mut().push(10 + count);
        });
    }
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]);
}

#[test]
fn giving_way_lets_nobody_run_who_is_less_urgent() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    for priority in [9, 8] {
        let noted = notes.clone();
        kernel.spawn(&process, priority, async move {
            for _ in 0..3 {
                noted.borrow_mut().push(priority);
                user::give_way().await;
            }
        });
    }
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [9, 9, 9, 8, 8, 8]);
}

#[test]
fn system_calls_that_do_not_exist_are_refused() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let thread = kernel.spawn(&process, 7, async {
        for number in (0..256).chain([1 << 32, u64::MAX]) {
            if Syscall::from_number(number).is_none() {
                let mut registers = Registers::control([u64::MAX; 4]);
                registers.words = [u64::MAX; 8];
                let answer = user::syscall(number, registers).await;
                assert_eq!(answer, Err(Error::UnknownSyscall), "{number}");
            }
        }
        assert_eq!(
            user::syscall(Syscall::Null as u64, Registers::default()).await.unwrap(),
            Registers::default()
        );
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
}

#[test]
fn the_first_thread_is_entered_at_the_end_of_the_boot_order() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let thread = kernel.spawn(&process, 7, async {});
    assert_eq!(run(|| dispatch::start()), Ok(current_registers()));
    assert_eq!(thread.state(), ThreadState::Running);
    assert!(dispatch::describe_current().is_some_and(|current| current.0.is(&thread)));
    assert!(process.space.translate(0x1000).is_none());
    kernel.run_until_idle();
    assert!(dispatch::describe_current().is_none());
    assert_eq!(thread.state(), ThreadState::Ended);
}

#[test]
fn a_machine_without_work_is_idle_until_something_happens() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    let noted = notes.clone();
    let thread = kernel.thread(&process, 7, async move {
        noted.borrow_mut().push(1);
        0
    });
    assert_eq!(kernel.run(), Stop::Idle);
    assert!(notes.borrow().is_empty());
    // A device or another CPU wakes it while the CPU waits.
    let woken = thread.clone();
    idle::when_idle(move || woken.start().unwrap());
    assert_eq!(kernel.run(), Stop::Idle);
    assert_eq!(*notes.borrow(), [1]);
}

#[test]
fn tasks_of_the_kernels_own_run_before_threads_and_may_yield() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    for task in 0..2 {
        let noted = notes.clone();
        sched::spawn(255, async move {
            for step in 0..2 {
                noted.borrow_mut().push((task, step));
                orbital_executor::yield_now().await;
            }
        })
        .unwrap();
    }
    let noted = notes.clone();
    kernel.spawn(&process, 254, async move {
        noted.borrow_mut().push((9, 9));
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [(0, 0), (1, 0), (0, 1), (1, 1), (9, 9)]);
}

#[test]
fn a_task_runs_before_the_less_urgent_and_after_the_more_urgent() {
    for (task, expected) in [(6, [7, 6, 6, 6]), (8, [8, 8, 8, 7])] {
        let mut kernel = Kernel::boot();
        let process = kernel.process("p");
        let notes = Notes::default();
        let noted = notes.clone();
        kernel.spawn(&process, 7, async move {
            noted.borrow_mut().push(7);
        });
        let noted = notes.clone();
        sched::spawn(task, async move {
            for _ in 0..3 {
                noted.borrow_mut().push(task);
                orbital_executor::yield_now().await;
            }
        })
        .unwrap();
        kernel.run_until_idle();
        assert_eq!(*notes.borrow(), expected);
    }
}

#[test]
fn tasks_and_an_equal_thread_take_turns() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let polls = Rc::new(Cell::new(0));
    let polled = polls.clone();
    sched::spawn(7, async move {
        while polled.get() < 100 {
            polled.set(polled.get() + 1);
            orbital_executor::yield_now().await;
        }
    })
    .unwrap();
    let notes = Notes::default();
    let noted = notes.clone();
    kernel.spawn(&process, 7, async move {
        while polls.get() < 100 {
            noted.borrow_mut().push(polls.get());
            // Less than a turn, then more than one.
            user::work(60_000).await;
            user::work(60_000).await;
        }
    });
    kernel.run_until_idle();
    // The first turn goes by what was before this test, at another time.
    let notes = notes.borrow();
    let turns = notes.windows(2).map(|turn| turn[1] - turn[0]).skip_while(|polls| *polls < 8);
    let turns: Vec<_> = turns.collect();
    assert!(turns.len() > 5 && turns.iter().all(|polls| [8, 16].contains(polls)), "{turns:?}");
}

#[test]
fn switches_are_counted() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let before = dispatch::counters().0;
    for _ in 0..2 {
        kernel.spawn(&process, 7, async {
            user::syscall(Syscall::Null as u64, Registers::default()).await.unwrap();
            user::give_way().await;
        });
    }
    kernel.run_until_idle();
    // Each is switched to at first and after the other gave way.
    assert_eq!(dispatch::counters().0 - before, 4);
}

#[test]
fn a_thread_starts_once_and_not_after_its_end() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let thread = kernel.thread(&process, 7, async { 3 });
    assert_eq!((thread.state(), thread.start()), (ThreadState::Inactive, Ok(())));
    assert_eq!((thread.state(), thread.start()), (ThreadState::Woken, Err(Error::AlreadyStarted)));
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(3)));
    assert_eq!(thread.start(), Err(Error::Ended));
    thread.wake();
    thread.kill();
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(3)), "the first reason stays");
}
