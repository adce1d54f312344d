//! Bound notifications and endpoints against what another CPU does at each point: no signal and no message is lost or
//! comes twice, and of two that close the same cycle of waits one is told.
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use orbital_abi::{
    CapSlot, Deadline,
    Deadline::{At, Never, Now},
    Error, ExitReason, Received, Rights, Syscall,
};

use super::{
    Kernel, pinned,
    points::{at_every_point, step_with},
    user,
};
use crate::{
    arch::host::clock,
    ipc::{
        Notification,
        binding::{bind_endpoint, bind_notification},
    },
    object::Ref,
    process::Process,
    tests::{
        cpus::Cpus,
        kernel::{endpoint, notification},
    },
    thread::Tcb,
};

const PATIENCE: u64 = 1_000_000;

/// What the other CPU does as the thread begins to receive, or does so already.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Signal,
    Send,
    SignalAndSend,
    SendAndSignal,
    SignalAndKill,
    SignalAndUnbind,
    Unbind,
    Close,
    DeadlineAndSignal,
}

const DEEDS: [Deed; 9] = [
    Deed::Signal,
    Deed::Send,
    Deed::SignalAndSend,
    Deed::SendAndSignal,
    Deed::SignalAndKill,
    Deed::SignalAndUnbind,
    Deed::Unbind,
    Deed::Close,
    Deed::DeadlineAndSignal,
];

type Events = Rc<RefCell<Vec<Result<Received, Error>>>>;

struct Scene {
    cpus: Rc<Cpus>,
    process: Ref<Process>,
    endpoint: CapSlot,
    word: Ref<Notification>,
    slot: CapSlot,
    thread: Ref<Tcb>,
    events: Events,
    kernel: Kernel,
}

/// A thread of CPU 1 that is about to receive, once; with a message on its way from CPU 0 where `sends`.
fn scene(deed: Deed) -> Scene {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    let (_, endpoint) = endpoint(&process);
    let (word, slot) = notification(&process);
    let events = Events::default();
    let noted = events.clone();
    let is_ready = Rc::new(Cell::new(false));
    let ready = is_ready.clone();
    let thread = pinned(&mut kernel, &process, 1, 10, async move {
        let patience = match deed {
            Deed::DeadlineAndSignal => At(clock::nanoseconds() + PATIENCE),
            _ => Never,
        };
        ready.set(true);
        user::give_way().await;
        let event = user::receive(endpoint, patience).await;
        noted.borrow_mut().push(event);
    });
    // It keeps the process, and so what it has.
    pinned(&mut kernel, &process, 0, 1, async {});
    bind_notification(&word, Some(&thread), None).unwrap();
    thread.start().unwrap();
    cpus.run_until(1, || is_ready.get());
    Scene { cpus, process, endpoint, word, slot, thread, events, kernel }
}

impl Scene {
    fn deed(&mut self, deed: Deed) -> impl FnOnce() + use<> {
        let (word, cpus, thread) = (self.word.clone(), self.cpus.clone(), self.thread.clone());
        let (process, slot, endpoint) = (self.process.clone(), self.slot, self.endpoint);
        let sends = matches!(deed, Deed::Send | Deed::SignalAndSend | Deed::SendAndSignal);
        let sender = sends.then(|| {
            pinned(&mut self.kernel, &process, 0, 20, async move {
                user::send(endpoint, user::message(7, &[]), Never).await.unwrap();
            })
        });
        move || {
            let signal = || word.signal(6).unwrap();
            let send = || {
                sender.as_ref().unwrap().start().unwrap();
                cpus.run_alone(0);
            };
            match deed {
                Deed::Signal => signal(),
                Deed::Send => send(),
                Deed::SignalAndSend => {
                    signal();
                    send();
                }
                Deed::SendAndSignal => {
                    send();
                    signal();
                }
                Deed::SignalAndKill => {
                    signal();
                    thread.kill();
                }
                Deed::SignalAndUnbind => {
                    signal();
                    bind_notification(&word, None, None).unwrap();
                }
                Deed::Unbind => {
                    bind_notification(&word, None, None).unwrap();
                    signal();
                }
                Deed::Close => process.close(slot).unwrap(),
                Deed::DeadlineAndSignal => {
                    clock::advance(2 * PATIENCE);
                    signal();
                }
            }
        }
    }

