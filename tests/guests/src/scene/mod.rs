//! A thread on a CPU in the middle of something, and what it takes to get it there and out again: for
//! suites that stop it, let it go on and end it, from its own CPU or another.
//!
//! The case runs on its CPU above all others. A thread that shall wait for its turn is kept from it by
//! the case itself on the same CPU, else by a hog.
#![forbid(unsafe_code)]

mod at;
pub mod plays;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use orbital_user::{
    Endpoint, Error, ExitReason, IpcError, clock, endpoint::reply, thread::yield_now,
};

pub use at::At;

use crate::{
    bare::{Bare, Code, Program},
    cpus::bit,
    own_thread,
    threads::{MIDDLE, endpoint, label},
    work::{prepare_work, undo_work, want_more_work},
    workers::{Own, Worker},
};

/// What the thread found, plus 100; 0 as long as it has not come so far.
static RESULT: AtomicU64 = AtomicU64::new(0);
/// Lets one that spins go on.
pub static GO: AtomicBool = AtomicBool::new(false);
/// How far one has come that spins or asks.
pub static COUNT: AtomicU64 = AtomicU64::new(0);
static HOG_RUNS: AtomicBool = AtomicBool::new(false);
static HOG_GOES: AtomicBool = AtomicBool::new(false);

/// Notes what the thread found.
pub fn note(result: Result<u64, u64>) {
    RESULT.store(result.map_or_else(|code| code, |value| 100 + value), SeqCst);
}

/// What it has noted.
pub fn result() -> u64 {
    RESULT.load(SeqCst)
}

/// Nothing has been noted from here on.
pub fn forget() {
    RESULT.store(0, SeqCst);
    GO.store(false, SeqCst);
    COUNT.store(0, SeqCst);
}

/// Waits without leaving this CPU to less urgent ones.
fn look_for(done: impl Fn() -> bool) {
    while !done() {
        core::hint::spin_loop();
    }
}

/// Runs `body` on `cpu`, to its end.
fn run_on(cpu: usize, priority: u8, body: fn(&Own)) {
    let ended = Worker::on(bit(cpu), priority, body, 0).wait();
    assert_eq!(ended, Ok(ExitReason::Exited(0)));
}

/// How long a thread sleeps that shall wake, in nanoseconds.
const SLEEP: u64 = 20_000_000;

/// Where it happens.
pub struct Stage {
    program: Program,
    /// The case's CPU.
    pub here: usize,
    /// The thread's.
    pub there: usize,
}

/// A thread in the middle of something, and what it needs.
pub struct Scene<'a> {
    stage: &'a Stage,
    /// In the middle of what.
    pub at: At,
    /// The thread.
    pub worker: Worker,
    endpoint: Endpoint,
    other: Worker,
    child: Bare,
    hog: Option<Worker>,
    wakes: u64,
}

impl Stage {
    /// Brings the case to CPU `here`; its threads will be on CPU `there`. A process of `exits` ends with
    /// its argument.
    pub fn new(exits: Code, here: usize, there: usize) -> Self {
        own_thread().set_affinity(bit(here)).expect("a CPU for the case");
        Self { program: Program::new(exits), here, there }
    }

    fn is_apart(&self) -> bool {
        self.here != self.there
    }

    /// Waits until everyone else there waits or has ended.
    pub fn settle(&self) {
        run_on(self.there, 0, |_| ());
    }

    /// Lets those of middle priority there have some turns.
    pub fn let_run(&self) {
        run_on(self.there, MIDDLE, |_| (0..3).for_each(|_| yield_now()));
    }

    /// The scene `at`.
    pub fn scene(&self, at: At) -> Scene<'_> {
        loop {
            // One may fail where a slice ends too early, or a time comes too soon.
            if let Some(scene) = Scene::attempt(self, at) {
                return scene;
            }
        }
    }

    /// The scene `at` with a thread that is suspended so many times.
    pub fn suspended(&self, at: At, times: u32) -> Scene<'_> {
        loop {
            let scene = self.scene(at);
            let asked = (0..times).all(|_| scene.worker.suspend() == Ok(()));
            if asked && result() == 0 {
                return scene;
            }
            // Only one whose time has come was quicker.
            assert!(scene.time_has_come(), "{at:?}: {asked}, result {}", result());
        }
    }
}

