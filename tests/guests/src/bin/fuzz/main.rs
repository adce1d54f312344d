//! Thousands of random system calls: whatever a program asks for, it gets an answer that the ABI
//! allows, the others go on, and what it had comes back.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod sides;

use alloc::{format, vec::Vec};
use core::mem::ManuallyDrop;

use guests::{
    bare::{PAGE, Program},
    children, code,
    counters::leaves_nothing,
    fuzz::{Fuzz, Handles},
    option, places, suite,
};
use orbital_user::{
    Endpoint, ExitReason, Interrupt, IoPort, MemoryObject, Message, Process, Rights,
    abi::ObjectKind,
    capability::close,
    println,
    server::{Next, serve},
    spawn::Child,
    start::bootstrap,
    thread,
};

use sides::{calls_from_a_side, calls_from_all_sides_do_no_harm};

suite! {
    cases: [random_calls_do_no_harm, random_calls_of_several_do_no_harm, pure_noise_does_no_harm],
    on "cpus=1,2,4 memory=256M timeout=120": [calls_from_all_sides_do_no_harm],
    roles: [calls_at_random, makes_noise, calls_from_a_side],
}

code! {
    exits: ["mov eax, 33", "syscall"] ["ud2"];
}

/// Calls that each child makes.
const CALLS: usize = 4000;
/// What a child is given, in this order.
const GRANTED: [ObjectKind; 7] = [
    ObjectKind::Endpoint,
    ObjectKind::MemoryObject,
    ObjectKind::Process,
    ObjectKind::Endpoint,
    ObjectKind::MemoryObject,
    ObjectKind::IoPort,
    ObjectKind::Interrupt,
];

/// What this process was given, where it was given [`GRANTED`].
fn given() -> Handles {
    let mut handles = Handles::new();
    for (slot, kind) in bootstrap().granted.iter().zip(GRANTED) {
        handles.add(kind, slot.bits());
    }
    handles
}

/// Makes random calls with what it was given and what it makes.
fn calls_at_random() {
    let seed = option("seed").and_then(|text| text.parse().ok()).expect("a seed");
    let block = bootstrap();
    let endpoint =
        ManuallyDrop::new(Endpoint::from_slot(block.granted[0])).copy(Rights::all(), 0).unwrap();
    thread::spawn(move || serve(&endpoint, |call| Next::Reply(call.message))).unwrap().detach();
    let mut fuzz = Fuzz::new(seed, given());
    // With these it could end itself.
    close(block.thread).unwrap();
    close(block.process).unwrap();
    let made = (0..).filter(|index| fuzz.step(*index, |_, _| ())).take(CALLS).count();
    // If too few go well, the arguments are too wild to reach what lies behind the checks.
    println!("{made} calls, went well: {:?}", fuzz.well);
    assert!(fuzz.well.iter().sum::<u32>() > 500);
}

/// Nothing but noise in all registers, handles included.
fn makes_noise() {
    let seed = option("seed").and_then(|text| text.parse().ok()).expect("a seed");
    let mut fuzz = Fuzz::new(seed, Handles::new());
    (0..CALLS as u64).for_each(|index| fuzz.noise(index));
}

/// A process is started and a message sent: the system still works.
fn still_works() {
    assert_eq!(Program::new(exits).run(9), ExitReason::Exited(9));
    let endpoint = Endpoint::create().unwrap();
    let receive = endpoint.copy(Rights::RECEIVE, 0).unwrap();
    let receiver = thread::spawn(move || receive.receive().map(|r| r.message.words[0])).unwrap();
    thread::yield_now();
    endpoint.send(&Message::new(1, &[77]).unwrap()).unwrap();
    assert_eq!(receiver.join(), Ok(Ok(77)));
}

/// Runs `role` once for each seed, all at once, to their ends.
fn run(role: &str, seeds: &[u64]) {
    let children: Vec<_> = seeds.iter().map(|seed| start_one(role, *seed)).collect();
    for (child, victim) in &children {
        assert_eq!(child.wait(), Ok(ExitReason::Exited(0)), "one of the seeds {seeds:?}");
        // It may have a capability to itself by now; or it has ended.
        let _ = victim.kill();
        victim.wait().unwrap();
    }
    drop(children);
    still_works();
    // Threads that were ended leave when they would have their turn: the least urgent as well.
    thread::spawn_with_priority(0, || ()).unwrap().join().unwrap();
}

/// Starts `role`; gives it, and the empty process that it was given.
fn start_one(role: &str, seed: u64) -> (Child, Process) {
    println!("{role}, seed {seed}");
    let endpoint = Endpoint::create().unwrap();
    let memory = MemoryObject::create(8 * PAGE).unwrap();
    // Firmware's, which does nothing, and a line that no other one has.
    let port = IoPort::create(0x80..=0x87).unwrap();
    let interrupt = (3..24).find_map(|line| Interrupt::create(line).ok()).unwrap();
    let process = Process::create("victim", 64, 32 * 1024).unwrap();
    let child = children::start_with_arguments(role, &format!("seed={seed}"), |s| {
        s.quota(1024, 256 * 1024)
            .grant(endpoint.slot(), Rights::all(), 0)
            .grant(memory.slot(), Rights::all(), 0)
            .grant(process.slot(), Rights::all(), 0)
            .grant(endpoint.slot(), Rights::SEND, 5)
            .grant(memory.slot(), Rights::READ, 0)
            .grant(port.slot(), Rights::all(), 0)
            .grant(interrupt.slot(), Rights::all(), 0)
    });
    (child, process)
}

/// The first of a case's seeds: as the command line says, or always the same.
fn first_seed(otherwise: u64) -> u64 {
    option("seed").and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Eight children, one after the other, each with a seed of its own.
fn random_calls_do_no_harm() {
    places::pave(64 << 20);
    let mut seed = first_seed(1);
    leaves_nothing(6, || {
        run("calls_at_random", &[seed]);
        seed = seed.wrapping_add(1);
    });
}

/// Three at a time.
fn random_calls_of_several_do_no_harm() {
    places::pave(64 << 20);
    let mut seed = first_seed(100);
    leaves_nothing(2, || {
        run("calls_at_random", &[0, 1, 2].map(|more| seed.wrapping_add(more)));
        seed = seed.wrapping_add(3);
    });
}

/// Calls with noise in every register are refused, and leave nothing but their codes.
fn pure_noise_does_no_harm() {
    places::pave(64 << 20);
    let seeds = [0, 1, 2].map(|more| first_seed(1).wrapping_add(more));
    leaves_nothing(2, || run("makes_noise", &seeds));
}
