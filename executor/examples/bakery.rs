//! A bakery: tasks, a shelf that customers wait at, and a clock that jumps from deadline to deadline.
//!
//!     cargo run -p orbital-executor --example bakery
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use orbital_executor::{
    executor::{Executor, Owner, Task, Watch},
    timer::{NEVER, TimerQueue, timeout_at},
    wait_queue::WaitQueue,
};

/// Deadlines are in nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// What all tasks share. They stay on their owner's thread, so it needs no lock.
struct Bakery {
    clock: TimerQueue,
    /// A channel: a store and a queue of those who wait for something in it.
    shelf: Cell<u32>,
    customers: WaitQueue,
    journal: RefCell<Vec<String>>,
}

impl Bakery {
    fn note(&self, what: &str) {
        let line = format!("{:3} min  {what}", self.clock.now() / MINUTE);
        self.journal.borrow_mut().push(line);
    }

    /// Takes a loaf, if there is one.
    fn take(&self) -> bool {
        let left = self.shelf.get().checked_sub(1);
        left.inspect(|&left| self.shelf.set(left)).is_some()
    }

    fn put(&self) {
        self.shelf.set(self.shelf.get() + 1);
        // First what they check, and then the wake.
        self.customers.wake_one();
    }
}

/// Bakes four loaves, one every ten minutes.
async fn bake(bakery: Rc<Bakery>) {
    for loaf in 1..=4 {
        bakery.clock.sleep_until(loaf * 10 * MINUTE).await;
        bakery.note(&format!("loaf {loaf} is on the shelf"));
        bakery.put();
    }
}

/// Comes, and waits for a loaf as long as the patience lasts. All times are in minutes.
async fn buy(bakery: Rc<Bakery>, name: &str, comes: u64, patience: u64) {
    bakery.clock.sleep_until(comes * MINUTE).await;
    bakery.note(&format!("{name} comes"));
    let a_loaf = bakery.customers.wait_until(|| bakery.take());
    match timeout_at(&bakery.clock, (comes + patience) * MINUTE, a_loaf).await {
        Ok(()) => bakery.note(&format!("{name} has a loaf")),
        Err(elapsed) => bakery.note(&format!("{name} goes without: {elapsed}")),
    }
}

/// Polls while there is work, then lets the time of the next deadline come, until there is none.
fn run(owner: Owner, clock: &TimerQueue) {
    loop {
        while owner.has_work() {
            owner.poll_ready(16);
        }
        match clock.next_deadline() {
            NEVER => return,
            deadline => clock.fire(deadline),
        };
    }
}

/// A day, line by line.
fn day() -> Vec<String> {
    // Nothing of this day takes a minute of the computer's time.
    let watch = Watch {
        clock: || {
            let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
            since.map_or(0, |since| since.as_secs())
        },
        limit: 60,
    };
    let executor: &'static Executor = Box::leak(Box::new(Executor::with(None, Some(watch))));
    let owner = executor.claim(0).expect("nobody else has seen it");
    let bakery = Rc::new(Bakery {
        clock: TimerQueue::new(),
        shelf: Cell::new(0),
        customers: WaitQueue::new(),
        journal: RefCell::default(),
    });
    owner.spawn(Box::pin(Task::new(bake(bakery.clone()))));
    for (name, comes, patience) in
        [("Ada", 1, 60), ("Ben", 2, 7), ("Cleo", 3, 60), ("Dan", 35, 60), ("Eve", 36, 0)]
    {
        owner.spawn(Box::pin(Task::new(buy(bakery.clone(), name, comes, patience))));
    }
    run(owner, &bakery.clock);
    let counters = owner.counters();
    bakery.note(&format!(
        "the day is over: {} tasks, {} alive, {} polls, {} long ones, {} loaves left",
        counters.spawned,
        counters.alive(),
        counters.polls,
        counters.long_polls,
        bakery.shelf.get()
    ));
    bakery.journal.take()
}

fn main() {
    for line in day() {
        println!("{line}");
    }
}

#[test]
fn a_day_is_what_it_should_be() {
    let expected = [
        "  1 min  Ada comes",
        "  2 min  Ben comes",
        "  3 min  Cleo comes",
        "  9 min  Ben goes without: the deadline came first",
        " 10 min  loaf 1 is on the shelf",
        " 10 min  Ada has a loaf",
        " 20 min  loaf 2 is on the shelf",
        " 20 min  Cleo has a loaf",
        " 30 min  loaf 3 is on the shelf",
        " 35 min  Dan comes",
        " 35 min  Dan has a loaf",
        " 36 min  Eve comes",
        " 36 min  Eve goes without: the deadline came first",
        " 40 min  loaf 4 is on the shelf",
        " 40 min  the day is over: 6 tasks, 0 alive, 18 polls, 0 long ones, 1 loaves left",
    ];
    assert_eq!(day(), expected);
}
