//! A client that makes one call, and a server that does what it is told: take it, answer it.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::bit,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, IpcError, Reply, Rights,
    abi::{Registers, Syscall},
    capability::{close, revoke},
    clock,
    syscall::harmless,
};

/// It went well.
pub(super) const WELL: u64 = 1000;
/// The label of an answer.
pub(super) const ANSWER: u32 = 77;
/// The number of the state of a thread that waits.
const BLOCKED: u64 = 4;
/// How often both CPUs have their turn before what is waited for must have come.
const TURNS: u32 = 2000;

/// What the client was told, and what the server's last act gave; 0 as long as there is nothing.
static CLIENT: AtomicU64 = AtomicU64::new(0);
static SERVER: AtomicU64 = AtomicU64::new(0);
/// The endpoint, and the capability derived from that by which the client calls.
static SLOT: AtomicU64 = AtomicU64::new(0);
static DERIVED: AtomicU64 = AtomicU64::new(0);
/// The slot of the call that the server has kept; 0 while it has kept none.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// What a server is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Order {
    Take,
    /// Put the call that it took into a slot.
    Keep,
    /// From the slot, where the call is kept.
    Answer,
    End,
}

/// An outcome's number.
pub(super) fn outcome<T>(result: Result<T, IpcError>) -> u64 {
    result.map_or_else(|error| error as u64, |_| WELL)
}

/// The endpoint that is called.
pub(super) fn shared() -> impl core::ops::Deref<Target = Endpoint> {
    endpoint(CapSlot::from_bits(SLOT.load(SeqCst)))
}

/// Calls, until the time that is its argument.
fn calls(own: &Own) {
    let derived = endpoint(CapSlot::from_bits(DERIVED.load(SeqCst)));
    let answer = derived.call_until(own.argument, &label(1));
    if let Ok(answer) = answer {
        assert_eq!(answer, label(ANSWER));
    }
    CLIENT.store(outcome(answer), SeqCst);
}

/// Puts the call that this thread has taken into a slot, for whoever answers it.
pub(super) fn keep() -> Result<(), IpcError> {
    let reply = Reply::keep().map_err(|error| error.try_into().expect("an error of messages"))?;
    KEPT.store(reply.slot().bits(), SeqCst);
    // It stays there.
    core::mem::forget(reply);
    Ok(())
}

/// Answers the call that is kept, or else the one that this thread has taken.
pub(super) fn answer() -> Result<(), IpcError> {
    let tag = label(ANSWER).tag.bits();
    let registers = Registers::control([KEPT.load(SeqCst), tag, 0, 0]);
    let answered = harmless(Syscall::Reply, &registers);
    answered.map(drop).map_err(|error| error.try_into().expect("an error of messages"))
}

/// Nobody answers the call that is kept, if one is.
pub(super) fn forget() {
    // It may have been answered.
    let _ = close(CapSlot::from_bits(KEPT.swap(0, SeqCst)));
}

/// Does what it is told at the endpoint that is its argument.
fn serves(own: &Own) {
    loop {
        let order = endpoint(own.slot()).receive().expect("an order").message.label();
        let result = if order == Order::Take as u32 {
            outcome(shared().receive())
        } else if order == Order::Keep as u32 {
            outcome(keep())
        } else if order == Order::Answer as u32 {
            outcome(answer())
        } else {
            return;
        };
        SERVER.store(result, SeqCst);
    }
}

/// What client and server meet at.
pub(super) struct Shared {
    /// Where the server receives.
    pub(super) own: Endpoint,
    /// By which the client calls.
    pub(super) derived: Endpoint,
}

impl Shared {
    /// A new endpoint.
    pub(super) fn new() -> Self {
        let own = Endpoint::create().unwrap();
        let derived = own.copy(Rights::SEND, 0).unwrap();
        Self { own, derived }
    }

    /// Takes the client's capability away.
    pub(super) fn revoke(&self) {
        revoke(self.own.slot()).unwrap();
    }
}

/// A client, a server, and what they meet at.
pub(super) struct Cell {
    from: usize,
    to: usize,
    // The threads first: they end before what they wait at is gone.
    pub(super) client: Worker,
    pub(super) server: Worker,
    /// `None` once both capabilities to it are closed.
    pub(super) endpoint: Option<Shared>,
    orders: Endpoint,
    /// When the client's patience ends.
    deadline: u64,
}

