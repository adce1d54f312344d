//! Priorities that are lent, by what they change: who runs before whom. All on one CPU; `tests/smp` has others.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never},
    Error, Rights, Syscall,
};

use super::{Kernel, Notes, differential::ShortCuts, grant, message, pair, user, words};
use crate::{
    arch::host::clock,
    ipc::{Endpoint, binding::bind_endpoint},
    object::Ref,
    process::Process,
    tests::kernel::endpoint,
    thread::{FaultHandler, Tcb},
};

pub(super) const LOW: u8 = 10;
pub(super) const MIDDLE: u8 = 20;
pub(super) const HIGH: u8 = 30;
/// Longer than all else takes.
pub(super) const LONG: u64 = 1_000_000_000;
/// How long a server works, and when others do something meanwhile: several slices, in nanoseconds.
pub(super) const WORK: u64 = 20_000_000;
pub(super) const HALF: u64 = WORK / 2;

/// A server of low priority, whose work for a call takes some time, and a thread in the middle that wants to run from
/// when that has begun.
pub(super) struct Scene {
    pub(super) process: Ref<Process>,
    end: Ref<Endpoint>,
    pub(super) slot: CapSlot,
    pub(super) server: Ref<Tcb>,
    pub(super) notes: Notes<&'static str>,
    _short_cuts: ShortCuts,
    /// Last, as it looks whether all is given back.
    pub(super) kernel: Kernel,
}

/// What the server does when it has taken a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Answer,
    AnswerAndReceive,
    Keep,
    End,
}

pub(super) fn scene(deed: Deed, short_cuts: bool) -> Scene {
    let mut kernel = Kernel::boot();
    let short_cuts = ShortCuts::set(short_cuts);
    let process = kernel.process("p");
    let (end, slot) = endpoint(&process);
    let notes = Notes::default();
    let noted = notes.clone();
    let (_, gate) = endpoint(&process);
    let middle = kernel.thread(&process, MIDDLE, {
        let noted = notes.clone();
        async move {
            noted.borrow_mut().push("middle");
            0
        }
    });
    let server = kernel.spawn(&process, LOW, async move {
        user::receive(slot, Never).await.unwrap();
        middle.start().unwrap();
        user::give_way().await;
        user::work(WORK).await;
        noted.borrow_mut().push("worked");
        match deed {
            // Perhaps nobody waits for it any more.
            Deed::Answer => drop(user::reply(words()).await),
            Deed::AnswerAndReceive => {
                let _ = user::reply_receive(gate, words(), Never).await;
            }
            Deed::Keep => drop(user::keep_reply().await),
            Deed::End => user::exit(0).await,
        }
        noted.borrow_mut().push("went on");
    });
    kernel.run_until_idle();
    Scene { process, end, slot, server, notes, _short_cuts: short_cuts, kernel }
}

impl Scene {
    /// A thread of high priority calls the server.
    fn call(&mut self, deadline: u64) -> Ref<Tcb> {
        let (slot, noted) = (self.slot, self.notes.clone());
        self.kernel.spawn(&self.process, HIGH, async move {
            let told = match user::call(slot, words(), At(deadline)).await {
                Ok(_) => "answered",
                Err(Error::Unanswered) => "too late",
                Err(_) => "refused",
            };
            noted.borrow_mut().push(told);
        })
    }
}

/// Once with the short cuts, once without.
pub(super) fn both(f: impl Fn(bool)) {
    [true, false].into_iter().for_each(f);
}

#[test]
fn who_answers_is_as_urgent_as_its_caller_until_then() {
    both(|short_cuts| {
        for (deed, expected) in [
            (Deed::Answer, ["worked", "answered", "middle", "went on"].as_slice()),
            (Deed::AnswerAndReceive, &["worked", "answered", "middle"]),
            // Nobody answers it any more, in its time.
            (Deed::Keep, &["worked", "middle", "went on", "too late"]),
            (Deed::End, &["worked", "refused", "middle"]),
        ] {
            let mut scene = scene(deed, short_cuts);
            scene.call(clock::nanoseconds() + LONG);
            scene.kernel.run_until_idle();
            assert_eq!(*scene.notes.borrow(), expected, "{deed:?}");
        }
    });
}

