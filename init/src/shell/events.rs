//! What the shell waits for, from all of its threads.
#![forbid(unsafe_code)]

use alloc::{collections::VecDeque, vec::Vec};

use orbital_user::{
    ExitReason,
    sync::{Condvar, Mutex},
};

/// Something has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// These bytes were typed.
    Typed(Vec<u8>),
    /// The console was started anew: its reader says so.
    ConsoleAnew,
    /// A service was started anew, this one: init says so.
    StartedAnew(&'static str),
    /// Nothing will be typed any more.
    NoInput,
    /// The program with this number has ended: how, where that is known.
    Ended(u64, Option<ExitReason>),
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Whether typed bytes are among them: then the reader waits with more, and the console keeps them.
    has_typed: bool,
}

/// The events that nobody has taken yet.
pub struct Events {
    queue: Mutex<Queue>,
    came: Condvar,
    taken: Condvar,
}

impl Default for Events {
    fn default() -> Self {
        Self { queue: Mutex::new(Queue::default()), came: Condvar::new(), taken: Condvar::new() }
    }
}

impl Events {
    /// One has come. Where it is what was typed, waits until what was typed before is taken.
    pub fn push(&self, event: Event) {
        let mut queue = self.queue.lock();
        if matches!(event, Event::Typed(_)) {
            queue = self.taken.wait_while(queue, |queue| queue.has_typed);
            queue.has_typed = true;
        }
        queue.events.push_back(event);
        drop(queue);
        self.came.notify_one();
    }

    /// Takes the oldest; waits where there is none.
    pub fn wait(&self) -> Event {
        let mut queue = self.queue.lock();
        loop {
            if let Some(event) = queue.events.pop_front() {
                if matches!(event, Event::Typed(_)) {
                    queue.has_typed = false;
                    self.taken.notify_one();
                }
                return event;
            }
            queue = self.came.wait(queue);
        }
    }
}
