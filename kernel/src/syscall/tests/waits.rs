//! The dump of who waits.
#![forbid(unsafe_code)]

use std::{cell::RefCell, rc::Rc};

use orbital_abi::{
    CapSlot,
    waits::{Wait, WaitKind},
};

use super::*;
use crate::{
    object::registry,
    thread::{FaultHandler, Tcb, state::ThreadState},
};

/// The next one behind `last`.
async fn next(system: CapSlot, last: (u64, u64)) -> Option<Wait> {
    let words = [system.bits(), last.0, last.1, 0];
    let registers = Registers::control(words);
    Wait::decode(&user::syscall(Syscall::SystemWaits as u64, registers).await.unwrap())
}

/// All of them.
async fn dump(system: CapSlot) -> Vec<Wait> {
    let (mut all, mut last) = (Vec::new(), (0, 0));
    while let Some(wait) = next(system, last).await {
        last = (wait.process, wait.thread);
        all.push(wait);
    }
    all
}

#[test]
fn a_dump_tells_what_each_thread_waits_for_and_for_whom() {
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("p"), kernel.process("other"));
    let ((end, slot), (_, silent)) = (endpoint(&process), endpoint(&process));
    let theirs = grant(&other, &end, Rights::SEND, 0);
    let server = kernel.spawn(&process, 30, async move {
        user::receive(slot, Never).await.unwrap();
        let _ = user::receive(silent, Never).await;
    });
    // Before the server takes any other call.
    let caller = kernel.spawn(&other, 20, async move {
        let _ = user::call(theirs, user::message(1, &[]), Never).await;
    });
    let queued = kernel.spawn(&other, 10, async move {
        let _ = user::call(theirs, user::message(1, &[]), Never).await;
    });
    let faulting = kernel.thread(&process, 10, async {
        user::fault(0x1000).await;
        0
    });
    faulting
        .set_fault_handler(Some(FaultHandler {
            endpoint: end.clone().erase(),
            badge: 0,
            kept: None,
        }))
        .unwrap();
    faulting.start().unwrap();
    let of_other = grant(&process, &other, Rights::WAIT, 0);
    let waiting = kernel.spawn(&process, 10, async move {
        let _ = user::wait(Syscall::ProcessWait, of_other, Never).await;
    });
    kernel.run_until_idle();
    let expected = |thread: &Ref<Tcb>, kind, whom| {
        let process = thread.process.id;
        assert_eq!(thread.state(), ThreadState::Blocked);
        (thread.id.0, process, kind, whom)
    };
    let all = [
        expected(&server, WaitKind::Receive, 0),
        expected(&faulting, WaitKind::Handler, 0),
        expected(&waiting, WaitKind::Process, other.id),
        expected(&caller, WaitKind::Reply, server.id.0),
        expected(&queued, WaitKind::Reply, 0),
    ];
    let system = system(&process, Rights::STATISTICS);
    run_in(&mut kernel, &process, async move {
        let told = dump(system).await;
        let told: Vec<_> =
            told.iter().map(|it| (it.thread, it.process, it.kind, it.whom)).collect();
        assert_eq!(told, all);
    });
}

/// Many threads of several processes, two dumps at the same time, and threads that end meanwhile.
#[test]
fn dumps_that_go_on_at_once_tell_each_thread_once() {
    let mut kernel = Kernel::boot();
    let processes = [0, 1, 2].map(|_| kernel.process("p"));
    let mut threads = Vec::new();
    for process in &processes {
        let (_, slot) = endpoint(process);
        for _ in 0..40 {
            threads.push(kernel.spawn(process, 20, async move {
                let _ = user::receive(slot, Never).await;
            }));
        }
    }
    kernel.run_until_idle();
    let before = registry::live(ObjectKind::Thread);
    let dumpers = kernel.process("dumpers");
    let system = system(&dumpers, Rights::STATISTICS);
    let told = Rc::new(RefCell::new(Vec::new()));
    for count in 0..2 {
        let told = told.clone();
        kernel.spawn(&dumpers, 10, async move {
            let mut last = (0, 0);
            let mut seen = Vec::new();
            while let Some(wait) = next(system, last).await {
                last = (wait.process, wait.thread);
                seen.push(last);
                if count == 0 || seen.len() % 3 == 0 {
                    user::give_way().await;
                }
            }
            told.borrow_mut().push(seen);
        });
    }
    let ends = threads[5].clone();
    ends.kill();
    kernel.run_until_idle();
    assert_eq!(registry::live(ObjectKind::Thread), before);
    let told = told.borrow();
    assert_eq!(told.len(), 2);
    for seen in told.iter() {
        let mut once = seen.clone();
        once.dedup();
        assert_eq!(&once, seen);
        let theirs = seen.iter().filter(|(process, _)| *process < dumpers.id).count();
        assert_eq!(theirs, threads.len() - 1);
    }
}