/// Lets a thread above all others do `deed` half-way through the server's work.
fn meanwhile(scene: &mut Scene, deed: impl FnOnce() + 'static) {
    scene.kernel.spawn(&scene.process, HIGH + 1, async move {
        let half = clock::nanoseconds() + HALF;
        user::control(Syscall::ThreadSleep, [half, 0, 0, 0]).await.unwrap();
        deed();
    });
}

#[test]
fn nothing_is_lent_any_more_by_who_has_given_up_or_is_less_urgent() {
    both(|short_cuts| {
        let mut given_up = scene(Deed::Answer, short_cuts);
        given_up.call(clock::nanoseconds() + HALF);
        given_up.kernel.run_until_idle();
        assert_eq!(given_up.notes.take(), ["too late", "middle", "worked", "went on"]);
        drop(given_up);

        let mut killed = scene(Deed::End, short_cuts);
        let caller = killed.call(u64::MAX);
        meanwhile(&mut killed, move || {
            let _ = caller.kill();
        });
        killed.kernel.run_until_idle();
        assert_eq!(killed.notes.take(), ["middle", "worked"]);
        drop(killed);

        let mut lowered = scene(Deed::Answer, short_cuts);
        let caller = lowered.call(u64::MAX);
        meanwhile(&mut lowered, move || {
            let _ = caller.ask_priority(LOW);
        });
        lowered.kernel.run_until_idle();
        assert_eq!(lowered.notes.take(), ["middle", "worked", "went on", "answered"]);
    });
}

/// A faulting thread waits for its handler as a caller does.
#[test]
fn a_handler_is_as_urgent_as_who_faults() {
    both(|short_cuts| {
        let mut scene = scene(Deed::Answer, short_cuts);
        let noted = scene.notes.clone();
        let thread = scene.kernel.thread(&scene.process, HIGH, async move {
            user::fault(0x1000).await;
            noted.borrow_mut().push("resumed");
            0
        });
        let capability = scene.process.capability(scene.slot).unwrap();
        let handler = FaultHandler { endpoint: capability.object, badge: 0, kept: None };
        thread.set_fault_handler(Some(handler)).unwrap();
        thread.start().unwrap();
        scene.kernel.run_until_idle();
        assert_eq!(scene.notes.take()[..2], ["worked", "middle"]);
    });
}

/// Servers of which each calls the next one, and the last one works.
pub(super) struct Chain {
    pub(super) links: Vec<Ref<Tcb>>,
    pub(super) scene: Scene,
}

pub(super) fn chain(length: usize, short_cuts: bool) -> Chain {
    let mut scene = scene(Deed::Answer, short_cuts);
    let mut links = Vec::new();
    let mut end = scene.end.clone();
    let mut process = scene.process.clone();
    for link in 1..length {
        if link % 16 == 0 {
            process = scene.kernel.process("links");
        }
        let next = grant(&process, &end, Rights::SEND, 0);
        let (its, own) = endpoint(&process);
        end = its;
        links.push(scene.kernel.spawn(&process, LOW - 1, async move {
            user::receive(own, Never).await.unwrap();
            if user::call(next, words(), Never).await.is_ok() {
                // Perhaps nobody waits for it any more.
                let _ = user::reply(words()).await;
            }
        }));
    }
    scene.kernel.run_until_idle();
    scene.slot = grant(&scene.process, &end, Rights::SEND, 0);
    Chain { links, scene }
}

#[test]
fn a_chain_of_64_servers_is_as_urgent_as_who_calls_the_first() {
    both(|short_cuts| {
        let mut chain = chain(64, short_cuts);
        chain.scene.call(u64::MAX);
        chain.scene.kernel.run_until_idle();
        let notes = chain.scene.notes.take();
        assert_eq!(notes, ["worked", "answered", "middle", "went on"]);
    });
}

/// Those behind it are left to themselves, those before it are told.
#[test]
fn a_kill_in_the_middle_of_a_chain_unwinds_it() {
    both(|short_cuts| {
        for place in [0, 1, 31, 62] {
            let mut chain = chain(64, short_cuts);
            chain.scene.call(u64::MAX);
            let link = chain.links[place].clone();
            meanwhile(&mut chain.scene, move || {
                let _ = link.kill();
            });
            chain.scene.kernel.run_until_idle();
            // The last one has nobody to answer, if the one that called it was killed.
            let notes = chain.scene.notes.take();
            assert_eq!(notes[..3], ["refused", "middle", "worked"], "{place}");
            for link in chain.links.iter().filter(|link| !link.is_ended()) {
                assert_eq!(link.priority(), LOW - 1);
            }
        }
    });
}

