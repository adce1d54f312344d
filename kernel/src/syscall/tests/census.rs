//! What runs, and who can reach what.
#![forbid(unsafe_code)]

use std::{cell::RefCell, rc::Rc};

use orbital_abi::{
    CapSlot,
    census::{Capability, Place, Process as ToldProcess, State, Thread},
    waits::WaitKind,
};

use super::*;
use crate::sched::cpu_time;

/// All that `call` tells, from `first` on; `next` gives behind what to go on.
async fn all<T: Copy>(
    call: Syscall,
    system: CapSlot,
    first: (u64, u64),
    decode: impl Fn(&Registers) -> Option<T>,
    next: impl Fn(T) -> (u64, u64),
) -> Vec<T> {
    let (mut told, mut last) = (Vec::new(), first);
    loop {
        let registers = Registers::control([system.bits(), last.0, last.1, 0]);
        let answer = user::syscall(call as u64, registers).await.unwrap();
        let Some(one) = decode(&answer) else {
            assert_eq!(answer, Registers::default());
            return told;
        };
        last = next(one);
        told.push(one);
    }
}

async fn processes(system: CapSlot) -> Vec<ToldProcess> {
    all(Syscall::SystemProcesses, system, (0, 0), ToldProcess::decode, |it| (it.id, 0)).await
}

async fn threads(system: CapSlot) -> Vec<Thread> {
    all(Syscall::SystemThreads, system, (0, 0), Thread::decode, |it| (it.process, it.id)).await
}

async fn capabilities(system: CapSlot, process: u64) -> Vec<Capability> {
    let next = |it: Capability| (process, u64::from(it.slot.index()) + 1);
    all(Syscall::SystemCapabilities, system, (process, 0), Capability::decode, next).await
}

#[test]
fn processes_and_threads_are_told_as_they_are() {
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("first"), kernel.process("other"));
    let (_, slot) = endpoint(&other);
    let waits = kernel.spawn(&other, 20, async move {
        let _ = user::receive(slot, Never).await;
    });
    let new = kernel.thread(&other, 30, async { 0 });
    let stopped = kernel.spawn(&other, 40, async {});
    stopped.suspend();
    kernel.run_until_idle();
    let system = system(&process, Rights::STATISTICS);
    let (id, numbers) = (other.id, [waits.id.0, new.id.0, stopped.id.0]);
    run_in(&mut kernel, &process, async move {
        let told = processes(system).await;
        assert!(told.is_sorted_by(|a, b| a.id < b.id));
        let other = told.iter().find(|it| it.id == id).unwrap();
        assert_eq!((other.name(), other.threads, other.is_ending), ("other", 3, false));
        let told = threads(system).await;
        let states = numbers.map(|number| told.iter().find(|it| it.id == number).unwrap().state);
        let receives = State::Blocked(WaitKind::Receive, 0);
        assert_eq!(states, [receives, State::New, State::Suspended]);
        let priorities: Vec<_> =
            told.iter().filter(|it| it.process == id).map(|it| it.priority).collect();
        assert_eq!(priorities, [20, 30, 40]);
    });
    new.start().unwrap();
    stopped.resume();
}

/// Several of these at the same time, and a thread that ends meanwhile.
#[test]
fn walks_that_disturb_each_other_tell_each_thread_once() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = endpoint(&process);
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            kernel.spawn(&process, 20, async move {
                let _ = user::receive(slot, Never).await;
            })
        })
        .collect();
    kernel.run_until_idle();
    let looks = kernel.process("looks");
    let system = system(&looks, Rights::STATISTICS);
    let told = Rc::new(RefCell::new(Vec::new()));
    for priority in [10, 10, 10] {
        let told = told.clone();
        kernel.spawn(&looks, priority, async move {
            let mut last = (0, 0);
            let mut seen = Vec::new();
            loop {
                let registers = Registers::control([system.bits(), last.0, last.1, 0]);
                let answer = user::syscall(Syscall::SystemThreads as u64, registers).await.unwrap();
                let Some(thread) = Thread::decode(&answer) else { break };
                last = (thread.process, thread.id);
                seen.push(thread.id);
                user::give_way().await;
            }
            told.borrow_mut().push(seen);
        });
    }
    waiting[5].kill();
    kernel.run_until_idle();
    for seen in told.borrow().iter() {
        for (place, thread) in waiting.iter().enumerate() {
            let count = seen.iter().filter(|id| **id == thread.id.0).count();
            assert!(count == 1 || place == 5 && count == 0, "{place}: {count}");
        }
    }
    assert_eq!(told.borrow().len(), 3);
}

#[test]
fn capabilities_are_told_across_gaps_with_where_they_come_from() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let system = system(&process, Rights::STATISTICS);
    let (_, slot) = endpoint(&process);
    let id = process.id;
    run_in(&mut kernel, &process, async move {
        let before = capabilities(system, id).await;
        let mut copies = Vec::new();
        for badge in 1..=300 {
            let rights = Rights::SEND | Rights::GRANT;
            copies.push(user::copy(slot, CapSlot::NULL, rights, badge).await.unwrap());
        }
        // One in between, and one far behind it, before which one comes again: the slot that was closed last.
        let stay = [120, 299];
        for (place, copy) in copies.iter().enumerate() {
            if !stay.contains(&place) {
                user::close(*copy).await.unwrap();
            }
        }
        let grandchild = user::copy(copies[120], CapSlot::NULL, Rights::SEND, 0).await.unwrap();
        let told = capabilities(system, id).await;
        assert_eq!(told.len(), before.len() + 3);
        assert!(told.is_sorted_by(|a, b| a.slot.index() < b.slot.index()));
        let of = |slot| *told.iter().find(|it| it.slot == slot).unwrap();
        let at = |slot: CapSlot| Some(Place { process: id, index: slot.index() });
        let source = of(slot);
        assert_eq!((source.kind, source.parent), (ObjectKind::Endpoint, None));
        for place in stay {
            let copy = of(copies[place]);
            assert_eq!((copy.badge, copy.parent), (place as u64 + 1, at(slot)));
            assert_eq!((copy.kind, copy.identity), (source.kind, source.identity));
        }
        assert_eq!(of(grandchild).parent, at(copies[120]));
        assert_eq!(of(system).kind, ObjectKind::System);
        // From the middle of the table on, and from behind it.
        for (index, count) in [(copies[120].index() + 1, 2), (copies[299].index() + 1, 0)] {
            let next = |it: Capability| (id, u64::from(it.slot.index()) + 1);
            let call = Syscall::SystemCapabilities;
            let rest = all(call, system, (id, index.into()), Capability::decode, next).await;
            assert_eq!(rest.len(), count, "{index}");
        }
    });
}

#[test]
fn who_works_is_charged_and_who_waits_is_not() {
    const MS: u64 = 1_000_000;
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("p"), kernel.process("other"));
    let (_, slot) = endpoint(&other);
    let waits = kernel.spawn(&other, 30, async move {
        let _ = user::receive(slot, Never).await;
    });
    kernel.run_until_idle();
    let slept = waits.cpu_time();
    let works = |time: u64| async move {
        for _ in 0..time {
            user::work(MS).await;
        }
    };
    let threads = [3, 5].map(|time| kernel.spawn(&process, 20, works(time)));
    let idle = cpu_time::idle(0);
    kernel.run_until_idle();
    let times = threads.map(|thread| thread.cpu_time() / MS);
    // An equal waits for its turn, so the timer comes between them.
    assert_eq!(times, [3, 5]);
    assert_eq!((process.cpu_time() / MS, waits.cpu_time()), (8, slept));
    assert!(cpu_time::idle(0) - idle < MS);
}
