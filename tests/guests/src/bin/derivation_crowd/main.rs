//! A crowd of processes that have derived from one capability, and use all of that while it is taken away: by a revoke,
//! by a cut, and by those whose revoker has died half-way. When that is over, no use begins and none arrives.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod board;

use alloc::{format, vec::Vec};
use core::{
    mem::ManuallyDrop,
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use board::{Board, USERS, Word};
use guests::{
    children,
    cpus::{self, scaled},
    mapped::READ_WRITE,
    option, suite,
    threads::{self, MIDDLE, granted, label},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, IpcError, MemoryObject, Message, Notification, Rights,
    capability::{close, copy_to, cut_off, move_to, revoke},
    clock,
    endpoint::reply,
    println,
    spawn::Child,
    start::{exit, take_granted},
    sync::Mutex,
    system::take_interrupts_off,
};

suite! {
    on "cpus=1,2,4 memory=512M timeout=500": [
        no_message_after_the_revoke,
        no_signal_after_the_revoke,
        no_message_after_the_cut,
        no_signal_after_the_cut,
        a_second_revoke_finishes_that_of_a_killed_thread,
        the_reaper_finishes_that_of_a_killed_process,
    ],
    on "icount pinned memory=512M timeout=500": [a_crowd_dies_in_short_steps],
    roles: [user, revoker],
}

/// What each of them has: what it was given, and what it has derived.
const COPIES: usize = 1000;
/// How long the line of ancestors is, among these, in half of the processes.
const DEPTH: usize = 60;
/// A process's quota: frames, and kernel memory for its slots.
const QUOTA: (u64, u64) = (256, 256 * 1024);
/// What those have who are taken something away, and the first process has not.
const BADGE: NonZeroU64 = NonZeroU64::new(1 << 63).unwrap();
/// What a use of what is gone gives.
const STALE: u64 = Error::StaleCapability as u64;
/// The label that ends the server.
const STOP: u32 = 99;
/// No wait is longer, in nanoseconds.
const PATIENCE: u64 = 400_000_000_000;
/// The longest stretch with interrupts off, in instructions of a build with assertions: twice those of an optimised one,
/// for which `irq_off_worst` says the same of 10,000.
const LONGEST: u64 = 15_000;

fn deadline() -> u64 {
    clock::now() + PATIENCE
}

/// Looks until `done`, and lets equals run meanwhile.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = deadline();
    cpus::until(|| {
        assert!(clock::now() < deadline, "{what}");
        done()
    });
}

/// By what they do it.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Calls, sends that wait and sends that don't.
    Messages,
    Signals,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Signals => "signals",
        }
    }

    /// Uses `slot` in one of the ways: `Ok` where it was there.
    fn use_once(self, slot: CapSlot, way: u64) -> Result<(), u64> {
        if self == Self::Signals {
            let notification = ManuallyDrop::new(Notification::from_slot(slot));
            return notification.signal(BADGE.get()).map_err(|error| error as u64);
        }
        let endpoint = threads::endpoint(slot);
        let sent = match way % 3 {
            0 => endpoint.call_until(deadline(), &label(1)).map(drop),
            1 => endpoint.send_until(deadline(), &label(1)),
            _ => endpoint.try_send(&label(1)),
        };
        if sent == Err(IpcError::WouldBlock) { Ok(()) } else { sent.map_err(|error| error as u64) }
    }
}

/// Derives from what it was given, and uses all of that in turns, each one until it fails.
fn user() {
    let kind = [Kind::Messages, Kind::Signals]
        .into_iter()
        .find(|kind| option("kind") == Some(kind.name()));
    let (kind, own): (_, u64) = (kind.unwrap(), option("number").unwrap().parse().unwrap());
    let given = take_granted(0).unwrap().into_slot();
    let board = Board::new(&MemoryObject::from_slot(take_granted(1).unwrap().into_slot()), USERS);
    let mut all = Vec::from([given]);
    for number in 1..COPIES {
        // With some users each has a few children, and so on; with others the last of a long line has most of them.
        let parent = if own % 2 == 0 { (number - 1) / 8 } else { (number - 1).min(DEPTH) };
        all.push(copy_to(all[parent], CapSlot::NULL, Rights::all(), 0).unwrap());
    }
    let mut there = all.clone();
    let mut place = 0;
    while !there.is_empty() {
        place = if place < there.len() { place } else { 0 };
        let over = board.is_over();
        match kind.use_once(there[place], own) {
            Ok(()) => {
                board.add(own, if over { Word::Late } else { Word::Uses });
                place += 1;
            }
            Err(error) => {
                assert!([STALE, Error::Revoked as u64].contains(&error), "{error}");
                if board.get(own, Word::Failed) == 0 {
                    board.set(own, Word::First, board.get(own, Word::Uses));
                }
                board.add(own, Word::Failed);
                there.swap_remove(place);
            }
        }
    }
    until("the end", || board.is_over());
    all.into_iter().for_each(|slot| assert_eq!(kind.use_once(slot, own), Err(STALE)));
}