    /// What is there for whoever looks now: the signals, and whether a message.
    fn left(&mut self) -> (u64, bool) {
        let left = Rc::new(Cell::new((0, false)));
        let (noted, slot, endpoint) = (left.clone(), self.slot, self.endpoint);
        let taker = pinned(&mut self.kernel, &self.process, 0, 9, async move {
            let bits = user::wait_signal(slot, Now).await.unwrap_or(0);
            noted.set((bits, user::receive(endpoint, Now).await.is_ok()));
        });
        taker.start().unwrap();
        self.kernel.run_until_idle();
        left.get()
    }

    fn look(&mut self, deed: Deed, waits: bool) {
        self.kernel.run_until_idle();
        let event = self.events.borrow().first().copied();
        let (bits, is_message) = match event {
            Some(Ok(event)) => (event.signals, event.signals == 0),
            _ => (0, false),
        };
        let (bits_left, message_left) = self.left();
        let case = format!("{deed:?}: {event:?}, left {bits_left}, {message_left}");
        assert_eq!(bits & bits_left, 0, "{case}");
        assert!(!(is_message && message_left), "{case}");
        let signalled = !matches!(deed, Deed::Send | Deed::Close);
        // Or it had come back from its call, and had not done anything yet.
        let had = deed == Deed::SignalAndKill
            && self.thread.is_ended()
            && (!waits || self.thread.take_back_signals() == 6);
        let bits = if had && bits_left == 0 { 6 } else { bits };
        assert_eq!(bits | bits_left, if signalled { 6 } else { 0 }, "{case}");
        let sent = matches!(deed, Deed::Send | Deed::SignalAndSend | Deed::SendAndSignal);
        assert_eq!(is_message || message_left, sent, "{case}");
        match deed {
            Deed::SignalAndKill => {
                // One that was on its way back to its program has ended well.
                let exit = self.thread.exit_reason();
                assert!(exit.is_some(), "{case}");
            }
            Deed::Signal | Deed::Send | Deed::SignalAndSend | Deed::SendAndSignal => {
                assert_eq!(self.thread.exit_reason(), Some(ExitReason::Exited(0)), "{case}");
            }
            Deed::DeadlineAndSignal => {
                let known = bits == 6 || event == Some(Err(Error::TimedOut));
                assert!(known, "{case}");
            }
            Deed::SignalAndUnbind | Deed::Unbind | Deed::Close => {}
        }
    }
}

#[test]
fn whatever_another_cpu_does_meets_every_point_of_a_bound_receive() {
    for deed in DEEDS {
        // As it begins; and as it waits already, when its CPU has a look.
        for waits in [false, true] {
            at_every_point(|point| {
                let mut scene = scene(deed);
                println!("{deed:?} at point {point}, waits: {waits}");
                if waits {
                    scene.cpus.run_alone(1);
                    scene.thread.wake();
                }
                let deed_done = scene.deed(deed);
                let done = Rc::new(Cell::new(Some(deed_done)));
                let at_point = done.clone();
                let came = step_with(&scene.cpus, 1, point, move || {
                    at_point.take().unwrap()();
                });
                if let Some(deed) = done.take() {
                    deed();
                }
                scene.look(deed, waits);
                came
            });
        }
    }
}

/// Both call the other's endpoint, and serve their own where they are refused.
async fn call_or_serve(
    own: CapSlot,
    other: CapSlot,
    is_ready: Rc<Cell<bool>>,
    told: Rc<Cell<Option<bool>>>,
) {
    is_ready.set(true);
    user::give_way().await;
    let message = user::message(1, &[]);
    match user::call(other, message, Never).await {
        Ok(answer) => {
            assert_eq!(answer, message);
            told.set(Some(true));
        }
        Err(error) => {
            assert_eq!(error, Error::WouldDeadlock);
            told.set(Some(false));
            let received = user::receive(own, Deadline::Never).await.unwrap();
            user::reply(received.message).await.unwrap();
        }
    }
}

