//! Processes and threads.
#![forbid(unsafe_code)]

use guests::{
    children, own_thread,
    threads::{self, MIDDLE, at, caller, label, settle},
    workers::Worker,
};
use orbital_user::{
    Endpoint, Process, Rights,
    abi::{census::State, waits::WaitKind},
    endpoint::reply,
};

use super::{number, own, process, processes, thread, threads as all};

pub(super) fn a_process_is_told_with_what_it_has() {
    let first = process(own());
    assert_eq!((first.parent, first.is_ending), (0, false));
    let child = Process::create("k\u{ef}nd \"16\" byte", 64, 64 * 1024).unwrap();
    let told = process(number(child.slot()));
    assert_eq!((told.parent, told.name(), told.threads), (own(), "k\u{ef}nd \"16\" byte", 0));
    assert_eq!((told.is_ending, told.cpu_time), (false, 0));
    let usage = child.usage().unwrap();
    assert_eq!(told.frames, (usage.frames_used, usage.frames_limit));
    assert_eq!(told.kernel_bytes, (usage.kernel_bytes_used, usage.kernel_bytes_limit));
    assert_eq!(told.frames.1, 64);
    // With threads of this process, and with a child that runs.
    let before = process(own()).threads;
    let worker = Worker::new(MIDDLE, |_| (), 0);
    assert_eq!(process(own()).threads, before + 1);
    drop(worker);
    settle();
    assert_eq!(process(own()).threads, before);
    let endpoint = Endpoint::create().unwrap();
    let runs = children::start("waits", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 0));
    settle();
    let told = process(number(runs.process.slot()));
    assert_eq!((told.parent, told.name(), told.threads), (own(), "waits", 1));
    assert!(told.cpu_time > 0);
    runs.process.kill().unwrap();
    runs.wait().unwrap();
}

pub(super) fn a_process_that_ends_is_told_no_more() {
    let ids = || processes().iter().map(|it| it.id).collect::<alloc::vec::Vec<_>>();
    let before = ids();
    let children = [(); 40].map(|()| Process::create("empty", 8, 8192).unwrap());
    let after = ids();
    assert_eq!(after.len(), before.len() + children.len());
    assert!(after.is_sorted_by(|a, b| a < b), "{after:?}");
    for child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(ids(), before);
}

pub(super) fn a_thread_is_told_with_what_it_does() {
    let before = all().len();
    let own_number = number(own_thread().slot());
    let told = thread(own_number);
    assert_eq!((told.process, told.priority, told.cpu), (own(), 255, 0));
    // It waits while the kernel looks.
    assert!(matches!(told.state, State::Blocked(WaitKind::Work, 0) | State::Running), "{told:?}");
    let worker = Worker::new(MIDDLE, |_| (), 0);
    let number_of = number(worker.slot());
    let told = thread(number_of);
    assert_eq!((told.state, told.priority, told.affinity), (State::New, MIDDLE, 1));
    assert_eq!((told.effective_priority, told.cpu_time), (MIDDLE, 0));
    worker.suspend().unwrap();
    worker.start().unwrap();
    assert_eq!(thread(number_of).state, State::Suspended);
    worker.set_priority(7).unwrap();
    worker.resume().unwrap();
    let told = thread(number_of);
    assert_eq!((told.state, told.priority), (State::Ready, 7));
    worker.wait().unwrap();
    settle();
    assert!(all().iter().all(|thread| thread.id != number_of));
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let receiver = at(MIDDLE, move || threads::endpoint(slot).receive());
    settle();
    let told = thread(number(receiver.thread().slot()));
    assert_eq!(told.state, State::Blocked(WaitKind::Receive, 0));
    let waiter = at(MIDDLE, move || receiver.join().unwrap().map(|_| ()));
    settle();
    let told = thread(number(waiter.thread().slot()));
    assert!(matches!(told.state, State::Blocked(WaitKind::Thread, whom) if whom != 0), "{told:?}");
    endpoint.send(&label(1)).unwrap();
    waiter.join().unwrap().unwrap();
    settle();
    assert_eq!(all().len(), before);
}

pub(super) fn a_lent_priority_is_told_beside_its_own() {
    let endpoint = Endpoint::create().unwrap();
    let (slot, second) = (endpoint.slot(), Endpoint::create().unwrap());
    let inner = second.slot();
    let server = at(7, move || {
        threads::endpoint(slot).receive().unwrap();
        // It goes on asking, with the call not answered.
        threads::endpoint(inner).call(&label(2)).unwrap();
        reply(&label(3)).unwrap();
    });
    settle();
    let call = caller(slot, 1);
    let told = thread(number(server.thread().slot()));
    assert_eq!((told.priority, told.effective_priority), (7, MIDDLE));
    let told = thread(number(call.thread().slot()));
    let whom = number(server.thread().slot());
    assert_eq!(told.state, State::Blocked(WaitKind::Reply, whom));
    assert!(second.receive().unwrap().is_call);
    reply(&label(4)).unwrap();
    assert_eq!(call.join().unwrap(), Ok(label(3)));
    server.join().unwrap();
}