/// Revokes what it is told to.
fn revoker() {
    let told = granted(0).receive_until(deadline()).unwrap().message;
    revoke(CapSlot::from_bits(told.words()[0])).unwrap();
    exit(0);
}

/// What the server looks at.
static BOARD: Mutex<Option<Board>> = Mutex::new(None);
/// How many messages it has received since the end.
static LATE: AtomicU64 = AtomicU64::new(0);

/// Receives what is sent, and answers; but lets those who come late in the revoke wait for its end.
fn serve(own: &Own) {
    let (endpoint, board) = (threads::endpoint(own.slot()), BOARD.lock().unwrap());
    loop {
        if board.is_half_gone() {
            until("the end", || board.is_over());
        }
        let over = board.is_over();
        let received = endpoint.receive_until(deadline()).unwrap();
        if received.badge == 0 {
            return assert_eq!(received.message, label(STOP));
        }
        LATE.fetch_add(over.into(), SeqCst);
        if received.is_call {
            // Its caller may have ended.
            let _ = reply(&label(0));
        }
    }
}

/// Those who use something, and what that is.
struct Crowd {
    kind: Kind,
    endpoint: Endpoint,
    notification: Notification,
    /// All that they have was derived from this one.
    handed: CapSlot,
    board: Board,
    users: Vec<Child>,
    server: Worker,
}

impl Crowd {
    /// All of them, who have what they shall have, and use it.
    fn gather(kind: Kind) -> Self {
        cpus::be_equal();
        let (endpoint, notification) =
            (Endpoint::create().unwrap(), Notification::create().unwrap());
        let object = if kind == Kind::Messages { endpoint.slot() } else { notification.slot() };
        let handed = copy_to(object, CapSlot::NULL, Rights::all(), BADGE.get()).unwrap();
        let memory = MemoryObject::create(Board::BYTES).unwrap();
        let count = scaled(USERS);
        let board = Board::new(&memory, count);
        *BOARD.lock() = Some(board);
        let server = Worker::start(MIDDLE, serve, endpoint.slot().bits());
        let start = |number| {
            let arguments = format!("kind={} number={number}", kind.name());
            children::start_with_arguments("user", &arguments, |spawn| {
                let spawn = spawn.quota(QUOTA.0, QUOTA.1).priority(MIDDLE);
                let spawn = spawn.grant(handed, Rights::SEND | Rights::GRANT, 0);
                spawn.grant(memory.slot(), READ_WRITE, 0)
            })
        };
        let users = (0..count).map(start).collect();
        let crowd = Self { kind, endpoint, notification, handed, board, users, server };
        until("all use it", || board.each(Word::Uses).all(|uses| uses > 0));
        crowd
    }

    fn object(&self) -> CapSlot {
        match self.kind {
            Kind::Messages => self.endpoint.slot(),
            Kind::Signals => self.notification.slot(),
        }
    }

    /// What part of what they have they have found to be gone, of 100.
    fn gone(&self) -> u64 {
        self.board.sum(Word::Failed) * 100 / (self.users.len() * COPIES) as u64
    }

