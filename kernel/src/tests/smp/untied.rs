//! A revoke on one CPU of what a thread of another is about to set, or uses: a fault handler, a binding, a timer; at each
//! point of either.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never, Now},
    Error, ExitReason, Rights, Syscall,
    fault::RESUME,
};

use super::{
    Kernel, pinned,
    points::{at_every_point, step_with},
    user,
};
use crate::{
    arch::host::clock,
    capability::transfer,
    ipc::Notification,
    object::Ref,
    tests::{
        cpus::{Cpus, Place},
        kernel::{endpoint, grant},
    },
    thread::{Tcb, state::ThreadState},
};

/// What the user is about to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Its thread faults, and the handler waits there.
    Fault,
    /// Nobody waits.
    FaultAlone,
    SetHandler,
    Bind,
    BindNotification,
    MakeTimer,
}

const STEPS: [Step; 6] = [
    Step::Fault,
    Step::FaultAlone,
    Step::SetHandler,
    Step::Bind,
    Step::BindNotification,
    Step::MakeTimer,
];

/// CPU 1 has the user, which is about to do its step, and CPU 0 the owner, which is about to revoke.
struct Scene {
    cpus: Rc<Cpus>,
    /// Its faults are handled, or it is bound.
    subject: Ref<Tcb>,
    revoker: Ref<Tcb>,
    is_over: Rc<Cell<bool>>,
    /// Goes last: it finds that the others are gone.
    kernel: Kernel,
}

async fn play(step: Step, [end, word, thread, idle]: [CapSlot; 4]) {
    let handler = [thread.bits(), end.bits(), 0, 0];
    match step {
        Step::SetHandler => drop(user::control(Syscall::ThreadSetFaultHandler, handler).await),
        Step::Bind => drop(user::bind(Syscall::EndpointBind, end, thread).await),
        Step::BindNotification => drop(user::bind(Syscall::NotificationBind, word, thread).await),
        Step::MakeTimer => {
            if let Ok(timer) = user::timer(word, 1).await {
                let _ = user::set_timer(timer, clock::nanoseconds() + 1000, 0).await;
            }
        }
        Step::Fault | Step::FaultAlone => unreachable!("the subject does that"),
    }
    let _ = user::receive(idle, Never).await;
}

async fn handle(root: CapSlot) {
    while user::receive(root, Never).await.is_ok() {
        let _ = user::reply(user::message(RESUME, &[])).await;
    }
}

fn scene(step: Step) -> Scene {
    let faults = matches!(step, Step::Fault | Step::FaultAlone);
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let (owner, process) = (kernel.process("owner"), kernel.process("user"));
    let (_, root) = endpoint(&owner);
    let word = kernel.on(0, || Notification::new(&owner.quota).unwrap());
    let roots = [root, grant(&owner, &word, Rights::all(), 0)];
    drop(word);
    let copies = roots.map(|root| {
        let rights = (Rights::all(), 0);
        transfer::copy(&owner.table, root, rights, &process.table, &process.quota).unwrap()
    });
    let is_ready = Rc::new(Cell::new(false));
    let ready = is_ready.clone();
    let subject = pinned(&mut kernel, &process, 1, 10, async move {
        ready.set(true);
        user::give_way().await;
        user::fault(0x1000).await;
    });
    let slot = grant(&process, &subject, Rights::MANAGE, 0);
    let [(_, idle), (_, own_idle)] = [endpoint(&process), endpoint(&owner)];
    if step == Step::Fault {
        let server = pinned(&mut kernel, &owner, 1, 10, handle(root));
        server.start().unwrap();
        cpus.run_until(1, || server.state() == ThreadState::Blocked);
    }
    let (ready, slots) = (is_ready.clone(), [copies[0], copies[1], slot, idle]);
    let user = pinned(&mut kernel, &process, 1, 10, async move {
        if faults {
            let handler = [slot.bits(), copies[0].bits(), 0, 0];
            user::control(Syscall::ThreadSetFaultHandler, handler).await.unwrap();
            let _ = user::receive(idle, Never).await;
        } else {
            ready.set(true);
            user::give_way().await;
            play(step, slots).await;
        }
    });
    user.start().unwrap();
    if faults {
        cpus.run_until(1, || user.state() == ThreadState::Blocked);
        subject.start().unwrap();
    }
    cpus.run_until(1, || is_ready.get());
    let is_over = Rc::new(Cell::new(false));
    let over = is_over.clone();
    let revoker = pinned(&mut kernel, &owner, 0, 10, async move {
        for root in roots {
            user::revoke(root).await.unwrap();
        }
        over.set(true);
        // What came until then. No timer signals from here on.
        let _ = user::wait_signal(roots[1], Now).await;
        let later = At(clock::nanoseconds() + 10_000);
        assert_eq!(user::wait_signal(roots[1], later).await, Err(Error::TimedOut));
        let _ = user::receive(own_idle, Never).await;
    });
    revoker.start().unwrap();
    cpus.run_until(0, || cpus.place(0) == Place::User);
    Scene { cpus, subject, revoker, is_over, kernel }
}

impl Scene {
    /// Lets both go on until the revoke has returned, and then to the end.
    fn look(&mut self, step: Step, case: &str) {
        while !self.is_over.get() {
            let went = [0, 1].map(|cpu| self.cpus.step_if(cpu, || true));
            assert!(went.contains(&true), "{case}: the revoke does not come to its end");
        }
        self.kernel.run_until_idle();
        let is_bound = self.subject.with_ties(|ties| ties.endpoint.is_some());
        assert!(is_bound != Ok(true) && !self.subject.has_notification(), "{case}: it is bound");
        assert!(self.subject.fault_handler().is_none(), "{case}: there is a handler");
        if step == Step::SetHandler {
            self.subject.start().unwrap();
            self.kernel.run_until_idle();
        }
        let reason = self.subject.exit_reason();
        match step {
            Step::Fault => assert!(reason.is_some(), "{case}: it waits on"),
            Step::FaultAlone | Step::SetHandler => {
                assert!(matches!(reason, Some(ExitReason::Faulted(_))), "{case}: {reason:?}");
            }
            _ => assert_eq!(reason, None, "{case}"),
        }
        let _ = self.revoker.kill();
        self.subject.kill();
        self.kernel.run_until_idle();
    }
}

#[test]
fn a_revoke_meets_every_point_of_what_sets_or_uses_it() {
    for step in STEPS {
        at_every_point(|point| {
            let mut scene = scene(step);
            let case = format!("{step:?}, point {point}");
            println!("{case}");
            let (cpus, revoker) = (scene.cpus.clone(), scene.revoker.clone());
            let came = step_with(&scene.cpus, 1, point, move || {
                // As far as it gets without the other CPU.
                for _ in 0..20 {
                    if !cpus.step_if(0, || !revoker.is_ended()) {
                        break;
                    }
                }
            });
            scene.look(step, &case);
            came
        });
    }
}

#[test]
fn what_sets_or_uses_it_meets_every_point_of_a_revoke() {
    for step in STEPS {
        for steps in 0..6 {
            at_every_point(|point| {
                let mut scene = scene(step);
                let case = format!("{step:?}, step {steps}, point {point}");
                println!("{case}");
                for _ in 0..steps {
                    scene.cpus.step_if(0, || true);
                }
                let cpus = scene.cpus.clone();
                let came = step_with(&scene.cpus, 0, point, move || {
                    cpus.step_if(1, || true);
                });
                scene.look(step, &case);
                came && point < 60
            });
        }
    }
}
