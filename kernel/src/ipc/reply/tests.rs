//! A kept call that one thread has in hand, as another one comes to answer it.
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use orbital_abi::{CapSlot, Deadline::Never, Error, ExitReason, Message, ObjectKind, Rights};

use super::Reply;
use crate::{
    ipc::transfer,
    object::{Ref, registry},
    process::Process,
    tests::{
        kernel::{Kernel, endpoint, grant},
        user,
    },
    thread::{Found, Holder, Owed, Tcb},
};

/// What somebody was told.
type Notes<T> = Rc<RefCell<Vec<Result<T, Error>>>>;

/// A server that has kept a client's call, which the test has in its hands.
struct Scene {
    server: Ref<Process>,
    client: Ref<Tcb>,
    slot: CapSlot,
    reply: Ref<Reply>,
    answers: Notes<Message>,
    kernel: Kernel,
}

fn answer() -> Message {
    user::message(2, &[1, 2, 3])
}

impl Scene {
    fn new() -> Self {
        let mut kernel = Kernel::boot();
        let (server, clients) = (kernel.process("server"), kernel.process("client"));
        let (end, receiver) = endpoint(&server);
        let sender = grant(&clients, &end, Rights::SEND, 0);
        let kept = Rc::<Cell<Option<CapSlot>>>::default();
        let keeps = kept.clone();
        kernel.spawn(&server, 10, async move {
            user::receive(receiver, Never).await.unwrap();
            keeps.set(user::keep_reply().await.ok());
            let _ = user::receive(receiver, Never).await;
        });
        let answers = Notes::default();
        let noted = answers.clone();
        let client = kernel.spawn(&clients, 10, async move {
            let answer = user::call(sender, user::message(1, &[]), Never).await;
            noted.borrow_mut().push(answer);
        });
        kernel.run_until_idle();
        let slot = kept.get().unwrap();
        let reply = server.capability(slot).unwrap().object(Rights::empty()).unwrap();
        Self { server, client, slot, reply, answers, kernel }
    }

    fn pick_up(&self) -> Owed<'_> {
        let Found::Call(call) = self.reply.call.pick_up() else { panic!("it is there") };
        call
    }

    /// What another thread of the server's is told that answers now.
    fn other(&mut self) -> Result<(), Error> {
        let (slot, told) = (self.slot, Notes::default());
        let noted = told.clone();
        self.kernel.spawn(&self.server, 10, async move {
            let result = user::reply_to(slot, answer()).await;
            noted.borrow_mut().push(result);
        });
        self.kernel.run_until_idle();
        told.take().remove(0)
    }

    /// The client is told that, and nothing is left.
    fn ends(mut self, expected: &[Result<Message, Error>]) {
        drop(self.reply);
        self.kernel.run_until_idle();
        assert_eq!(*self.answers.borrow(), expected);
        assert!(registry::live(ObjectKind::Reply) <= 1, "in its slot at the most");
    }
}

#[test]
fn who_meets_a_reply_in_hand_is_told_and_may_try_again() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        let reply = scene.reply.clone();
        let Found::Call(call) = reply.call.pick_up() else { panic!("it is there") };
        assert_eq!(scene.other(), Err(Error::NoReplyOwed));
        assert!(matches!(reply.call.pick_up(), Found::InHand));
        // There was no room for the answer.
        call.claim().unwrap().put_back(Holder::Kept(&reply.call));
    }
    assert_eq!(scene.other(), Ok(()));
    assert_eq!(scene.other(), Err(Error::StaleCapability));
    scene.ends(&[Ok(answer())]);
}

#[test]
fn who_comes_after_the_answer_finds_the_reply_used_up() {
    let mut scene = Scene::new();
    let claim = scene.pick_up().claim().unwrap();
    scene.reply.call.put_down();
    claim.complete(Ok(transfer::replied(&answer(), CapSlot::NULL)));
    assert_eq!(scene.other(), Err(Error::StaleCapability));
    scene.ends(&[Ok(answer())]);
}

#[test]
fn a_caller_that_ends_while_its_call_is_in_hand_is_gone_for_whoever_has_it() {
    let mut scene = Scene::new();
    let reply = scene.reply.clone();
    let Found::Call(call) = reply.call.pick_up() else { panic!("it is there") };
    scene.client.kill();
    scene.kernel.run_until_idle();
    assert_eq!(scene.client.exit_reason(), Some(ExitReason::Killed));
    assert_eq!(scene.other(), Err(Error::NoReplyOwed));
    assert!(call.claim().is_none());
    reply.call.put_down();
    drop(reply);
    assert_eq!(scene.other(), Err(Error::StaleCapability));
    scene.ends(&[]);
}

/// One that is put back after its slot was closed has nobody who could answer it.
#[test]
fn a_slot_that_is_closed_while_the_call_is_in_hand() {
    for is_answered in [false, true] {
        let scene = Scene::new();
        let claim = scene.pick_up().claim().unwrap();
        scene.server.close(scene.slot).unwrap();
        if is_answered {
            scene.reply.call.put_down();
            claim.complete(Ok(transfer::replied(&answer(), CapSlot::NULL)));
        } else {
            claim.put_back(Holder::Kept(&scene.reply.call));
        }
        scene.ends(&[if is_answered { Ok(answer()) } else { Err(Error::PeerGone) }]);
    }
}