impl Cell {
    /// A client on CPU `from` that has not begun its call, which may take `patience`, in nanoseconds, and
    /// a server on CPU `to` that waits for orders.
    pub(super) fn new(from: usize, to: usize, patience: Option<u64>) -> Self {
        CLIENT.store(0, SeqCst);
        SERVER.store(0, SeqCst);
        KEPT.store(0, SeqCst);
        let deadline = patience.map_or(u64::MAX, |patience| clock::now() + patience);
        let (endpoint, orders) = (Shared::new(), Endpoint::create().unwrap());
        SLOT.store(endpoint.own.slot().bits(), SeqCst);
        DERIVED.store(endpoint.derived.slot().bits(), SeqCst);
        let server = Worker::on(bit(to), MIDDLE, serves, orders.slot().bits());
        let client = Worker::new(MIDDLE, calls, deadline);
        client.set_affinity(bit(from)).unwrap();
        Self { from, to, endpoint: Some(endpoint), orders, client, server, deadline }
    }

    /// Lets both CPUs go on until they have nothing left to do.
    pub(super) fn settle(&self) {
        for cpu in [self.from, self.to, self.from] {
            let ended = Worker::on(bit(cpu), 0, |_| (), 0).wait();
            assert_eq!(ended, Ok(ExitReason::Exited(0)));
        }
    }

    /// Lets both go on until `done`, which must come. Gives whether it came before the client's time was over.
    #[track_caller]
    fn until(&self, done: impl Fn() -> bool) -> bool {
        for _ in 0..TURNS {
            self.settle();
            if done() {
                return !self.is_late();
            }
            if self.is_late() {
                return false;
            }
        }
        panic!("it does not come: client {}, server {}", self.told(), self.did());
    }

    /// Whether the client's time is over.
    pub(super) fn is_late(&self) -> bool {
        clock::now() >= self.deadline
    }

    /// Waits until it is.
    pub(super) fn be_late(&self) {
        clock::sleep_until(self.deadline);
        self.settle();
    }

    /// The client calls and waits.
    #[track_caller]
    pub(super) fn call(&self) -> bool {
        self.client.start().unwrap();
        self.until(|| self.client.inspect().unwrap().state == BLOCKED)
    }

    /// Takes the client's capability away.
    pub(super) fn revoke(&self) {
        self.endpoint.as_ref().expect("not closed").revoke();
    }

    /// Tells the server what to do.
    pub(super) fn order(&self, order: Order) {
        SERVER.store(0, SeqCst);
        self.orders.send(&label(order as u32)).unwrap();
    }

    /// The server does this, with this outcome.
    #[track_caller]
    pub(super) fn serve(&self, order: Order, expected: u64) -> bool {
        self.order(order);
        let in_time = self.until(|| self.did() != 0);
        assert!(self.did() == expected || !in_time, "{order:?}: {}", self.did());
        in_time
    }

    /// The same after the client's time.
    #[track_caller]
    pub(super) fn late_serve(&self, order: Order, expected: u64) {
        self.order(order);
        self.settle();
        assert_eq!(self.did(), expected, "{order:?}");
    }

    /// What the client was told.
    pub(super) fn told(&self) -> u64 {
        CLIENT.load(SeqCst)
    }

    /// What the server's last act gave.
    pub(super) fn did(&self) -> u64 {
        SERVER.load(SeqCst)
    }

    /// The client has been told this, and has ended.
    #[track_caller]
    pub(super) fn client_is_told(&self, expected: u64) {
        assert_eq!(self.client.wait(), Ok(ExitReason::Exited(0)));
        assert_eq!(self.told(), expected);
    }

    /// The client still waits.
    #[track_caller]
    pub(super) fn client_waits(&self) {
        self.settle();
        assert_eq!((self.told(), self.client.try_wait()), (0, Err(Error::WouldBlock)));
    }

    /// Nobody waits at the endpoint, neither to send nor to receive.
    #[track_caller]
    pub(super) fn nobody_waits(&self) {
        let endpoint = &self.endpoint.as_ref().expect("not closed").own;
        assert_eq!(endpoint.try_receive().map(drop), Err(IpcError::WouldBlock));
        assert_eq!(endpoint.try_send(&label(2)), Err(IpcError::WouldBlock));
    }

    /// The server ends when it is told.
    #[track_caller]
    pub(super) fn server_ends(&self) {
        self.order(Order::End);
        assert_eq!(self.server.wait(), Ok(ExitReason::Exited(0)));
    }
}
