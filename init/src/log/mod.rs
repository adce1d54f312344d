//! The log service: [`protocol::log`](crate::protocol::log). It keeps more lines than the kernel does.
//!
//! | module | what |
//! |---|---|
//! | `lines` | those that are kept |
//!
//! The kernel signals new lines to the serving thread, which then answers those who wait for some.
#![forbid(unsafe_code)]

mod lines;

use alloc::{format, vec::Vec};

use orbital_user::{
    Error, Notification, Reply,
    rpc::{self, Call, Server},
    start::bootstrap,
    system::{LogLine, bind_log, log_line},
};

use crate::protocol::{
    log::{Answer, Line, Question, READ},
    may,
};
use lines::Lines;

/// How many calls are kept that wait for lines.
const MOST_WAITING: usize = 256;

/// The lines, and who waits for more.
#[derive(Debug)]
pub struct Log {
    lines: Lines,
    /// Where the kernel's ring is to be read on.
    next: u64,
    /// Calls of [`Question::From`], with what they ask.
    waiting: Vec<(u64, u32, Reply)>,
    /// Bound to this thread.
    _signals: Notification,
}

impl Log {
    /// Reads what there is, and is told of more: this thread.
    ///
    /// # Errors
    /// Those of notifications and of [`bind_log`].
    pub fn open() -> Result<Self, Error> {
        let signals = Notification::create()?;
        signals.bind(bootstrap().thread)?;
        // First: so a line that comes while the others are read is a signal.
        bind_log(&signals, 1)?;
        let mut log = Self { lines: Lines::new(), next: 0, waiting: Vec::new(), _signals: signals };
        log.read();
        Ok(log)
    }

    /// Reads new lines up to the end.
    fn read(&mut self) {
        while let Ok(line) = log_line(self.next) {
            self.next = line.head.position + 1;
            self.lines.push(shown(&line));
        }
    }

    /// Answers those for whom there is something now. A caller that is gone, or accepts nothing, has its own affairs.
    fn answer_waiting(&mut self) {
        let end = self.lines.end();
        let ready: Vec<_> =
            self.waiting.extract_if(.., |(position, _, _)| *position < end).collect();
        for (position, most, reply) in ready {
            let _ = rpc::answer(reply, &Answer::Lines(self.lines.from(position, most)));
        }
    }

    fn from(&mut self, position: u64, most: u32) -> rpc::Answer<Answer> {
        // What was asked for is there, or nothing is asked for.
        if position < self.lines.end() || most == 0 {
            return rpc::Answer::Reply(Answer::Lines(self.lines.from(position, most)));
        }
        if self.waiting.len() >= MOST_WAITING {
            let still = core::mem::take(&mut self.waiting).into_iter();
            let still = still.filter_map(|(at, most, it)| Some((at, most, it.if_awaited()?)));
            self.waiting = still.collect();
        }
        if self.waiting.len() < MOST_WAITING
            && let Ok(reply) = Reply::keep()
        {
            self.waiting.push((position, most, reply));
        }
        rpc::Answer::Later
    }
}

impl Server<Question, Answer> for Log {
    fn call(&mut self, call: Call<Question>) -> rpc::Answer<Answer> {
        if !may(call.badge, READ) {
            return rpc::Answer::Reply(Answer::NotAllowed);
        }
        self.read();
        match call.question {
            Question::Latest(most) => rpc::Answer::Reply(Answer::Lines(self.lines.latest(most))),
            Question::From(position, most) => self.from(position, most),
        }
    }

    fn signals(&mut self, _: u64) {
        self.read();
        self.answer_waiting();
    }
}

/// A line as it stands on the serial port.
fn shown(line: &LogLine) -> Line {
    let head = &line.head;
    let (seconds, micros) = (head.time / 1_000_000_000, head.time / 1_000 % 1_000_000);
    let level = format!("{:?}", head.level).to_ascii_uppercase();
    let module = line.module();
    let text =
        format!("[{seconds:5}.{micros:06}] cpu{} {level:5} {module}: {}", head.cpu, line.text());
    Line { position: head.position, text }
}
