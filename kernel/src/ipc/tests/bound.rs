//! Notifications that are bound to a thread: its receives end by signals too.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline,
    Deadline::{At, Never, Now},
    Error, ExitReason, Received, Rights, Syscall,
};

use super::{Kernel, Notes, grant, message, user, words};
use crate::{
    arch::host::clock,
    ipc::Notification,
    object::Ref,
    process::Process,
    tests::kernel::{endpoint, notification},
    thread::{Tcb, state::ThreadState},
};

const BIND: Syscall = Syscall::NotificationBind;
const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

type Events = Notes<Result<Received, Error>>;

/// What a receive gives that ends by signals.
fn signals(bits: u64) -> Result<Received, Error> {
    let message = message(0, &[]);
    Ok(Received { badge: 0, is_call: false, is_fault: false, signals: bits, message })
}

/// What one gives that takes a message.
fn taken(is_call: bool) -> Result<Received, Error> {
    Ok(Received { badge: 0, is_call, is_fault: false, signals: 0, message: words() })
}

/// A process with an endpoint, a notification, and a thread to which that is bound; not started.
struct Scene {
    process: Ref<Process>,
    endpoint: CapSlot,
    word: Ref<Notification>,
    slot: CapSlot,
    thread: Ref<Tcb>,
    /// To the thread.
    named: CapSlot,
    events: Events,
}

/// The thread receives so often, with that patience, and notes what it gets.
fn scene(kernel: &mut Kernel, priority: u8, times: usize, patience: fn() -> Deadline) -> Scene {
    let process = kernel.process("p");
    let (_, endpoint) = endpoint(&process);
    let (word, slot) = notification(&process);
    let events = Events::default();
    let noted = events.clone();
    let thread = kernel.thread(&process, priority, async move {
        for _ in 0..times {
            let event = user::receive(endpoint, patience()).await;
            noted.borrow_mut().push(event);
        }
        0
    });
    let named = grant(&process, &thread, Rights::MANAGE, 0);
    Scene { process, endpoint, word, slot, thread, named, events }
}

fn patience() -> [fn() -> Deadline; 2] {
    [|| Never, || At(clock::nanoseconds() + 1_000_000)]
}

#[test]
fn a_signal_ends_a_receive_as_a_message_does() {
    for patience in patience() {
        let mut kernel = Kernel::boot();
        let scene = scene(&mut kernel, 20, 5, patience);
        let Scene { endpoint, slot, named, .. } = scene;
        let (thread, events) = (scene.thread.clone(), scene.events.clone());
        let driver = kernel.spawn(&scene.process, 10, async move {
            user::bind(BIND, slot, named).await.unwrap();
            for bits in [1, 2, 1] {
                user::signal(slot, bits).await.unwrap();
            }
            thread.start().unwrap();
            user::give_way().await;
            assert_eq!(*events.borrow(), [signals(3)], "what was there, all of it, once");
            user::signal(slot, 4).await.unwrap();
            user::give_way().await;
            assert_eq!(events.borrow()[1..], [signals(4)], "while it waits");
            user::send(endpoint, words(), Never).await.unwrap();
            user::give_way().await;
            assert_eq!(events.borrow()[2..], [taken(false)]);
            user::signal(slot, u64::MAX).await.unwrap();
            user::give_way().await;
            assert_eq!(events.borrow()[3..], [signals(u64::MAX)]);
            // Not to the thread's end.
            assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock));
            user::send(endpoint, words(), Never).await.unwrap();
        });
        kernel.run_until_idle();
        assert_eq!((driver.exit_reason(), scene.thread.exit_reason()), (WELL, WELL));
    }
}

/// Both come before the thread has its turn: they are two receives.
#[test]
fn a_signal_and_a_message_that_come_at_once_are_both_there() {
    for (first, patience) in [(true, patience()[0]), (false, patience()[1])] {
        let mut kernel = Kernel::boot();
        let scene = scene(&mut kernel, 10, 2, patience);
        let Scene { endpoint, slot, named, .. } = scene;
        scene.thread.start().unwrap();
        // More urgent than the thread.
        kernel.spawn(&scene.process, 20, async move {
            user::bind(BIND, slot, named).await.unwrap();
            user::work(1).await;
        });
        kernel.spawn(&scene.process, 5, async move {
            user::control(Syscall::ThreadSetPriority, [named.bits(), 1, 0, 0]).await.unwrap();
            if first {
                user::signal(slot, 6).await.unwrap();
            }
            user::send(endpoint, words(), Never).await.unwrap();
            if !first {
                user::signal(slot, 6).await.unwrap();
            }
        });
        kernel.run_until_idle();
        let (one, other) =
            if first { (signals(6), taken(false)) } else { (taken(false), signals(6)) };
        assert_eq!(*scene.events.borrow(), [one, other]);
    }
}

