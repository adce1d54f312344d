//! Direct switches from a caller to its server and back, or from a thread that faults to its handler and back, and
//! what another CPU does to either of them, or to the endpoint between, at each point.
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use orbital_abi::{CapSlot, Deadline::Never, Error, ExitReason, Message, fault::RESUME};

use super::{
    Kernel, pinned,
    points::{at_every_point, step_with},
    user,
};
use crate::{
    arch::host::idle,
    object::Ref,
    process::Process,
    tests::{
        cpus::{Cpus, Place},
        kernel::endpoint,
    },
    thread::{FaultHandler, Tcb, state::ThreadState},
};

/// The step in which the other CPU comes in between.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Call,
    Answer,
    Fault,
    FaultAnswer,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    KillServer,
    KillClient,
    SuspendServer,
    SuspendClient,
    /// The server becomes less urgent than its client.
    LowerServer,
    LowerClient,
    MoveServer,
    MoveClient,
    CloseEndpoint,
    /// A thread there calls through the same endpoint, sends, or receives.
    Call,
    Send,
    Receive,
    /// A wake that says nothing.
    WakeServer,
    WakeClient,
}

const STEPS: [Step; 4] = [Step::Call, Step::Answer, Step::Fault, Step::FaultAnswer];

const DEEDS: [Deed; 14] = [
    Deed::KillServer,
    Deed::KillClient,
    Deed::SuspendServer,
    Deed::SuspendClient,
    Deed::LowerServer,
    Deed::LowerClient,
    Deed::MoveServer,
    Deed::MoveClient,
    Deed::CloseEndpoint,
    Deed::Call,
    Deed::Send,
    Deed::Receive,
    Deed::WakeServer,
    Deed::WakeClient,
];

/// How often the client asks.
const ROUNDS: usize = 3;
/// What the server answers.
const ANSWER: [u64; 8] = [11, 22, 33, 44, 55, 66, 77, 88];
const REQUEST: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

type Answers = Rc<RefCell<Vec<Result<Message, Error>>>>;

/// CPU 1 is about to do the step, and CPU 0 to do its deed, where that is a program's.
struct Scene {
    cpus: Rc<Cpus>,
    process: Ref<Process>,
    slot: CapSlot,
    server: Ref<Tcb>,
    /// Comes behind a server that is killed.
    spare: Option<Ref<Tcb>>,
    client: Ref<Tcb>,
    other: Ref<Tcb>,
    answers: Answers,
    /// How many messages of the other CPU's came.
    others: Rc<Cell<usize>>,
    /// Goes last: it finds that the others are gone.
    kernel: Kernel,
}

async fn serve(slot: CapSlot, others: Rc<Cell<usize>>) {
    let mut received = user::receive(slot, Never).await;
    while let Ok(request) = received {
        if !request.is_fault {
            let is_other = request.message == user::message(9, &[9]);
            assert!(is_other || request.message == user::message(1, &REQUEST), "{request:?}");
            others.set(others.get() + usize::from(is_other));
        }
        received = match request.is_call {
            true => user::reply_receive(slot, user::message(RESUME, &ANSWER), Never).await,
            false => user::receive(slot, Never).await,
        };
    }
}

async fn ask(slot: CapSlot, faults: bool, answers: Answers) {
    for _ in 0..ROUNDS {
        let answer = if faults {
            user::fault(0x1000).await;
            Ok(user::message(RESUME, &ANSWER))
        } else {
            user::call(slot, user::message(1, &REQUEST), Never).await
        };
        answers.borrow_mut().push(answer);
    }
}

async fn disturb(deed: Deed, slot: CapSlot) {
    let message = user::message(9, &[9]);
    let _ = match deed {
        Deed::Call => user::call(slot, message, Never).await.map(|_| ()),
        Deed::Send => user::send(slot, message, Never).await,
        _ => {
            serve(slot, Rc::default()).await;
            Ok(())
        }
    };
}

fn scene(step: Step, deed: Deed) -> Scene {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    let (end, slot) = endpoint(&process);
    let answers = Answers::default();
    let others = Rc::new(Cell::new(0));
    let server = pinned(&mut kernel, &process, 1, 20, serve(slot, others.clone()));
    let spare = (deed == Deed::KillServer)
        .then(|| pinned(&mut kernel, &process, 1, 20, serve(slot, others.clone())));
    for server in [&server].into_iter().chain(&spare) {
        server.start().unwrap();
        cpus.run_until(1, || server.state() == ThreadState::Blocked);
    }
    let faults = matches!(step, Step::Fault | Step::FaultAnswer);
    let client = pinned(&mut kernel, &process, 1, 10, ask(slot, faults, answers.clone()));
    if faults {
        let endpoint = end.clone().erase();
        client.set_fault_handler(Some(FaultHandler { endpoint, badge: 0, kept: None })).unwrap();
    }
    client.start().unwrap();
    cpus.run_until(1, || client.state() == ThreadState::Running);
    if matches!(step, Step::Answer | Step::FaultAnswer) {
        cpus.step(1);
        assert_eq!(server.state(), ThreadState::Running);
    }
    let other = pinned(&mut kernel, &process, 0, 10, disturb(deed, slot));
    other.start().unwrap();
    cpus.run_until(0, || cpus.place(0) == Place::User);
    Scene { cpus, process, slot, server, spare, client, other, answers, others, kernel }
}

