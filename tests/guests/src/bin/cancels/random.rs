//! Cuts at random moments: what client and server were told agrees, and fits what was done to them.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{self, be_equal, bit, leave_nothing, scaled, seed, spin},
    places,
    random::Random,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason, IpcError,
    abi::ObjectKind,
    capability::{close, inspect},
    clock, println,
    thread::yield_now,
};

use super::cell::{Shared, WELL, answer, forget, keep, outcome};

/// How long anything may take until it hangs, in nanoseconds.
const PATIENCE: u64 = 20_000_000_000;
/// How long it takes mostly.
const USUAL: u64 = 200_000_000;

/// What is done to the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    KillClient,
    KillServer,
    Close,
    Revoke,
    SuspendClient,
    SuspendServer,
}

const CUTS: [Cut; 6] = [
    Cut::KillClient,
    Cut::KillServer,
    Cut::Close,
    Cut::Revoke,
    Cut::SuspendClient,
    Cut::SuspendServer,
];

/// The endpoint, and the capability derived from that by which the client calls.
static DERIVED: AtomicU64 = AtomicU64::new(0);
static SLOT: AtomicU64 = AtomicU64::new(0);
static DEADLINE: AtomicU64 = AtomicU64::new(0);
/// What each was told; 0 as long as it was told nothing.
static CALLED: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);
static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// All that a client can be told, and how many were.
const TOLD: [u64; 6] = [
    WELL,
    IpcError::TimedOut as u64,
    IpcError::Unanswered as u64,
    IpcError::PeerGone as u64,
    IpcError::EndpointGone as u64,
    IpcError::Revoked as u64,
];
static TALLY: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];

/// The handle of what fills a slot next that is empty by now.
fn filled_next(slot: CapSlot) -> CapSlot {
    CapSlot::new(slot.index(), slot.generation() + 1)
}

/// Closes all calls that are kept. Slots have been filled about as often as one has that has this generation.
fn close_replies(generation: u32) {
    for index in 0..64 {
        let slots = (1..2 * generation + 64).map(|generation| CapSlot::new(index, generation));
        for slot in slots {
            match inspect(slot).map(|found| found.kind) {
                Ok(Some(ObjectKind::Reply)) => drop(close(slot)),
                Ok(_) => break,
                Err(_) => {}
            }
        }
    }
}

/// A moment, in which others may have their turn.
fn pause(random: &mut Random) {
    for _ in 0..random.below(4) {
        yield_now();
    }
    spin(random.below(3000));
}

fn calls(own: &Own) {
    pause(&mut Random::new(own.argument));
    let derived = endpoint(CapSlot::from_bits(DERIVED.load(SeqCst)));
    let answer = derived.call_until(DEADLINE.load(SeqCst), &label(1));
    CALLED.store(outcome(answer), SeqCst);
}

fn answers(own: &Own) {
    let mut random = Random::new(own.argument);
    pause(&mut random);
    let taken = endpoint(CapSlot::from_bits(SLOT.load(SeqCst))).receive();
    TAKEN.store(outcome(taken), SeqCst);
    if taken.is_ok() {
        pause(&mut random);
        // One whose caller is gone by now is owed still.
        if random.once_in(2) && keep().is_ok() {
            pause(&mut random);
        }
        spin(random.below(20_000));
        ANSWERED.store(outcome(answer()), SeqCst);
    }
}

