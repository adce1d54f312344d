//! Sender and receiver on each ordered pair of CPUs; on a machine with one CPU they share it.
#![forbid(unsafe_code)]

use alloc::format;

use guests::{
    children,
    cpus::{be_equal, bit, pairs, until},
    own_thread,
    threads::{MIDDLE, granted},
    workers::{Own, Worker},
};
use orbital_user::{Endpoint, ExitReason, Rights, Thread};

use super::{
    lengths::badged,
    sweep::{Answers, BADGE, edges, one_too_many, receive, send},
};

fn sends(own: &Own) {
    send(own.slot(), edges(), || ());
}

fn receives(own: &Own) {
    receive(own.slot(), edges(), Answers::Apart, || ());
}

fn receives_together(own: &Own) {
    receive(own.slot(), edges(), Answers::Together, || ());
}

/// Waits until a thread waits in an operation, or has ended.
fn rests(thread: &Thread) {
    until(|| thread.inspect().unwrap().state >= 4);
}

#[track_caller]
fn finish(worker: &Worker) {
    assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
}

/// Both as they come; and each side waiting first, each time.
pub fn lengths_arrive_on_each_pair_of_cpus() {
    be_equal();
    for (from, to) in pairs() {
        let endpoint = Endpoint::create().unwrap();
        one_too_many(endpoint.slot());
        let (slot, own) = (badged(&endpoint), endpoint.slot());
        for body in [receives as fn(&Own), receives_together] {
            let receiver = Worker::on(bit(to), MIDDLE, body, own.bits());
            let sender = Worker::on(bit(from), MIDDLE, sends, slot.bits());
            finish(&sender);
            finish(&receiver);
        }
        own_thread().set_affinity(bit(to)).unwrap();
        let sender = Worker::on(bit(from), MIDDLE, sends, slot.bits());
        receive(own, edges(), Answers::Apart, || rests(&sender));
        finish(&sender);
        own_thread().set_affinity(bit(from)).unwrap();
        let receiver = Worker::on(bit(to), MIDDLE, receives, own.bits());
        send(slot, edges(), || rests(&receiver));
        finish(&receiver);
    }
}

/// The sender's part, as a process on the CPU that the command line names.
pub fn edge_sender() {
    let cpu = guests::option("cpu").and_then(|cpu| cpu.parse().ok()).expect("a CPU");
    own_thread().set_affinity(bit(cpu)).unwrap();
    send(granted(0).slot(), edges(), || ());
}

pub fn lengths_arrive_between_processes_on_each_pair_of_cpus() {
    be_equal();
    for (from, to) in pairs() {
        own_thread().set_affinity(bit(to)).unwrap();
        let endpoint = Endpoint::create().unwrap();
        for answers in [Answers::Apart, Answers::Together] {
            let arguments = format!("cpu={from}");
            let sender = children::start_with_arguments("edge_sender", &arguments, |spawn| {
                spawn.grant(endpoint.slot(), Rights::SEND, BADGE)
            });
            receive(endpoint.slot(), edges(), answers, || ());
            children::succeed(&sender);
        }
    }
}