/// A hog, which lets the thread begin its work before it takes the CPU.
fn hogs(own: &Own) {
    own.set_priority(MIDDLE + 1).expect("its ceiling");
    HOG_RUNS.store(true, SeqCst);
    look_for(|| HOG_GOES.load(SeqCst));
}

impl<'a> Scene<'a> {
    fn attempt(stage: &'a Stage, at: At) -> Option<Self> {
        forget();
        HOG_RUNS.store(false, SeqCst);
        HOG_GOES.store(false, SeqCst);
        let endpoint = Endpoint::create().unwrap();
        let other = Worker::new(MIDDLE, |_| (), 0);
        let child = stage.program.prepare(0);
        let hog = (stage.is_apart() && at.is_held()).then(|| {
            let hog = Worker::new(MIDDLE + 1, hogs, 0);
            hog.set_affinity(bit(stage.there)).unwrap();
            hog
        });
        let wakes = if at == At::Sleeping { clock::now() + SLEEP } else { u64::MAX };
        let argument = match at {
            At::WaitingForThread | At::Asking => other.slot().bits(),
            At::WaitingForProcess => child.process.slot().bits(),
            At::Sleeping | At::SleepingForEver => wakes,
            _ => endpoint.slot().bits(),
        };
        let worker = Worker::new(MIDDLE, at.body(), argument);
        worker.set_affinity(bit(stage.there)).unwrap();
        let scene = Self { stage, at, worker, endpoint, other, child, hog, wakes };
        scene.begin();
        let has_begun = scene.has_begun();
        if !has_begun && at == At::Working {
            want_more_work();
        }
        has_begun.then_some(scene)
    }

    /// Lets the hog take the CPU, or the case keeps it.
    fn hold(&self) {
        if let Some(hog) = &self.hog {
            hog.start().unwrap();
            look_for(|| HOG_RUNS.load(SeqCst));
        }
    }

    fn begin(&self) {
        let stage = self.stage;
        match self.at {
            At::NotStarted => {}
            At::Ready => {
                self.hold();
                self.worker.start().unwrap();
                look_for(|| self.worker.inspect().unwrap().cpu == stage.there);
            }
            At::Preempted | At::Running | At::Asking => {
                self.worker.start().unwrap();
                stage.let_run();
                self.hold();
            }
            At::Working => self.begin_work(),
            _ => {
                self.worker.start().unwrap();
                stage.settle();
            }
        }
        match self.at {
            At::Woken => {
                self.hold();
                self.endpoint.try_send(&label(5)).unwrap();
            }
            At::Taken => assert!(self.endpoint.try_receive().unwrap().is_call),
            _ => {}
        }
    }

    /// The thread begins its work, and the next to have a turn is someone who ends its own.
    fn begin_work(&self) {
        prepare_work();
        if let Some(hog) = &self.hog {
            hog.set_priority(MIDDLE).unwrap();
            self.worker.start().unwrap();
            self.hold();
        } else {
            self.worker.start().unwrap();
            let tells = |own: &Own| endpoint(own.slot()).send(&label(1)).unwrap();
            let _equal =
                Worker::on(bit(self.stage.there), MIDDLE, tells, self.endpoint.slot().bits());
            self.endpoint.receive().unwrap();
        }
    }

    /// Whether the thread is where it should be. What must be so is checked here.
    fn has_begun(&self) -> bool {
        let Self { at, stage, .. } = self;
        let state = self.worker.inspect().unwrap().state;
        let is_there = at.states(stage.is_apart()).contains(&state) && result() == 0;
        let may_fail = matches!(at, At::Working | At::Sleeping | At::Running);
        assert!(is_there || may_fail, "{at:?}: state {state}, result {}", result());
        is_there
    }

    /// The time for which it sleeps has come.
    fn time_has_come(&self) -> bool {
        clock::now() >= self.wakes
    }

