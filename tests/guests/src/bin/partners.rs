//! Partners that end and endpoints that go, while others wait: everyone gets an answer.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, vec::Vec};

use guests::{
    children, counters, option, places, raw, suite,
    threads::{self, MIDDLE, caller, granted, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason, FaultKind, IpcError, Rights, endpoint::reply, spawn::Child,
    thread::JoinHandle,
};

suite! {
    cases: [
        a_server_that_exits_drops_its_call,
        a_server_that_faults_drops_its_call,
        a_server_that_is_killed_drops_its_call,
        a_server_thread_that_ends_drops_its_call,
        the_last_capability_takes_all_waiters_along,
        a_copy_to_receive_keeps_the_endpoint,
        a_process_s_end_closes_its_capabilities,
        a_taken_call_outlives_its_endpoint,
        reply_receive_learns_that_the_endpoint_is_gone,
        a_killed_thread_leaves_its_queue,
        a_killed_process_leaves_its_queue,
        a_kill_and_an_endpoint_s_end_at_once,
        killed_partners_leave_nothing,
    ],
    roles: [server, holder, waiter],
}

/// How a thread waits at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Send,
    Call,
    Receive,
}

const WAYS: [Way; 3] = [Way::Send, Way::Call, Way::Receive];

impl Way {
    /// Waits; messages have the label `number`, and so has the answer that is to come.
    fn wait(self, endpoint: &Endpoint, number: u32) -> Result<(), IpcError> {
        match self {
            Self::Send => endpoint.send(&label(number)),
            Self::Call => {
                endpoint.call(&label(number)).map(|answer| assert_eq!(answer, label(number)))
            }
            Self::Receive => {
                endpoint.receive().map(|received| assert_eq!(received.message, label(number)))
            }
        }
    }

    /// A thread that waits so by now.
    fn thread(self, slot: CapSlot, number: u32) -> JoinHandle<Result<(), IpcError>> {
        let thread = threads::at(MIDDLE, move || self.wait(&threads::endpoint(slot), number));
        settle();
        thread
    }

    /// A process that waits so by now.
    fn process(self, slot: CapSlot, number: u32) -> Child {
        let arguments = format!("way={self:?} number={number}");
        let rights = Rights::SEND | Rights::RECEIVE;
        let child =
            children::start_with_arguments("waiter", &arguments, |s| s.grant(slot, rights, 0));
        settle();
        child
    }

    /// Serves the one who is first in line: it is `number`.
    fn serve(self, endpoint: &Endpoint, number: u32) {
        if self == Self::Receive {
            return endpoint.try_send(&label(number)).unwrap();
        }
        let received = endpoint.try_receive().unwrap();
        let is_call = self == Self::Call;
        assert_eq!((received.message, received.is_call), (label(number), is_call));
        if is_call {
            reply(&label(number)).unwrap();
        }
    }
}

fn waiter() {
    let number = option("number").unwrap().parse().unwrap();
    let name = option("way").unwrap();
    let way = WAYS.into_iter().find(|way| format!("{way:?}") == name).unwrap();
    way.wait(&granted(0), number).unwrap();
}

/// Nobody waits at `endpoint`, on either side.
#[track_caller]
fn is_deserted(endpoint: &Endpoint) {
    assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
    assert_eq!(endpoint.try_send(&label(0)), Err(IpcError::WouldBlock));
}

/// Takes one call, and ends as it was told.
fn server() {
    let endpoint = granted(0);
    assert!(endpoint.receive().unwrap().is_call);
    match option("end").unwrap() {
        "exit" => {}
        "fault" => raw::fault(),
        _ => waits_for_ever(),
    }
}

fn waits_for_ever() {
    let _ = Endpoint::create().unwrap().receive();
}

/// A server process that takes a call and ends, before or after which another call comes: the first
/// caller gets `PeerGone`; the second, which nobody took, stays for the next server.
fn a_server_ends(end: &str, as_expected: fn(ExitReason) -> bool) {
    for server_first in [false, true] {
        let endpoint = Endpoint::create().unwrap();
        let start = || {
            let arguments = format!("end={end}");
            let child = children::start_with_arguments("server", &arguments, |s| {
                s.grant(endpoint.slot(), Rights::RECEIVE, 0)
            });
            settle();
            child
        };
        let waiting = server_first.then(start);
        let first = caller(endpoint.slot(), 1);
        let second = caller(endpoint.slot(), 2);
        let server = waiting.unwrap_or_else(start);
        if end == "kill" {
            assert!(threads::is_alive(&first));
            server.process.kill().unwrap();
        }
        let reason = server.wait().unwrap();
        assert!(as_expected(reason), "{reason:?}");
        assert_eq!(first.join().unwrap(), Err(IpcError::PeerGone));
        assert!(threads::is_alive(&second));
        assert_eq!(endpoint.receive().unwrap().message, label(2));
        reply(&label(3)).unwrap();
        assert_eq!(second.join().unwrap(), Ok(label(3)));
    }
}