impl Scene {
    fn deed(&self, deed: Deed) -> impl FnOnce() + 'static {
        let (server, client) = (self.server.clone(), self.client.clone());
        let (cpus, process, slot) = (self.cpus.clone(), self.process.clone(), self.slot);
        move || match deed {
            Deed::KillServer => drop(server.kill()),
            Deed::KillClient => drop(client.kill()),
            Deed::SuspendServer => drop(server.suspend()),
            Deed::SuspendClient => drop(client.suspend()),
            Deed::LowerServer => drop(server.ask_priority(5)),
            Deed::LowerClient => drop(client.ask_priority(5)),
            Deed::MoveServer => drop(server.ask_affinity(0b01)),
            Deed::MoveClient => drop(client.ask_affinity(0b01)),
            Deed::CloseEndpoint => process.close(slot).unwrap(),
            Deed::Call | Deed::Send | Deed::Receive => cpus.step(0),
            Deed::WakeServer => server.wake(),
            Deed::WakeClient => client.wake(),
        }
    }

    /// The server does not wait while its client runs, unless an interrupt is on its way.
    fn the_most_urgent_runs(&self) {
        let waits = [ThreadState::Woken, ThreadState::Preempted].contains(&self.server.state())
            && self.server.home() == 1
            && !self.server.is_suspended()
            && self.server.priority() > self.client.priority();
        let runs = self.client.state() == ThreadState::Running && self.client.home() == 1;
        assert!(!(waits && runs) || idle::is_due(1), "a less urgent one runs");
    }

    /// What has to be so when nobody has anything to do any more.
    fn look(&mut self, step: Step, deed: Deed) {
        self.the_most_urgent_runs();
        self.kernel.run_until_idle();
        match deed {
            Deed::SuspendServer => {
                assert!(self.server.is_suspended());
                self.server.resume();
                self.kernel.run_until_idle();
            }
            Deed::SuspendClient => {
                assert_eq!(self.client.exit_reason(), None);
                self.client.resume();
                self.kernel.run_until_idle();
            }
            Deed::LowerServer => assert_eq!(self.server.priority(), 5),
            Deed::LowerClient => assert_eq!(self.client.priority(), 5),
            Deed::MoveServer => assert_eq!(self.server.home(), 0),
            Deed::MoveClient => assert_eq!(self.client.home(), 0),
            Deed::KillServer => {
                assert_eq!(self.server.exit_reason(), Some(ExitReason::Killed));
            }
            _ => {}
        }
        self.look_at_client(step, deed);
        let sent = usize::from(matches!(deed, Deed::Call | Deed::Send));
        assert_eq!(self.others.get(), sent);
        if matches!(deed, Deed::Call | Deed::Send) {
            assert_eq!(self.other.exit_reason(), Some(ExitReason::Exited(0)));
        }
        for server in [&self.server].into_iter().chain(&self.spare) {
            match (deed, server.exit_reason()) {
                (Deed::CloseEndpoint, exit) => assert_eq!(exit, Some(ExitReason::Exited(0))),
                (Deed::KillServer, Some(ExitReason::Killed)) => {}
                (_, exit) => assert_eq!((exit, server.state()), (None, ThreadState::Blocked)),
            }
        }
    }

    fn look_at_client(&self, step: Step, deed: Deed) {
        let answers = self.answers.borrow();
        let exit = self.client.exit_reason();
        let right = Ok(user::message(RESUME, &ANSWER));
        let wrong: Vec<_> = answers.iter().filter(|answer| **answer != right).collect();
        let faults = matches!(step, Step::Fault | Step::FaultAnswer);
        match deed {
            Deed::KillClient => return assert_eq!(exit, Some(ExitReason::Killed)),
            // Nobody handles its fault.
            Deed::KillServer | Deed::CloseEndpoint if faults && answers.len() < ROUNDS => {
                return assert!(matches!(exit, Some(ExitReason::Faulted(_))), "{exit:?}");
            }
            Deed::KillServer => {
                assert!(wrong.is_empty() || wrong == [&Err(Error::PeerGone)], "{wrong:?}");
            }
            Deed::CloseEndpoint => {
                let known = |error: &&Result<_, _>| {
                    let gone = [Error::EndpointGone, Error::PeerGone, Error::StaleCapability];
                    error.is_err_and(|error| gone.contains(&error))
                };
                assert!(wrong.iter().all(known), "{wrong:?}");
            }
            _ => assert!(wrong.is_empty(), "{wrong:?}"),
        }
        assert_eq!((exit, answers.len()), (Some(ExitReason::Exited(0)), ROUNDS));
    }
}

#[test]
fn whatever_another_cpu_does_meets_every_point_of_a_direct_switch() {
    for step in STEPS {
        for deed in DEEDS {
            at_every_point(|point| {
                let mut scene = scene(step, deed);
                println!("{step:?}, {deed:?} at point {point}");
                let came = step_with(&scene.cpus, 1, point, scene.deed(deed));
                if !came {
                    scene.deed(deed)();
                }
                scene.look(step, deed);
                came
            });
        }
    }
}