    /// Does what takes away all that they have. From its end on nobody uses anything.
    fn lose_all(self, take_away: impl FnOnce(&Self)) {
        let before = self.board.sum(Word::Uses);
        take_away(&self);
        self.board.set_over();
        // What came until then.
        let _ = self.notification.poll();
        for user in &self.users {
            assert_eq!(user.process.wait_until(deadline()), Ok(ExitReason::Exited(0)));
        }
        assert_eq!(self.notification.poll(), Err(Error::WouldBlock), "a signal after the end");
        self.endpoint.send_until(deadline(), &label(STOP)).unwrap();
        assert_eq!(self.server.wait_until(deadline()), Ok(ExitReason::Exited(0)));
        assert_eq!(self.endpoint.try_receive().err(), Some(IpcError::WouldBlock));
        assert_eq!(LATE.load(SeqCst), 0, "a message after the end");
        assert_eq!(self.board.sum(Word::Late), 0, "a use after the end");
        assert!(self.board.each(Word::Failed).all(|failed| failed == COPIES as u64));
        let [first, all] = [Word::First, Word::Uses].map(|word| self.board.sum(word));
        println!(
            "{} uses while they went, {} of them before the first that failed",
            all - before,
            first - before
        );
        assert!(all > before, "nobody has used anything meanwhile");
        let _ = close(self.handed);
    }
}

fn revoked(crowd: &Crowd) {
    revoke(crowd.handed).unwrap();
    // Its own badge: the one that was handed on is not gone.
    close(crowd.handed).unwrap();
}

fn cut(crowd: &Crowd) {
    cut_off(crowd.object(), BADGE).unwrap();
}

fn no_message_after_the_revoke() {
    Crowd::gather(Kind::Messages).lose_all(revoked);
}

fn no_signal_after_the_revoke() {
    Crowd::gather(Kind::Signals).lose_all(revoked);
}

fn no_message_after_the_cut() {
    Crowd::gather(Kind::Messages).lose_all(cut);
}

fn no_signal_after_the_cut() {
    Crowd::gather(Kind::Signals).lose_all(cut);
}

/// What part of a crowd's capabilities is gone at least when the one who revokes is killed, of 100.
const PARTS: [(Kind, u64); 2] = [(Kind::Messages, 1), (Kind::Signals, 40)];

/// Has revokes begun, and whoever does that killed: `begin_and_kill` gives why that one has ended.
fn revokers_die(begin_and_kill: impl Fn(&Crowd, u64) -> ExitReason) {
    let mut killed = 0;
    for (kind, part) in PARTS {
        Crowd::gather(kind).lose_all(|crowd| {
            let reason = begin_and_kill(crowd, part);
            println!("{reason:?} when {}% were found to be gone", crowd.gone());
            killed += u64::from(reason == ExitReason::Killed);
        });
    }
    assert!(killed > 0, "each revoke was over before it was killed");
}

fn a_second_revoke_finishes_that_of_a_killed_thread() {
    revokers_die(|crowd, part| {
        let revokes = |own: &Own| revoke(own.slot()).unwrap();
        let revoker = Worker::start(MIDDLE, revokes, crowd.handed.bits());
        until("some are gone", || crowd.gone() >= part);
        let _ = revoker.kill();
        let reason = revoker.wait_until(deadline()).unwrap();
        revoke(crowd.handed).unwrap();
        reason
    });
}

fn the_reaper_finishes_that_of_a_killed_process() {
    revokers_die(|crowd, part| {
        let told = Endpoint::create().unwrap();
        let revoker = children::start("revoker", |spawn| {
            spawn.priority(MIDDLE).grant(told.slot(), Rights::RECEIVE, 0)
        });
        let moved = move_to(crowd.handed, revoker.process.slot()).unwrap();
        told.send_until(deadline(), &Message::new(0, &[moved.bits()]).unwrap()).unwrap();
        until("some are gone", || crowd.gone() >= part);
        let _ = revoker.process.kill();
        revoker.process.wait_until(deadline()).unwrap()
    });
}

fn a_crowd_dies_in_short_steps() {
    for kind in [Kind::Messages, Kind::Signals] {
        Crowd::gather(kind).lose_all(|crowd| {
            take_interrupts_off(0).unwrap();
            let start = clock::now();
            revoked(crowd);
            let (time, longest) = (clock::now() - start, take_interrupts_off(0).unwrap());
            println!("{time} instructions, {longest} at once");
            assert!(longest < LONGEST, "{longest} instructions with interrupts off");
        });
    }
}