/// The server exits.
fn a_server_that_exits_drops_its_call() {
    a_server_ends("exit", |reason| reason == ExitReason::Exited(0));
}

/// The server faults.
fn a_server_that_faults_drops_its_call() {
    a_server_ends(
        "fault",
        |reason| matches!(reason, ExitReason::Faulted(fault) if fault.kind == FaultKind::InvalidOpcode),
    );
}

/// The server is killed.
fn a_server_that_is_killed_drops_its_call() {
    a_server_ends("kill", |reason| reason == ExitReason::Killed);
}

/// The thread that took the call ends, by itself or by a kill, and its process goes on.
fn a_server_thread_that_ends_drops_its_call() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    for killed in [false, true] {
        for server_first in [false, true] {
            let start = || {
                let server = threads::at(MIDDLE, move || {
                    assert!(threads::endpoint(slot).receive().unwrap().is_call);
                    if killed {
                        waits_for_ever();
                    }
                });
                settle();
                server
            };
            let waiting = server_first.then(start);
            let first = caller(slot, 1);
            let second = caller(slot, 2);
            let server = waiting.unwrap_or_else(start);
            assert_eq!(threads::is_alive(&server), killed);
            threads::end(server);
            assert_eq!(first.join().unwrap(), Err(IpcError::PeerGone));
            assert!(threads::is_alive(&second));
            Way::Call.serve(&endpoint, 2);
            assert_eq!(second.join().unwrap(), Ok(label(2)));
        }
    }
}

/// The last capability to an endpoint is closed: all who wait there get `EndpointGone`.
fn the_last_capability_takes_all_waiters_along() {
    for way in WAYS {
        let endpoint = Endpoint::create().unwrap();
        let waiters: Vec<_> = (0..20).map(|number| way.thread(endpoint.slot(), number)).collect();
        assert!(waiters.iter().all(threads::is_alive));
        drop(endpoint);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(IpcError::EndpointGone), "{way:?}");
        }
    }
}

/// Every copy by which one can receive keeps an endpoint and all who wait there; the last does not, whatever others there
/// are.
fn a_copy_to_receive_keeps_the_endpoint() {
    for way in WAYS {
        let endpoint = Endpoint::create().unwrap();
        let waiter = way.thread(endpoint.slot(), 0);
        let others = [Rights::SEND, Rights::empty()].map(|it| endpoint.copy(it, 0).unwrap());
        let copies = [Rights::RECEIVE, Rights::SEND | Rights::RECEIVE]
            .map(|rights| endpoint.copy(rights, 0).unwrap());
        drop(endpoint);
        for copy in copies {
            settle();
            assert!(threads::is_alive(&waiter), "{way:?}");
            drop(copy);
        }
        assert_eq!(waiter.join().unwrap(), Err(IpcError::EndpointGone), "{way:?}");
        drop(others);
    }
}

fn holder() {
    waits_for_ever();
}

/// A process holds the last capability to receive at an endpoint: its end, by a kill, ends the waits of others.
fn a_process_s_end_closes_its_capabilities() {
    for way in WAYS {
        let endpoint = Endpoint::create().unwrap();
        let holder = children::start("holder", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 0));
        settle();
        let waiter = way.thread(endpoint.slot(), 0);
        drop(endpoint);
        settle();
        assert!(threads::is_alive(&waiter), "{way:?}");
        holder.process.kill().unwrap();
        assert_eq!(holder.wait(), Ok(ExitReason::Killed));
        assert_eq!(waiter.join().unwrap(), Err(IpcError::EndpointGone), "{way:?}");
    }
}