/// In the middle of a chain a thread is given another priority, and takes it back.
#[test]
fn a_change_at_the_head_of_a_chain_goes_through_it() {
    both(|short_cuts| {
        let mut chain = chain(64, short_cuts);
        let caller = chain.scene.call(u64::MAX);
        let (last, seen) = (chain.scene.server.clone(), Notes::default());
        let noted = seen.clone();
        chain.scene.kernel.spawn(&chain.scene.process, HIGH + 5, async move {
            let mut at = clock::nanoseconds() + WORK / 10;
            for priority in [MIDDLE, LOW, MIDDLE + 1, HIGH] {
                user::control(Syscall::ThreadSleep, [at, 0, 0, 0]).await.unwrap();
                caller.ask_priority(priority);
                at += WORK / 10;
                user::control(Syscall::ThreadSleep, [at, 0, 0, 0]).await.unwrap();
                noted.borrow_mut().push(last.priority());
                at += WORK / 20;
            }
        });
        chain.scene.kernel.run_until_idle();
        assert_eq!(seen.take(), [MIDDLE, LOW, MIDDLE + 1, HIGH]);
    });
}

/// Who waits at a bound endpoint lends to the thread that alone can take its call, while that does something else.
#[test]
fn those_who_wait_at_a_bound_endpoint_lend_too() {
    for (is_bound, expected) in [
        (true, ["worked", "took it", "answered", "middle"]),
        (false, ["middle", "worked", "took it", "answered"]),
    ] {
        let mut kernel = Kernel::boot();
        let process = kernel.process("p");
        let (end, slot) = endpoint(&process);
        let notes = Notes::default();
        let (noted, called, between) = (notes.clone(), notes.clone(), notes.clone());
        let server = kernel.thread(&process, LOW, async move {
            user::work(WORK).await;
            noted.borrow_mut().push("worked");
            user::receive(slot, Never).await.unwrap();
            noted.borrow_mut().push("took it");
            user::reply(words()).await.unwrap();
            0
        });
        if is_bound {
            bind_endpoint(&end, Some(&server), None).unwrap();
        }
        server.start().unwrap();
        kernel.spawn(&process, HIGH, async move {
            user::control(Syscall::ThreadSleep, [clock::nanoseconds() + HALF, 0, 0, 0])
                .await
                .unwrap();
            user::call(slot, words(), Never).await.unwrap();
            called.borrow_mut().push("answered");
        });
        kernel.spawn(&process, MIDDLE, async move {
            user::control(Syscall::ThreadSleep, [clock::nanoseconds() + HALF + 100, 0, 0, 0])
                .await
                .unwrap();
            between.borrow_mut().push("middle");
        });
        kernel.run_until_idle();
        assert_eq!(notes.take(), expected);
        assert_eq!(server.priority(), LOW);
    }
}

/// A thread that waits in a queue stands by the priority that it has now.
#[test]
fn who_waits_in_a_queue_has_another_place_with_another_priority() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let senders: Vec<Ref<Tcb>> = (0..4)
        .map(|number| {
            kernel.spawn(&pair.client, MIDDLE, async move {
                user::send(sender, message(number, &[]), Never).await.unwrap();
            })
        })
        .collect();
    kernel.run_until_idle();
    senders[2].ask_priority(MIDDLE - 1);
    senders[0].ask_priority(MIDDLE - 2);
    senders[0].ask_priority(MIDDLE);
    kernel.run_until_idle();
    let notes = Notes::default();
    let noted = notes.clone();
    kernel.spawn(&pair.server, LOW, async move {
        for _ in 0..4 {
            let received = user::receive(receiver, Never).await.unwrap();
            noted.borrow_mut().push(received.message.tag.label());
        }
    });
    kernel.run_until_idle();
    assert_eq!(notes.take(), [0, 1, 3, 2]);
}