#[test]
fn of_two_cpus_that_close_the_same_cycle_one_is_told() {
    at_every_point(|point| {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        let ((first_end, first), (second_end, second)) = (endpoint(&process), endpoint(&process));
        let told = [Rc::<Cell<Option<bool>>>::default(), Rc::default()];
        for (cpu, (own, other)) in [(first, second), (second, first)].into_iter().enumerate() {
            let is_ready = Rc::new(Cell::new(false));
            let program = call_or_serve(own, other, is_ready.clone(), told[cpu].clone());
            let thread = pinned(&mut kernel, &process, cpu, 10, program);
            bind_endpoint([&first_end, &second_end][cpu], Some(&thread), None).unwrap();
            thread.start().unwrap();
            cpus.run_until(cpu, || is_ready.get());
        }
        let others = cpus.clone();
        let came = step_with(&cpus, 1, point, move || others.step(0));
        kernel.run_until_idle();
        let told = told.map(|told| told.get());
        assert!(told == [Some(true), Some(false)] || told == [Some(false), Some(true)], "{told:?}");
        came
    });
}

/// How someone comes to a bound endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coming {
    Sends,
    Passes,
    Calls,
    /// Where the bound thread waits for the caller.
    ClosesCycle,
}

/// A CPU that is told what its thread is lent can go on, whatever lock it wants: who tells it holds none.
#[test]
fn what_is_lent_is_told_without_a_lock() {
    use Coming::{Calls, ClosesCycle, Passes, Sends};
    for coming in [Sends, Passes, Calls, ClosesCycle] {
        at_every_point(|point| {
            println!("{coming:?} at point {point}");
            let mut kernel = Kernel::boot_with(2, 0);
            let cpus = kernel.cpus();
            let process = kernel.process("p");
            let ((end, slot), (own_end, own)) = (endpoint(&process), endpoint(&process));
            let ready = [(); 2].map(|()| Rc::new(Cell::new(false)));
            let [caller_ready, other_ready] = ready.clone();
            let bound = pinned(&mut kernel, &process, 1, 10, async move {
                match coming {
                    ClosesCycle => drop(user::call(own, user::message(2, &[]), Never).await),
                    _ => drop(user::receive(own, Never).await),
                }
            });
            let other = pinned(&mut kernel, &process, 1, 9, async move {
                other_ready.set(true);
                user::give_way().await;
                let copy = user::copy(slot, CapSlot::NULL, Rights::SEND, 0).await.unwrap();
                user::close(copy).await.unwrap();
                let _ = user::call(slot, user::message(3, &[]), Never).await;
            });
            let caller = pinned(&mut kernel, &process, 0, 20, async move {
                caller_ready.set(true);
                user::give_way().await;
                let message = user::message(1, &[]);
                let tag = message.tag.with_capabilities(1, 0).unwrap();
                let control = [slot.bits(), tag.bits(), Never.bits(), own.bits()];
                match coming {
                    Sends => drop(user::send(slot, message, Never).await),
                    Passes => drop(user::control(Syscall::Send, control).await),
                    Calls => drop(user::call(slot, message, Never).await),
                    ClosesCycle => {
                        let refused = user::call(slot, message, Never).await;
                        assert_eq!(refused, Err(Error::WouldDeadlock));
                    }
                }
            });
            bind_endpoint(&end, Some(&bound), None).unwrap();
            if coming == ClosesCycle {
                bind_endpoint(&own_end, Some(&caller), None).unwrap();
            }
            bound.start().unwrap();
            cpus.run_alone(1);
            other.start().unwrap();
            cpus.run_until(1, || ready[1].get());
            caller.start().unwrap();
            cpus.run_until(0, || ready[0].get());
            let others = cpus.clone();
            let came = step_with(&cpus, 0, point, move || others.run_alone(1));
            kernel.run_until_idle();
            assert_eq!(caller.is_ended(), coming == ClosesCycle);
            came
        });
    }
}
