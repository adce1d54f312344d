//! Endpoints at which nobody can receive any more: who calls there is told, whoever keeps the endpoint, and however many
//! come on other CPUs meanwhile. A caller that is forgotten waits for ever, and its case does not end.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    children,
    counters::leaves_nothing,
    cpus::{self, bit, scaled},
    suite,
    threads::{self, MIDDLE, at, caller, granted, label, settle},
    workers::{Own, Worker},
};
use orbital_user::{
    Endpoint, ExitReason, IpcError, Rights,
    capability::inspect,
    endpoint::reply,
    server::{Next, serve},
    spawn::Child,
};

suite! {
    cases: [
        the_end_of_a_server_is_told_to_its_callers,
        a_server_that_was_never_there_is_missed,
        one_of_two_servers_may_go,
        one_that_can_receive_by_a_message_keeps_it,
        it_leaves_nothing,
    ],
    on "cpus=1,2,4 timeout=300": [
        servers_go_while_callers_come,
    ],
    roles: [serves, waits],
}

/// Answers all calls.
fn serves() {
    serve(&granted(0), |request| Next::Reply(request.message)).unwrap();
}

/// Never receives what it could.
fn waits() {
    let _ = Endpoint::create().unwrap().receive();
}

/// A process that has the only capability to receive at an endpoint, and one to call there.
fn server(role: &str) -> (Child, Endpoint) {
    let whole = Endpoint::create().unwrap();
    let child = children::start(role, |s| s.grant(whole.slot(), Rights::RECEIVE, 0));
    let calls = whole.copy(Rights::SEND | Rights::GRANT, 0).unwrap();
    (child, calls)
}

fn kill(child: &Child) {
    child.process.kill().unwrap();
    assert_eq!(child.wait(), Ok(ExitReason::Killed));
}

/// Nobody is there for `endpoint`, with or without waiting for it.
#[track_caller]
fn is_over(endpoint: &Endpoint) {
    assert!(inspect(endpoint.slot()).unwrap().is_over);
    assert_eq!(endpoint.call(&label(1)), Err(IpcError::EndpointGone));
    assert_eq!(endpoint.send(&label(1)), Err(IpcError::EndpointGone));
    assert_eq!(endpoint.try_send(&label(1)), Err(IpcError::EndpointGone));
}

fn the_end_of_a_server_is_told_to_its_callers() {
    for role in ["serves", "waits"] {
        let (child, endpoint) = server(role);
        assert!(!inspect(endpoint.slot()).unwrap().is_over);
        if role == "serves" {
            assert_eq!(endpoint.call(&label(7)), Ok(label(7)));
        }
        let waiting: Vec<_> = (0..20)
            .filter(|_| role == "waits")
            .map(|number| caller(endpoint.slot(), number))
            .collect();
        assert!(waiting.iter().all(threads::is_alive));
        kill(&child);
        for caller in waiting {
            assert_eq!(caller.join().unwrap(), Err(IpcError::EndpointGone));
        }
        is_over(&endpoint);
        // It is a capability like any other: it can be copied, and what it was copied to says the same.
        let copy = endpoint.copy(Rights::SEND, 0).unwrap();
        is_over(&copy);
        assert_eq!(inspect(copy.slot()).unwrap().rights, Rights::SEND);
    }
}

/// Who makes an endpoint, and keeps no more than to send, has nobody to send to.
fn a_server_that_was_never_there_is_missed() {
    let whole = Endpoint::create().unwrap();
    let sends = whole.copy(Rights::SEND, 0).unwrap();
    let waiting = caller(sends.slot(), 1);
    assert!(threads::is_alive(&waiting));
    drop(whole);
    assert_eq!(waiting.join().unwrap(), Err(IpcError::EndpointGone));
    is_over(&sends);
}

fn one_of_two_servers_may_go() {
    let whole = Endpoint::create().unwrap();
    let start = || children::start("serves", |s| s.grant(whole.slot(), Rights::RECEIVE, 0));
    let [one, other] = [start(), start()];
    let endpoint = whole.copy(Rights::SEND, 0).unwrap();
    drop(whole);
    kill(&one);
    for number in 0..3 {
        assert_eq!(endpoint.call(&label(number)), Ok(label(number)));
    }
    kill(&other);
    is_over(&endpoint);
}

/// It goes from process to process: the last one that has it counts, wherever that is.
fn one_that_can_receive_by_a_message_keeps_it() {
    let (way, whole) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
    let endpoint = whole.copy(Rights::SEND, 0).unwrap();
    let slot = way.slot();
    let takes = at(MIDDLE, move || {
        let (_, came) = threads::endpoint(slot).receive_with(1).unwrap();
        reply(&label(0)).unwrap();
        came.into_iter().next().unwrap()
    });
    settle();
    let given = whole.copy(Rights::RECEIVE | Rights::GRANT, 0).unwrap();
    way.call_with(&label(0), &[given.slot()], 0).unwrap();
    drop((whole, given));
    let came = Endpoint::from_slot(takes.join().unwrap().into_slot());
    let waiting = caller(endpoint.slot(), 5);
    assert_eq!(came.receive().unwrap().message, label(5));
    reply(&label(6)).unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(label(6)));
    drop(came);
    is_over(&endpoint);
}

fn it_leaves_nothing() {
    leaves_nothing(10, || {
        let (child, endpoint) = server("waits");
        let waiting = [1, 2].map(|number| caller(endpoint.slot(), number));
        kill(&child);
        for caller in waiting {
            assert_eq!(caller.join().unwrap(), Err(IpcError::EndpointGone));
        }
        is_over(&endpoint);
    });
}

static ANSWERED: AtomicU64 = AtomicU64::new(0);
static TOLD: AtomicU64 = AtomicU64::new(0);

/// Calls until nobody is there.
fn calls(own: &Own) {
    let endpoint = threads::endpoint(own.slot());
    loop {
        match endpoint.call(&label(3)) {
            Ok(answer) => assert_eq!(answer, label(3)),
            // Its call was taken when the server went.
            Err(IpcError::PeerGone) => continue,
            Err(error) => {
                assert_eq!(error, IpcError::EndpointGone);
                break;
            }
        }
        ANSWERED.fetch_add(1, SeqCst);
    }
    TOLD.fetch_add(1, SeqCst);
}

/// 200 servers in a long run, each killed among the calls of threads on all CPUs.
fn servers_go_while_callers_come() {
    cpus::be_equal();
    let mut told = 0;
    for round in 0..scaled(200) {
        let (child, endpoint) = server("serves");
        child.thread.set_affinity(bit(round as usize % cpus::count())).unwrap();
        let before = ANSWERED.load(SeqCst);
        let callers: Vec<_> = (0..2 * cpus::count())
            .map(|number| {
                Worker::on(bit(number % cpus::count()), MIDDLE, calls, endpoint.slot().bits())
            })
            .collect();
        // It is among them.
        cpus::until(|| ANSWERED.load(SeqCst) > before + round % 50);
        kill(&child);
        for caller in &callers {
            assert_eq!(caller.wait(), Ok(ExitReason::Exited(0)));
        }
        told += callers.len() as u64;
        assert_eq!(TOLD.load(SeqCst), told);
        is_over(&endpoint);
    }
}
