//! What a call through two servers leaves in the trace of the simulated machine.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, Rights, Syscall,
    trace::{CALLS, Event, EventKind, SENDS},
};

use super::{Kernel, differential::ShortCuts, endpoint, grant, message, user};
use crate::{
    arch::host::MACHINE_CPUS,
    trace::{read, tests::Level},
};

/// All events of all CPUs from the numbers `from` on, and the numbers behind them.
fn events(from: &mut [u64; MACHINE_CPUS]) -> Vec<Event> {
    let mut events = Vec::new();
    for (cpu, next) in from.iter_mut().enumerate() {
        while let Some(traced) = read(cpu, *next) {
            *next = traced.next;
            events.push(traced.event);
        }
    }
    events
}

/// The events of that kind.
fn of(events: &[Event], kind: EventKind) -> Vec<Event> {
    events.iter().copied().filter(|event| event.kind == kind).collect()
}

#[test]
fn a_call_through_two_servers_is_one_flow() {
    let mut kernel = Kernel::boot();
    let _level = Level::set("trace=ipc");
    let _short_cuts = ShortCuts::set(false);
    let mut from = [0; MACHINE_CPUS];
    events(&mut from);
    let [client, server, back] = ["client", "server", "back"].map(|name| kernel.process(name));
    let (front_end, front_slot) = endpoint(&server);
    let (back_end, back_slot) = endpoint(&back);
    let to_front = grant(&client, &front_end, Rights::SEND, 1);
    let to_back = grant(&server, &back_end, Rights::SEND, 2);
    let serves = kernel.spawn(&back, 10, async move {
        let request = user::receive(back_slot, Never).await.unwrap();
        user::reply(request.message).await.unwrap();
    });
    let passes = kernel.spawn(&server, 10, async move {
        let request = user::receive(front_slot, Never).await.unwrap();
        let answer = user::call(to_back, request.message, Never).await.unwrap();
        user::reply(answer).await.unwrap();
    });
    let calls = kernel.spawn(&client, 10, async move {
        let sent = message(1, &[2]);
        assert_eq!(user::call(to_front, sent, Never).await, Ok(sent));
    });
    let [calls, passes, serves] = [calls, passes, serves].map(|thread| thread.id.0);
    kernel.run_until_idle();
    let events = events(&mut from);
    let sends = of(&events, EventKind::Send);
    let receives = of(&events, EventKind::Receive);
    let replies = of(&events, EventKind::Reply);
    let answers = of(&events, EventKind::Answer);
    let threads = |events: &[Event]| events.iter().map(|e| e.thread).collect::<Vec<_>>();
    assert_eq!(threads(&sends), [calls, passes]);
    assert_eq!(threads(&receives), [passes, serves]);
    assert_eq!(threads(&replies), [serves, passes]);
    assert_eq!(threads(&answers), [passes, calls]);
    let flow = sends[0].arguments[0];
    for event in [&sends, &receives, &replies, &answers].into_iter().flatten() {
        assert_eq!(event.arguments[0], flow, "{event:?}");
    }
    assert!(sends.iter().all(|send| send.arguments[2] == CALLS));
    // Each arrow has both ends, in this order, and a number of its own.
    let place = |event: &Event| events.iter().position(|other| other == event);
    let mut numbers = Vec::new();
    let ends = sends.iter().zip(&receives).chain(replies.iter().zip(&answers));
    for (start, end) in ends {
        assert_eq!(start.arguments[1], end.arguments[1]);
        assert!(place(start) < place(end));
        numbers.push(start.arguments[1]);
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 4);
    // What else belongs to it.
    for (thread, name) in [(calls, Syscall::Call), (serves, Syscall::Receive)] {
        let of_thread = |kind| of(&events, kind).into_iter().filter(move |e| e.thread == thread);
        let mut numbers = of_thread(EventKind::Syscall).map(|call| call.arguments[0]);
        assert!(numbers.any(|number| number == name as u64), "{name:?}");
        assert_eq!(of_thread(EventKind::ThreadStart).count(), 1);
        assert_eq!(of_thread(EventKind::ThreadEnd).count(), 1);
        assert!(of_thread(EventKind::Wake).count() > 0);
        assert!(of_thread(EventKind::Switch).count() > 0);
        assert!(of_thread(EventKind::Resume).count() > 0);
    }
    let mut times = events.iter().map(|event| event.time);
    assert!(times.clone().is_sorted(), "one CPU's events are in order: {:?}", times.next());
}

#[test]
fn a_message_that_nobody_answers_is_an_arrow_too() {
    for receiver_first in [true, false] {
        let mut kernel = Kernel::boot();
        let _level = Level::set("trace=ipc");
        let _short_cuts = ShortCuts::set(false);
        let mut from = [0; MACHINE_CPUS];
        events(&mut from);
        let (server, client) = (kernel.process("server"), kernel.process("client"));
        let (endpoint, receiver) = endpoint(&server);
        let sender = grant(&client, &endpoint, Rights::SEND, 1);
        let (low, high) = if receiver_first { (10, 20) } else { (20, 10) };
        kernel.spawn(&server, high, async move {
            user::receive(receiver, Never).await.unwrap();
        });
        kernel.spawn(&client, low, async move {
            user::send(sender, message(1, &[]), Never).await.unwrap();
        });
        kernel.run_until_idle();
        let events = events(&mut from);
        let (sends, receives) = (of(&events, EventKind::Send), of(&events, EventKind::Receive));
        assert_eq!((sends.len(), receives.len()), (1, 1));
        assert_eq!(sends[0].arguments[2], SENDS);
        assert_eq!(sends[0].arguments[..2], receives[0].arguments[..2]);
        assert!(of(&events, EventKind::Reply).is_empty());
    }
}

#[test]
fn what_fails_leaves_no_arrow() {
    let mut kernel = Kernel::boot();
    let _level = Level::set("trace=ipc");
    let _short_cuts = ShortCuts::set(false);
    let mut from = [0; MACHINE_CPUS];
    events(&mut from);
    let (server, client) = (kernel.process("server"), kernel.process("client"));
    let (endpoint, _receiver) = endpoint(&server);
    let sender = grant(&client, &endpoint, Rights::SEND, 1);
    kernel.spawn(&client, 10, async move {
        assert_eq!(user::send(sender, message(1, &[]), Now).await, Err(Error::WouldBlock));
        let nobody = CapSlot::from_bits(77);
        assert!(user::send(nobody, message(1, &[]), Never).await.is_err());
    });
    kernel.run_until_idle();
    assert!(of(&events(&mut from), EventKind::Send).is_empty());
}