/// Answer and next in one step; the call that is owed stays owed when signals come.
#[test]
fn a_server_s_loop_has_signals_between_its_calls() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, endpoint) = endpoint(&process);
    let (_, slot) = notification(&process);
    let server = kernel.thread(&process, 20, async move {
        let mut seen = 0;
        let mut received = user::receive(endpoint, Never).await;
        while seen != 0b111 {
            received = match received {
                Ok(event) if event.is_call => {
                    // One comes while the call is owed.
                    user::signal(slot, 0b100).await.unwrap();
                    let event = user::receive(endpoint, Never).await.unwrap();
                    assert_eq!(event.signals & 0b100, 0b100);
                    seen |= event.signals;
                    user::reply_receive(endpoint, message(9, &[]), Never).await
                }
                Ok(event) => {
                    seen |= event.signals;
                    let next = if seen == 0b111 { Now } else { Never };
                    user::receive(endpoint, next).await
                }
                Err(error) => panic!("{error:?}"),
            };
        }
        0
    });
    let named = grant(&process, &server, Rights::MANAGE, 0);
    let client = kernel.spawn(&process, 10, async move {
        user::bind(BIND, slot, named).await.unwrap();
        user::control(Syscall::ThreadStart, [named.bits(), 0, 0, 0]).await.unwrap();
        assert_eq!(user::call(endpoint, words(), Never).await, Ok(message(9, &[])));
        user::signal(slot, 1).await.unwrap();
        assert_eq!(user::call(endpoint, words(), Never).await, Ok(message(9, &[])));
        user::signal(slot, 2).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!((server.exit_reason(), client.exit_reason()), (WELL, WELL));
}

/// Those who wait for signals go before; what they leave is the receiver's.
#[test]
fn who_waits_for_signals_goes_first() {
    let mut kernel = Kernel::boot();
    let scene = scene(&mut kernel, 20, 1, || Never);
    let Scene { slot, named, .. } = scene;
    let waiter = kernel.spawn(&scene.process, 30, async move {
        user::bind(BIND, slot, named).await.unwrap();
        user::control(Syscall::ThreadStart, [named.bits(), 0, 0, 0]).await.unwrap();
        assert_eq!(user::wait_signal(slot, Never).await, Ok(1));
    });
    kernel.run_until_idle();
    scene.word.signal(1).unwrap();
    kernel.run_until_idle();
    assert!(waiter.exit_reason() == WELL && scene.events.borrow().is_empty());
    scene.word.signal(2).unwrap();
    kernel.run_until_idle();
    assert_eq!(*scene.events.borrow(), [signals(2)]);
}

#[test]
fn a_thread_has_one_and_a_notification_has_one() {
    let mut kernel = Kernel::boot();
    let scene = scene(&mut kernel, 20, 1, || Never);
    let other = kernel.thread(&scene.process, 20, async { 0 });
    let others = grant(&scene.process, &other, Rights::MANAGE, 0);
    let (_, second) = notification(&scene.process);
    let powerless = grant(&scene.process, &other, Rights::WAIT, 0);
    let send_only = grant(&scene.process, &scene.word, Rights::SEND, 0);
    let Scene { slot, named, endpoint, .. } = scene;
    let driver = kernel.spawn(&scene.process, 10, async move {
        let bind = |word, thread| user::bind(BIND, word, thread);
        for (word, thread, error) in [
            (CapSlot::NULL, named, Error::EmptySlot),
            (endpoint, named, Error::WrongKind),
            (send_only, named, Error::MissingRights),
            (slot, endpoint, Error::WrongKind),
            (slot, powerless, Error::MissingRights),
            (slot, CapSlot::from_bits(u64::MAX), Error::EmptySlot),
        ] {
            assert_eq!(bind(word, thread).await, Err(error));
        }
        assert_eq!(bind(slot, named).await, Ok(()));
        for (word, thread) in [(slot, named), (slot, others), (second, named)] {
            assert_eq!(bind(word, thread).await, Err(Error::AlreadyBound));
        }
        // Unbound, both are free; twice is no error.
        for _ in 0..2 {
            assert_eq!(bind(slot, CapSlot::NULL).await, Ok(()));
        }
        assert_eq!(bind(second, named).await, Ok(()));
        assert_eq!(bind(slot, others).await, Ok(()));
        // The end of a thread unbinds.
        user::control(Syscall::ThreadKill, [others.bits(), 0, 0, 0]).await.unwrap();
        assert_eq!(bind(second, others).await, Err(Error::Ended));
        assert_eq!(bind(second, CapSlot::NULL).await, Ok(()));
        assert_eq!(bind(slot, named).await, Ok(()));
        // The end of a notification does, too.
        for word in [slot, send_only] {
            user::close(word).await.unwrap();
        }
        assert_eq!(bind(second, named).await, Ok(()));
    });
    kernel.run_until_idle();
    assert_eq!(driver.exit_reason(), WELL);
}

/// A receive that had begun before is not ended by a signal: the next one is.
#[test]
fn a_receive_that_had_begun_is_not_bound() {
    let mut kernel = Kernel::boot();
    let scene = scene(&mut kernel, 20, 2, || Never);
    let Scene { slot, named, endpoint, .. } = scene;
    scene.thread.start().unwrap();
    kernel.run_until_idle();
    let driver = kernel.spawn(&scene.process, 10, async move {
        user::bind(BIND, slot, named).await.unwrap();
        user::signal(slot, 1).await.unwrap();
        user::send(endpoint, words(), Never).await.unwrap();
        user::give_way().await;
        assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock), "the next took it");
    });
    kernel.run_until_idle();
    assert_eq!(*scene.events.borrow(), [taken(false), signals(1)]);
    assert_eq!(driver.exit_reason(), WELL);
}

