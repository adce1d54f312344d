//! Random programs, as data: so the same ones can run twice.
#![forbid(unsafe_code)]

use orbital_abi::{
    Syscall, Tag,
    fault::{END, RESUME},
    message::{MAX_WORDS, REGISTER_WORDS},
};

use crate::tests::cpus::Random;

pub const ENDPOINTS: usize = 3;
pub const PROCESSES: usize = 3;
const MOST_THREADS: usize = 7;

/// How a capability to an endpoint may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Both,
    Send,
    Receive,
    /// To send, and to be passed on.
    Grant,
}

/// What a program has a slot for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Endpoint(usize, Way),
    Notification,
    Empty,
    Null,
}

#[derive(Clone, Copy, Debug)]
pub enum Wait {
    Never,
    Now,
    /// So many nanoseconds.
    For(u64),
}

#[derive(Clone, Debug)]
pub enum Deed {
    Message {
        call: Syscall,
        slot: Slot,
        tag: u64,
        words: [u64; 8],
        /// The capabilities, as many as the tag says.
        sent: [Slot; 4],
        wait: Wait,
    },
    Signal,
    AwaitSignal(Wait),
    Work(u64),
    Yield,
    /// An interrupt comes.
    Interrupted,
    /// It reads what is not there.
    Fault,
    /// It asks something of a thread.
    Ask {
        call: Syscall,
        thread: usize,
        values: [u64; 2],
    },
    /// It ends a process, and waits for that.
    EndProcess(usize),
    Close(usize, Way),
}

#[derive(Clone, Debug)]
pub struct Thread {
    pub process: usize,
    pub priority: u8,
    /// Budget and period.
    pub budget: Option<[u64; 2]>,
    /// Whether it has a message page.
    pub has_page: bool,
    /// The endpoint that is told of its faults.
    pub handler: Option<usize>,
    pub deeds: Vec<Deed>,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub threads: Vec<Thread>,
}

/// How a thread spends its time, mostly.
#[derive(Clone, Copy)]
enum Trade {
    Server(usize),
    Client,
    Anything,
}

/// The priorities that thread `number` can have: no other has one of them.
fn priority(number: usize, level: usize) -> u8 {
    1 + (level * MOST_THREADS + number) as u8
}

/// The highest level: threads begin there, and none can be given more than it began with.
const TOP_LEVEL: usize = 3;

/// A budget and a period.
fn budget(random: &Random) -> [u64; 2] {
    [50_000, 50_000 + random.below(200_000) as u64]
}

struct Planner<'a> {
    random: &'a Random,
    threads: usize,
    /// How many endpoints have a server, most likely.
    served: usize,
}

