//! Answers to calls, owed and kept ones, and what another CPU does to the caller, to the reply's slot or to the server
//! at each point: the caller is answered once at the most, and whoever answers knows whether that was it.
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use orbital_abi::{
    CapSlot,
    Deadline::{At, Now},
    Error, ExitReason, Message,
};

use super::{
    Kernel, pinned,
    points::{at_every_point, step_with},
    user,
};
use crate::{
    arch::host::clock,
    object::Ref,
    process::Process,
    tests::{
        cpus::{Cpus, Place},
        kernel::endpoint,
    },
    thread::{Tcb, state::ThreadState},
};

/// What the server does as the other CPU comes in between.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Answer,
    AnswerAndReceive,
    /// It puts the call into a slot, and answers it afterwards.
    Keep,
    AnswerKept,
    /// First with a capability for which the caller has no room.
    RefuseKept,
    AnswerKeptAndReceive,
    CloseKept,
    /// It takes another call, which drops the first.
    TakeAnother,
}

/// What the other CPU does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    KillClient,
    EndClient,
    Deadline,
    KillServer,
    EndServer,
    /// Another thread of the server's answers what is in the slot, or closes it.
    Answer,
    Close,
}

const STEPS: [Step; 8] = [
    Step::Answer,
    Step::AnswerAndReceive,
    Step::Keep,
    Step::AnswerKept,
    Step::RefuseKept,
    Step::AnswerKeptAndReceive,
    Step::CloseKept,
    Step::TakeAnother,
];

const DEEDS: [Deed; 7] = [
    Deed::KillClient,
    Deed::EndClient,
    Deed::Deadline,
    Deed::KillServer,
    Deed::EndServer,
    Deed::Answer,
    Deed::Close,
];

/// The slot that the first kept reply comes to, behind the endpoint's.
const KEPT: CapSlot = CapSlot::new(1, 1);
/// The client's patience.
const PATIENCE: u64 = 1_000_000;

type Answers = Rc<RefCell<Vec<Result<Message, Error>>>>;
type Told = Rc<RefCell<Vec<Result<(), Error>>>>;

/// CPU 1 is about to do the step, and CPU 0 has the client, and does its deed.
struct Scene {
    cpus: Rc<Cpus>,
    servers: Ref<Process>,
    clients: Ref<Process>,
    server: Ref<Tcb>,
    client: Ref<Tcb>,
    answers: Answers,
    /// What those who answered were told.
    told: Told,
    /// Goes last: it finds that the others are gone.
    kernel: Kernel,
}

fn answer() -> Message {
    user::message(2, &[1, 2, 3])
}

fn too_much() -> Message {
    Message { tag: answer().tag.with_capabilities(1, 0).unwrap(), ..answer() }
}

impl Step {
    /// Whether it is about a call that is kept before.
    fn is_of_kept(self) -> bool {
        use Step::{AnswerKept, AnswerKeptAndReceive, CloseKept, RefuseKept};
        [AnswerKept, RefuseKept, AnswerKeptAndReceive, CloseKept].contains(&self)
    }
}

/// What a thread is told that answers and receives, and finds nothing to receive.
fn without_a_message<T>(received: Result<T, Error>) -> Option<Result<(), Error>> {
    match received {
        // Whether the caller had gone is not told.
        Err(Error::WouldBlock) => None,
        Err(error) => Some(Err(error)),
        Ok(_) => panic!("nobody sends"),
    }
}

async fn serve(step: Step, endpoint: CapSlot, is_ready: Rc<Cell<bool>>, told: Told) {
    user::receive(endpoint, Now).await.unwrap();
    if step.is_of_kept() {
        assert_eq!(user::keep_reply().await, Ok(KEPT));
    }
    is_ready.set(true);
    user::give_way().await;
    let result = match step {
        Step::Answer => Some(user::reply(answer()).await),
        Step::AnswerAndReceive => {
            without_a_message(user::reply_receive(endpoint, answer(), Now).await)
        }
        Step::Keep => match user::keep_reply().await {
            Ok(slot) => Some(user::reply_to(slot, answer()).await),
            error => {
                assert_eq!(error, Err(Error::PeerGone));
                Some(user::reply(answer()).await)
            }
        },
        Step::AnswerKept => Some(user::reply_to(KEPT, answer()).await),
        Step::RefuseKept => match user::reply_to(KEPT, too_much()).await {
            Err(Error::NoRoom) => Some(user::reply_to(KEPT, answer()).await),
            error => Some(error),
        },
        Step::AnswerKeptAndReceive => {
            without_a_message(user::reply_to_receive(KEPT, endpoint, answer(), Now).await)
        }
        Step::CloseKept => {
            let _ = user::close(KEPT).await;
            None
        }
        Step::TakeAnother => {
            // That may be gone, too.
            if user::receive(endpoint, Now).await.is_ok() {
                let _ = user::reply(answer()).await;
            }
            None
        }
    };
    told.borrow_mut().extend(result);
}