/// A call that was taken does not need its endpoint any more.
fn a_taken_call_outlives_its_endpoint() {
    let endpoint = Endpoint::create().unwrap();
    let taken = caller(endpoint.slot(), 1);
    let queued = caller(endpoint.slot(), 2);
    assert_eq!(endpoint.receive().unwrap().message, label(1));
    drop(endpoint);
    assert_eq!(queued.join().unwrap(), Err(IpcError::EndpointGone));
    assert!(threads::is_alive(&taken));
    reply(&label(3)).unwrap();
    assert_eq!(taken.join().unwrap(), Ok(label(3)));
}

/// A server that answered and waits for the next message is told; its answer has arrived.
fn reply_receive_learns_that_the_endpoint_is_gone() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let server = threads::at(MIDDLE, move || {
        let endpoint = threads::endpoint(slot);
        endpoint.receive().unwrap();
        endpoint.reply_receive(&label(2))
    });
    assert_eq!(endpoint.call(&label(1)), Ok(label(2)));
    settle();
    assert!(threads::is_alive(&server));
    drop(endpoint);
    assert_eq!(server.join().unwrap(), Err(IpcError::EndpointGone));
}

/// Of three threads that wait, one is killed: the others are served in their order, and nothing is
/// left of the one.
fn a_killed_thread_leaves_its_queue() {
    let endpoint = Endpoint::create().unwrap();
    for way in WAYS {
        for victim in 0..3 {
            let wait = |number| (number, way.thread(endpoint.slot(), number));
            let mut waiters: Vec<_> = (0..3).map(wait).collect();
            threads::end(waiters.remove(victim).1);
            for (number, waiter) in waiters {
                way.serve(&endpoint, number);
                assert_eq!(waiter.join().unwrap(), Ok(()), "{way:?}");
            }
            is_deserted(&endpoint);
        }
    }
}

/// The same with processes.
fn a_killed_process_leaves_its_queue() {
    let endpoint = Endpoint::create().unwrap();
    for way in WAYS {
        for victim in 0..3 {
            let wait = |number| (number, way.process(endpoint.slot(), number));
            let mut waiters: Vec<_> = (0..3).map(wait).collect();
            let (_, child) = waiters.remove(victim);
            child.process.kill().unwrap();
            assert_eq!(child.wait(), Ok(ExitReason::Killed));
            for (number, waiter) in waiters {
                way.serve(&endpoint, number);
                children::succeed(&waiter);
            }
            is_deserted(&endpoint);
        }
    }
}

/// A thread that waits is killed and its endpoint goes before it could end; and the other way round.
fn a_kill_and_an_endpoint_s_end_at_once() {
    for way in WAYS {
        for kill_first in [false, true] {
            let endpoint = Endpoint::create().unwrap();
            let slot = endpoint.slot();
            let waiters: Vec<_> = (0..3).map(|number| way.thread(slot, number)).collect();
            if kill_first {
                drop(waiters);
                drop(endpoint);
            } else {
                drop(endpoint);
                drop(waiters);
            }
            settle();
        }
    }
    // A killed server with a call, whose caller is killed too: both orders.
    for caller_first in [false, true] {
        let endpoint = Endpoint::create().unwrap();
        let slot = endpoint.slot();
        let server = threads::at(MIDDLE, move || {
            assert!(threads::endpoint(slot).receive().unwrap().is_call);
            waits_for_ever();
        });
        let caller = caller(slot, 1);
        if caller_first {
            drop(caller);
            drop(server);
        } else {
            drop(server);
            drop(caller);
        }
        settle();
        is_deserted(&endpoint);
    }
}

/// Processes that are killed while they wait, in every way, and a call that is taken from the dead,
/// leave no object and no memory behind, though nobody comes to their endpoint any more.
fn killed_partners_leave_nothing() {
    let server = Endpoint::create().unwrap();
    let deserted = WAYS.map(|_| Endpoint::create().unwrap());
    places::pave(64 << 20);
    counters::leaves_nothing(10, || {
        for (way, endpoint) in WAYS.into_iter().zip(&deserted) {
            let child = way.process(endpoint.slot(), 1);
            child.process.kill().unwrap();
            assert_eq!(child.wait(), Ok(ExitReason::Killed));
        }
        let child = Way::Call.process(server.slot(), 1);
        assert!(server.receive().unwrap().is_call);
        child.process.kill().unwrap();
        assert_eq!(child.wait(), Ok(ExitReason::Killed));
        assert_eq!(reply(&label(1)), Err(IpcError::PeerGone));
    });
}