impl Planner<'_> {
    fn wait(&self) -> Wait {
        match self.random.below(20) {
            0 => Wait::Now,
            1 | 2 => Wait::For(1 + self.random.below(300_000) as u64),
            _ => Wait::Never,
        }
    }

    fn tag(&self) -> u64 {
        let label = match self.random.below(40) {
            0 => return self.random.below(usize::MAX >> 33) as u64 * 0x1_0001_0001,
            1..3 => END,
            3..10 => 7,
            _ => RESUME,
        };
        let length = match self.random.below(8) {
            0 => self.random.below(MAX_WORDS + 1),
            _ => self.random.below(REGISTER_WORDS + 1),
        };
        let few = || if self.random.one_in(5) { self.random.below(3) } else { 0 };
        let tag = Tag::new(label, length).unwrap().with_capabilities(few(), 2 * few());
        tag.unwrap().bits()
    }

    /// The tag of a thread that receives.
    fn accepting(&self) -> u64 {
        match self.random.below(30) {
            0 => self.tag(),
            _ => Tag::from_bits(self.tag()).unwrap_or_default().accepting().bits(),
        }
    }

    fn slot(&self, endpoint: usize, way: Way) -> Slot {
        let any = [Way::Both, Way::Send, Way::Receive][self.random.below(3)];
        match self.random.below(48) {
            0 => Slot::Notification,
            1 => Slot::Empty,
            2 => Slot::Null,
            3 => Slot::Endpoint(endpoint, any),
            4..6 => Slot::Endpoint(endpoint, Way::Both),
            _ => Slot::Endpoint(endpoint, way),
        }
    }

    fn message(&self, call: Syscall, endpoint: usize) -> Deed {
        let way = match call {
            Syscall::Send | Syscall::Call => Way::Send,
            _ => Way::Receive,
        };
        let slot = if call == Syscall::Reply { Slot::Null } else { self.slot(endpoint, way) };
        let words = core::array::from_fn(|_| self.random.below(1 << 30) as u64);
        let tag = if call == Syscall::Receive { self.accepting() } else { self.tag() };
        let sent = core::array::from_fn(|_| self.slot(self.endpoint(), Way::Grant));
        Deed::Message { call, slot, tag, words, sent, wait: self.wait() }
    }

    fn ask(&self) -> Deed {
        let (call, values) = match self.random.below(10) {
            0 => (Syscall::ThreadKill, [0; 2]),
            1..4 => (Syscall::ThreadSuspend, [0; 2]),
            4..6 => (Syscall::ThreadResume, [0; 2]),
            6..9 => (Syscall::ThreadSetPriority, [self.random.below(TOP_LEVEL) as u64, 0]),
            _ => (Syscall::ThreadSetBudget, budget(self.random)),
        };
        let thread = self.random.below(self.threads);
        let values = match call {
            Syscall::ThreadSetPriority => [priority(thread, values[0] as usize).into(), 0],
            _ => values,
        };
        Deed::Ask { call, thread, values }
    }

    /// An endpoint, most likely a served one.
    fn endpoint(&self) -> usize {
        self.random.below(if self.random.one_in(10) { ENDPOINTS } else { self.served })
    }

    fn anything(&self) -> Deed {
        const CALLS: [Syscall; 5] =
            [Syscall::Send, Syscall::Receive, Syscall::Call, Syscall::Reply, Syscall::ReplyReceive];
        let endpoint = self.endpoint();
        match self.random.below(24) {
            0..12 => self.message(CALLS[self.random.below(5)], endpoint),
            12..15 => Deed::Work(1 + self.random.below(200_000) as u64),
            15 => Deed::Yield,
            16 => Deed::Interrupted,
            17 => Deed::Fault,
            18 => Deed::Signal,
            19 => Deed::AwaitSignal(self.wait()),
            20..23 => self.ask(),
            _ if self.random.one_in(3) => Deed::EndProcess(self.random.below(PROCESSES)),
            _ => Deed::Close(endpoint, [Way::Both, Way::Send, Way::Receive][self.random.below(3)]),
        }
    }

    fn deeds(&self, trade: Trade) -> Vec<Deed> {
        let count = 3 + self.random.below(25);
        let deed = |number: usize| {
            if self.random.one_in(10) {
                return self.anything();
            }
            match trade {
                Trade::Server(endpoint) if number == 0 => self.message(Syscall::Receive, endpoint),
                Trade::Server(endpoint) => self.message(Syscall::ReplyReceive, endpoint),
                Trade::Client => match self.random.below(12) {
                    0..2 => self.message(Syscall::Send, self.endpoint()),
                    2 => Deed::Work(1 + self.random.below(100_000) as u64),
                    3..5 => Deed::Fault,
                    _ => self.message(Syscall::Call, self.endpoint()),
                },
                Trade::Anything => self.anything(),
            }
        };
        (0..count).map(deed).collect()
    }
}

impl Plan {
    /// The plan that `random` gives.
    pub fn random(random: &Random) -> Self {
        let threads = 2 + random.below(MOST_THREADS - 1);
        let served = 1 + random.below(ENDPOINTS.min(threads - 1));
        let planner = Planner { random, threads, served };
        let thread = |number: usize| {
            // Servers are more urgent than their clients, most likely.
            let server = if random.one_in(6) { random.below(threads) } else { number };
            let trade = match threads - 1 - server {
                _ if random.one_in(8) => Trade::Anything,
                endpoint if endpoint < served => Trade::Server(endpoint),
                _ => Trade::Client,
            };
            Thread {
                process: random.below(PROCESSES),
                priority: priority(number, TOP_LEVEL),
                has_page: !random.one_in(4),
                budget: random.one_in(10).then(|| budget(random)),
                handler: (!random.one_in(3)).then(|| planner.endpoint()),
                deeds: planner.deeds(trade),
            }
        };
        Self { threads: (0..threads).map(thread).collect() }
    }
    /// One of threads that signal and wait for signals, many of which are equals.
    pub fn of_signals(random: &Random) -> Self {
        let threads = 2 + random.below(MOST_THREADS - 1);
        let priority = || [10, 20][random.below(2)];
        let ask = || {
            let (call, value) = match random.below(8) {
                0 => (Syscall::ThreadKill, 0),
                1..4 => (Syscall::ThreadSuspend, 0),
                4..6 => (Syscall::ThreadResume, 0),
                _ => (Syscall::ThreadSetPriority, priority().into()),
            };
            Deed::Ask { call, thread: random.below(threads), values: [value, 0] }
        };
        let deed = |_| match random.below(24) {
            0..9 => Deed::Signal,
            9..18 => Deed::AwaitSignal(match random.below(12) {
                0 => Wait::Now,
                1 => Wait::For(1 + random.below(3_000_000) as u64),
                _ => Wait::Never,
            }),
            18 | 19 => Deed::Work(1 + random.below(1_500_000) as u64),
            20 | 21 => Deed::Yield,
            22 => Deed::Interrupted,
            _ => ask(),
        };
        let thread = |_| Thread {
            process: random.below(PROCESSES),
            priority: priority(),
            has_page: false,
            budget: None,
            handler: None,
            deeds: (0..3 + random.below(25)).map(deed).collect(),
        };
        Self { threads: (0..threads).map(thread).collect() }
    }
}