/// One call, from random places at random moments, and one or two cuts.
fn interleave(random: &mut Random) {
    for noted in [&CALLED, &TAKEN, &ANSWERED] {
        noted.store(0, SeqCst);
    }
    let shared = Shared::new();
    let slots = [shared.own.slot(), shared.derived.slot()];
    SLOT.store(slots[0].bits(), SeqCst);
    DERIVED.store(slots[1].bits(), SeqCst);
    let is_patient = random.once_in(2);
    let deadline = if is_patient { u64::MAX } else { clock::now() + random.below(300_000) };
    DEADLINE.store(deadline, SeqCst);
    let mut make = |body| {
        let worker = Worker::new(MIDDLE, body, random.bits() >> 8);
        let cpu = random.below(cpus::count() as u64) as usize;
        worker.set_affinity(bit(cpu)).unwrap();
        worker
    };
    let (client, server) = (make(calls), make(answers));
    // From here on nobody fills a slot but the server, which keeps a call: the one that was emptied last.
    let emptied = Endpoint::create().unwrap().slot();
    let may_keep = [slots[0], slots[1], emptied].map(filled_next);
    let mut endpoint = Some(shared);
    client.start().unwrap();
    server.start().unwrap();
    let cuts = [random.pick(&CUTS), random.pick(&CUTS)];
    let cuts = &cuts[..1 + random.below(2) as usize];
    for cut in cuts {
        pause(random);
        match cut {
            Cut::KillClient => drop(client.kill()),
            Cut::KillServer => drop(server.kill()),
            Cut::Close => endpoint = None,
            Cut::Revoke => {
                if let Some(endpoint) = &endpoint {
                    endpoint.revoke();
                }
            }
            Cut::SuspendClient => drop(client.suspend()),
            Cut::SuspendServer => drop(server.suspend()),
        }
    }
    pause(random);
    // Whoever was stopped goes on, and whoever waits for nobody learns of that.
    let _ = (client.resume(), server.resume());
    pause(random);
    drop(endpoint);
    let end = |worker: &Worker| worker.wait_until(clock::now() + PATIENCE);
    let server_end = end(&server);
    // A call that a killed server has kept; it may have had no time to note where.
    forget();
    for slot in may_keep {
        let _ = close(slot);
    }
    // Perhaps it is elsewhere, where a slot was emptied later than all this began.
    if client.wait_until(clock::now() + USUAL).is_err() {
        close_replies(may_keep.map(CapSlot::generation).into_iter().max().unwrap_or_default());
    }
    let ends = [end(&client), server_end];
    check(cuts, is_patient, ends);
    let called = CALLED.load(SeqCst);
    if let Some(told) = TOLD.iter().position(|told| *told == called) {
        TALLY[told].fetch_add(1, SeqCst);
    }
}

fn check<E: core::fmt::Debug>(cuts: &[Cut], is_patient: bool, ends: [Result<ExitReason, E>; 2]) {
    let [called, taken, answered] = [&CALLED, &TAKEN, &ANSWERED].map(|noted| noted.load(SeqCst));
    let context = || (cuts, is_patient, &ends, called, taken, answered);
    let [client_killed, server_killed] = ends.each_ref().map(|end| match end {
        Ok(ExitReason::Killed) => true,
        Ok(ExitReason::Exited(0)) => false,
        _ => panic!("{:?}", context()),
    });
    assert!(!client_killed || cuts.contains(&Cut::KillClient), "{:?}", context());
    assert!(!server_killed || cuts.contains(&Cut::KillServer), "{:?}", context());
    let is = |noted: u64, error: IpcError| noted == error as u64;
    // One that was killed may have been so before it noted what it was told.
    let may_have_taken = taken == WELL || server_killed && taken == 0;
    let has_not_taken = taken != WELL;
    let may_have_answered = answered == WELL || server_killed && answered == 0;
    let fits = if called == WELL {
        may_have_taken && may_have_answered
    } else if is(called, IpcError::TimedOut) {
        !is_patient && has_not_taken
    } else if is(called, IpcError::Unanswered) {
        !is_patient && may_have_taken && answered != WELL
    } else if is(called, IpcError::PeerGone) {
        server_killed && answered == 0
    } else if is(called, IpcError::Revoked) {
        cuts.contains(&Cut::Revoke) && has_not_taken
    } else if is(called, IpcError::EndpointGone) || is(called, IpcError::StaleCapability) {
        has_not_taken
    } else {
        called == 0 && client_killed
    };
    assert!(fits, "{:?}", context());
    let knows = match answered {
        0 => taken != WELL || server_killed,
        WELL => called == WELL || client_killed,
        gone if is(gone, IpcError::PeerGone) => {
            client_killed && called == 0 || is(called, IpcError::Unanswered)
        }
        _ => false,
    };
    assert!(knows, "{:?}", context());
}

/// Ten thousand of them in a long run; at the end all is given back.
pub(super) fn random_cuts_have_outcomes_that_agree() {
    places::pave(1 << 30);
    let (count, mut random) = (scaled(10_000), Random::new(seed()));
    be_equal();
    let mut warm_ups = 3;
    leave_nothing(1, || {
        let interleavings = if warm_ups > 0 { 20 } else { count };
        warm_ups -= 1;
        (0..interleavings).for_each(|_| interleave(&mut random));
    });
    let told = TALLY.each_ref().map(|tally| tally.load(SeqCst));
    println!("answered, too late, unanswered, partner gone, endpoint gone, revoked: {told:?}");
    let is_enough = count < 10_000 || told.iter().all(|tally| *tally > 0);
    assert!(is_enough, "the moments are not random enough");
}