async fn disturb(deed: Deed, told: Told) {
    if deed == Deed::Answer {
        let result = user::reply_to(KEPT, answer()).await;
        told.borrow_mut().push(result);
    } else {
        let _ = user::close(KEPT).await;
    }
}

fn scene(step: Step, deed: Deed) -> Scene {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let (servers, clients) = (kernel.process("servers"), kernel.process("clients"));
    let (end, slot) = endpoint(&servers);
    let sender = crate::tests::kernel::grant(&clients, &end, orbital_abi::Rights::SEND, 0);
    let (answers, told) = (Answers::default(), Told::default());
    let noted = answers.clone();
    let client = pinned(&mut kernel, &clients, 0, 10, async move {
        let deadline = At(clock::nanoseconds() + PATIENCE);
        let answer = user::call(sender, user::message(1, &[]), deadline).await;
        noted.borrow_mut().push(answer);
    });
    client.start().unwrap();
    cpus.run_until(0, || client.state() == ThreadState::Blocked);
    if step == Step::TakeAnother {
        let other = pinned(&mut kernel, &clients, 0, 10, async move {
            let _ = user::call(sender, user::message(1, &[]), orbital_abi::Deadline::Never).await;
        });
        other.start().unwrap();
        cpus.run_until(0, || other.state() == ThreadState::Blocked);
    }
    let is_ready = Rc::new(Cell::new(false));
    let program = serve(step, slot, is_ready.clone(), told.clone());
    let server = pinned(&mut kernel, &servers, 1, 10, program);
    server.start().unwrap();
    cpus.run_until(1, || is_ready.get());
    if matches!(deed, Deed::Answer | Deed::Close) {
        let other = pinned(&mut kernel, &servers, 0, 20, disturb(deed, told.clone()));
        other.start().unwrap();
        cpus.run_until(0, || cpus.place(0) == Place::User);
    }
    Scene { cpus, servers, clients, server, client, answers, told, kernel }
}

impl Scene {
    fn deed(&self, deed: Deed) -> impl FnOnce() + 'static {
        let (server, client, cpus) = (self.server.clone(), self.client.clone(), self.cpus.clone());
        let (servers, clients) = (self.servers.clone(), self.clients.clone());
        move || {
            match deed {
                Deed::KillClient => drop(client.kill()),
                Deed::EndClient => drop(clients.end(ExitReason::Killed)),
                Deed::Deadline => clock::advance(2 * PATIENCE),
                Deed::KillServer => drop(server.kill()),
                Deed::EndServer => drop(servers.end(ExitReason::Killed)),
                Deed::Answer | Deed::Close => {}
            }
            // The client's CPU does what there is to do.
            cpus.run_alone(0);
        }
    }

    /// What has to be so when nobody has anything to do any more.
    fn look(&mut self, step: Step, deed: Deed) {
        self.kernel.run_until_idle();
        let (answers, told) = (self.answers.borrow(), self.told.borrow());
        let answered = told.iter().filter(|told| told.is_ok()).count();
        let known = [Error::PeerGone, Error::StaleCapability, Error::EmptySlot];
        assert!(told.iter().all(|told| told.is_ok() || known.contains(&told.unwrap_err())));
        let case = format!("{step:?} {deed:?}: {answers:?}, {told:?}");
        assert!(answered <= 1, "{case}");
        if step.is_of_kept() && step != Step::CloseKept && deed == Deed::Answer {
            assert_eq!(answers[..], [Ok(answer())], "{case}");
        }
        match answers.as_slice() {
            [] => {
                let gone = matches!(deed, Deed::KillClient | Deed::EndClient);
                assert!(gone && self.client.exit_reason() == Some(ExitReason::Killed), "{case}");
            }
            [Ok(message)] => {
                assert_eq!(*message, answer());
                let is_told = !matches!(step, Step::AnswerAndReceive | Step::AnswerKeptAndReceive);
                // A server that was killed does not hear of it.
                let hears = is_told && !matches!(deed, Deed::KillServer | Deed::EndServer);
                assert!(answered == 1 || !hears, "{case}");
            }
            [Err(error)] => {
                assert_eq!(answered, 0, "{case}");
                let expected = match deed {
                    Deed::Deadline => [Error::Unanswered, Error::PeerGone],
                    _ => [Error::PeerGone; 2],
                };
                assert!(expected.contains(error), "{case}");
            }
            _ => panic!("{case}"),
        }
    }
}

#[test]
fn whatever_another_cpu_does_meets_every_point_of_an_answer() {
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