/// Nor is one whose notification was unbound meanwhile; the signals are there for who comes.
#[test]
fn what_nobody_is_bound_to_take_stays_in_the_word() {
    let mut kernel = Kernel::boot();
    let scene = scene(&mut kernel, 20, 1, || Never);
    let Scene { slot, named, endpoint, .. } = scene;
    let thread = scene.thread.clone();
    let driver = kernel.spawn(&scene.process, 10, async move {
        user::bind(BIND, slot, named).await.unwrap();
        thread.start().unwrap();
        user::give_way().await;
        user::bind(BIND, slot, CapSlot::NULL).await.unwrap();
        user::signal(slot, 1).await.unwrap();
        assert_eq!(user::wait_signal(slot, Now).await, Ok(1));
        user::send(endpoint, words(), Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(*scene.events.borrow(), [taken(false)]);
    assert_eq!(driver.exit_reason(), WELL);
}

/// A thread that was given signals and is killed before it sees them: they are there for the next.
#[test]
fn signals_that_the_dead_have_not_seen_are_not_lost() {
    for patience in patience() {
        let mut kernel = Kernel::boot();
        let scene = scene(&mut kernel, 20, 1, patience);
        let Scene { slot, named, .. } = scene;
        let thread = scene.thread.clone();
        let driver = kernel.spawn(&scene.process, 10, async move {
            user::bind(BIND, slot, named).await.unwrap();
            thread.start().unwrap();
            user::give_way().await;
            assert_eq!(thread.state(), ThreadState::Blocked);
            user::control(Syscall::ThreadSuspend, [named.bits(), 0, 0, 0]).await.unwrap();
            user::signal(slot, 5).await.unwrap();
            assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock), "given");
            user::control(Syscall::ThreadKill, [named.bits(), 0, 0, 0]).await.unwrap();
            assert_eq!(user::wait_signal(slot, Now).await, Ok(5));
        });
        kernel.run_until_idle();
        assert_eq!(driver.exit_reason(), WELL);
        assert!(scene.events.borrow().is_empty());
    }
}

/// The fixture finds what is left, whoever goes first.
#[test]
fn both_ends_in_any_order_leave_nothing() {
    for notification_first in [true, false] {
        let mut kernel = Kernel::boot();
        let scene = scene(&mut kernel, 20, 1, || Never);
        let other = kernel.process("other");
        let slot = grant(&other, &scene.word, Rights::RECEIVE | Rights::SEND, 0);
        let thread = grant(&other, &scene.thread, Rights::MANAGE, 0);
        kernel.spawn(&other, 10, async move {
            user::bind(BIND, slot, thread).await.unwrap();
            user::control(Syscall::ThreadStart, [thread.bits(), 0, 0, 0]).await.unwrap();
            let _ = user::wait(Syscall::ThreadWait, thread, Never).await;
            let _ = user::receive(slot, Never).await;
        });
        kernel.run_until_idle();
        let (first, second) = match notification_first {
            true => (&other, &scene.process),
            false => (&scene.process, &other),
        };
        for process in [first, second] {
            process.end(ExitReason::Killed);
            kernel.run_until_idle();
            assert!(process.exit_reason().is_some());
        }
    }
}