    /// It is where it was, and has done nothing more.
    #[track_caller]
    pub fn is_where_it_was(&self) {
        let (state, result) = (self.worker.inspect().unwrap().state, result());
        if !self.time_has_come() {
            let states = self.at.states(self.stage.is_apart());
            assert!(states.contains(&state) || self.at == At::Running, "{:?}: {state}", self.at);
            assert_eq!(result, 0, "{:?}", self.at);
        }
    }

    /// It is suspended: it stays where it was, and does nothing though nobody keeps it from its turn.
    #[track_caller]
    pub fn stands_still(&self) {
        self.let_hog_go();
        let before = COUNT.load(SeqCst);
        self.stage.settle();
        let state = self.worker.inspect().unwrap().state;
        assert_eq!((result(), COUNT.load(SeqCst)), (0, before), "{:?} goes on", self.at);
        let states = self.at.states_suspended(self.stage.is_apart());
        let is_awake = state == 1 && self.time_has_come();
        assert!(states.contains(&state) || is_awake, "{:?}: {state}", self.at);
    }

    /// What it waits for comes, and whoever keeps it from its turn goes.
    pub fn release(&self) {
        match self.at {
            At::NotStarted => self.worker.start().unwrap(),
            At::Preempted | At::Running | At::Asking => GO.store(true, SeqCst),
            At::Sending => assert_eq!(self.endpoint.try_receive().unwrap().message.label(), 7),
            At::Receiving => self.endpoint.try_send(&label(5)).unwrap(),
            At::Calling => {
                assert_eq!(self.endpoint.try_receive().unwrap().message.label(), 7);
                reply(&label(5)).unwrap();
            }
            At::Taken => reply(&label(5)).unwrap(),
            At::WaitingForThread => {
                self.other.start().unwrap();
                self.other.wait().unwrap();
            }
            At::WaitingForProcess => assert_eq!(self.child.run(), ExitReason::Exited(0)),
            At::Sleeping => clock::sleep_until(self.wakes),
            At::Ready | At::Woken | At::Working | At::SleepingForEver | At::StoppedByItself => {}
        }
        self.let_hog_go();
    }

    /// Nobody keeps it from its turn any more.
    pub fn let_hog_go(&self) {
        HOG_GOES.store(true, SeqCst);
        if let Some(hog) = &self.hog {
            hog.wait().unwrap();
        }
    }

    /// Nobody is where it was: it has been killed.
    pub fn is_gone(&self) {
        let blocks = Err(IpcError::WouldBlock);
        match self.at {
            At::NotStarted => assert_eq!(self.worker.start(), Err(Error::Ended)),
            At::Sending | At::Calling => assert_eq!(self.endpoint.try_receive().map(drop), blocks),
            At::Receiving | At::Woken => assert_eq!(self.endpoint.try_send(&label(0)), blocks),
            At::Taken => assert_eq!(reply(&label(0)), Err(IpcError::PeerGone)),
            // Whatever it asked for last, others can ask for anything.
            At::Asking => assert_eq!([self.other.suspend(), self.other.resume()], [Ok(()); 2]),
            _ => self.release(),
        }
        self.let_hog_go();
    }

    /// What it notes at its end.
    pub fn expected(&self) -> u64 {
        let is_answered = matches!(self.at, At::Receiving | At::Calling | At::Taken | At::Woken);
        if is_answered { 105 } else { 100 }
    }

    /// It goes on as if nothing had been.
    #[track_caller]
    pub fn finishes(&self) {
        assert_eq!(self.worker.wait(), Ok(ExitReason::Exited(0)), "{:?}", self.at);
        assert_eq!(result(), self.expected(), "{:?}", self.at);
    }

    /// Killed now, it has ended as the call returns.
    #[track_caller]
    pub fn is_killed(&self) {
        assert_eq!(self.worker.kill(), Ok(()), "{:?}", self.at);
        assert_eq!(self.worker.try_wait(), Ok(ExitReason::Killed), "{:?}", self.at);
        assert_eq!(self.worker.inspect().map(|i| i.state), Ok(5));
    }
}

impl Drop for Scene<'_> {
    /// The end of the child goes on after its last capability is gone; who counts objects must not meet
    /// it half-way.
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.process.kill();
        let _ = self.child.process.wait();
        undo_work().unwrap();
    }
}
