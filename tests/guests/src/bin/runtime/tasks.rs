//! Tasks of a thread's executor.
#![forbid(unsafe_code)]

use alloc::{rc::Rc, sync::Arc, vec::Vec};
use core::cell::{Cell, RefCell};

use guests::{
    cpus::{bit, count},
    threads::{endpoint, label},
};
use orbital_user::{
    Endpoint, Error, IpcError, Timer, clock,
    sync::Semaphore,
    task::{self, Elapsed, Signal, block_on, sleep, sleep_until, spawn, timeout, unblock, workers},
    thread,
};

pub fn tasks_sleep_in_the_order_of_their_deadlines() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let start = clock::now();
    for number in [3, 1, 2] {
        let order = order.clone();
        spawn(async move {
            sleep_until(start + number * 500_000).await;
            assert!(clock::now() >= start + number * 500_000);
            order.borrow_mut().push(number);
        });
    }
    block_on(sleep_until(start + 2_000_000));
    assert_eq!(*order.borrow(), [1, 2, 3]);
    assert_eq!(block_on(async { 5 }), 5);
}

pub fn a_task_that_takes_too_long_is_dropped() {
    struct Dropped(Rc<Cell<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let is_dropped = Rc::new(Cell::new(false));
    let held = Dropped(is_dropped.clone());
    let slow = async move {
        sleep(u64::MAX).await;
        drop(held);
    };
    assert_eq!(block_on(timeout(300_000, slow)), Err(Elapsed));
    assert!(is_dropped.get());
    assert_eq!(block_on(timeout(u64::MAX, async { 1 })), Ok(1));
}

pub fn a_cancelled_task_does_not_go_on() {
    let came = Rc::new(Cell::new(0));
    let counts = came.clone();
    let handle = spawn(async move {
        loop {
            counts.set(counts.get() + 1);
            sleep(100_000).await;
        }
    });
    block_on(sleep(500_000));
    let before = came.get();
    assert!(before > 0);
    assert!(handle.cancel());
    block_on(sleep(500_000));
    assert_eq!((came.get(), handle.is_done()), (before, true));
    assert_eq!(Rc::strong_count(&came), 1, "its future is gone");
}

pub fn signals_of_timers_and_threads_wake_tasks() {
    let mut signal = Signal::new().unwrap();
    let timer = Timer::create(signal.notification(), signal.bit()).unwrap();
    assert_eq!(signal.notification().signal(signal.bit() << 1), Err(Error::MissingRights));
    timer.set(clock::now() + 100_000).unwrap();
    let theirs = signal.notification().slot();
    let bit = signal.bit();
    block_on(async {
        signal.wait().await;
        // One that came before the wait counts.
        signal.notification().signal(bit).unwrap();
        signal.wait().await;
        assert_eq!(timeout(200_000, signal.wait()).await, Err(Elapsed));
        let sender = thread::spawn(move || {
            let notification =
                core::mem::ManuallyDrop::new(orbital_user::Notification::from_slot(theirs));
            notification.signal(bit)
        });
        signal.wait().await;
        unblock(move || sender.unwrap().join()).await.unwrap().unwrap();
    });
    let other = Signal::new().unwrap();
    assert_ne!(other.bit(), bit);
}

pub fn a_thread_has_sixty_three_signals() {
    let mut signals: Vec<_> = (0..63).map(|_| Signal::new().unwrap()).collect();
    assert_eq!(Signal::new().err(), Some(Error::NoRoom));
    let bit = signals.remove(20).bit();
    assert_eq!(Signal::new().unwrap().bit(), bit);
    assert!(signals.iter().all(|signal| signal.bit() & 1 == 0));
}

pub fn many_that_block_are_all_waited_for() {
    const MANY: usize = workers::MOST + 20;
    let gate = Arc::new(Semaphore::new(0));
    let done = Rc::new(Cell::new(0));
    for number in 0..MANY {
        let (gate, done) = (gate.clone(), done.clone());
        spawn(async move {
            let result = unblock(move || {
                gate.acquire();
                number
            });
            assert_eq!(result.await, number);
            done.set(done.get() + 1);
        });
    }
    block_on(sleep(1_000_000));
    assert_eq!(done.get(), 0);
    gate.release(MANY);
    block_on(async {
        while done.get() < MANY {
            sleep(100_000).await;
        }
    });
}

pub fn tasks_call_and_serve_each_other() {
    const CALLS: u32 = 40;
    let service = Endpoint::create().unwrap();
    let slot = service.slot();
    let done = Rc::new(Cell::new(0));
    for number in 0..4 {
        let done = done.clone();
        spawn(async move {
            for call in 0..CALLS {
                let label_of = number * 1000 + call;
                let answer = task::call(&endpoint(slot), &label(label_of)).await.unwrap();
                assert_eq!(answer.label(), label_of + 1);
            }
            done.set(done.get() + 1);
        });
    }
    block_on(async {
        for _ in 0..4 * CALLS {
            let (received, reply) = task::receive(&endpoint(slot)).await.unwrap();
            reply.unwrap().answer(&label(received.message.label() + 1)).unwrap();
        }
        while done.get() < 4 {
            sleep(10_000).await;
        }
    });
    let late = spawn(async move {
        let gone = task::receive(&endpoint(slot)).await;
        // It may have been closed before the receive had begun.
        assert!(matches!(gone, Err(IpcError::EndpointGone | IpcError::StaleCapability)));
    });
    block_on(sleep(300_000));
    drop(service);
    block_on(async {
        while !late.is_done() {
            sleep(10_000).await;
        }
    });
}

pub fn wakes_from_all_cpus_reach_their_tasks() {
    const SIGNALS: usize = 200;
    let senders: Vec<_> = (0..count())
        .map(|cpu| {
            let mut signal = Signal::new().unwrap();
            let (slot, bit_of) = (signal.notification().slot(), signal.bit());
            let taken = Arc::new(Semaphore::new(0));
            let next = taken.clone();
            let sender = thread::spawn(move || {
                let notification =
                    core::mem::ManuallyDrop::new(orbital_user::Notification::from_slot(slot));
                for _ in 0..SIGNALS {
                    notification.signal(bit_of).unwrap();
                    next.acquire();
                }
            })
            .unwrap();
            sender.thread().set_affinity(bit(cpu)).unwrap();
            let task = spawn(async move {
                for _ in 0..SIGNALS {
                    signal.wait().await;
                    taken.release(1);
                }
            });
            (sender, task)
        })
        .collect();
    block_on(async {
        for (sender, task) in senders {
            unblock(move || sender.join()).await.unwrap();
            while !task.is_done() {
                sleep(10_000).await;
            }
        }
    });
}
