//! The kernel's log: lines on the serial port and in a ring, by the `log` crate. A line is put together first
//! and written by one call, so that lines of two CPUs never mix. While a program has the serial port, lines are in the
//! ring alone.
#![forbid(unsafe_code)]

mod deferred;
pub mod filter;
mod ring;

#[cfg(test)]
mod tests;

use core::{
    fmt::{self, Write},
    sync::atomic::{
        AtomicBool,
        Ordering::{Acquire, Release},
    },
};

use arrayvec::ArrayString;
pub use log::Level;
use log::{Log, Metadata, Record};
use orbital_abi::log::{LINE_BYTES, LogLevel};

pub use deferred::{Deferred, drain, init_deferred};
pub use ring::{Read, read};

use crate::{
    arch::{self, clock, serial},
    boot::CommandLine,
};
use filter::Filter;

static FILTER: spin::Once<Filter> = spin::Once::new();
/// Who is to be told of new lines, if it wants that.
static LISTENER: spin::Once<&'static Deferred> = spin::Once::new();
static IS_HEARD: AtomicBool = AtomicBool::new(false);

struct SerialLog;

static LOG: SerialLog = SerialLog;

/// Starts the log, with the levels that `log=` on the command line asks for.
pub fn init(command_line: &CommandLine) {
    let text = command_line.get("log").unwrap_or("");
    let (filter, wrong) = Filter::parse(text);
    // Nobody else sets a logger.
    let _ = log::set_logger(&LOG);
    log::set_max_level(filter.most());
    FILTER.call_once(|| filter);
    if let Some(wrong) = wrong {
        log::warn!("log={text}: {wrong:?} is no level");
    }
}

/// The part of the kernel that `target` belongs to: the first name below the crate's.
pub fn module(target: &str) -> &str {
    match target.strip_prefix("kernel") {
        Some("") => "kernel",
        Some(rest) => rest.trim_start_matches("::").split("::").next().unwrap_or(target),
        None => target,
    }
}

impl Log for SerialLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        FILTER
            .get()
            .is_some_and(|filter| filter.allows(module(metadata.target()), metadata.level()))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write_line(record.level(), module(record.target()), *record.args());
        }
    }

    fn flush(&self) {}
}

/// From here on `listener`, which is always the same, is told of each new line, or is not.
pub fn tell(listener: &'static Deferred, is_wanted: bool) {
    LISTENER.call_once(|| listener);
    IS_HEARD.store(is_wanted, Release);
}

fn write_line(level: Level, module: &str, text: fmt::Arguments<'_>) {
    let time = clock::nanoseconds();
    let (seconds, micros) = (time / 1_000_000_000, time / 1_000 % 1_000_000);
    let cpu = arch::cpu_index();
    let mut line = Cut::new(format_args!("[{seconds:5}.{micros:06}] cpu{cpu} {level:5} "));
    let module_at = line.add(format_args!("{module}"));
    let colon_at = line.add(format_args!(": "));
    let text_at = line.add(text);
    let end = line.end();
    let parts = [module_at..colon_at.min(end), text_at.min(end)..end];
    let [module, text] = parts.map(|part| &line.0[part]);
    ring::push(time, cpu as u8, kept(level), module, text);
    serial::write(&line.0);
    if IS_HEARD.load(Acquire)
        && let Some(listener) = LISTENER.get()
    {
        listener.defer();
    }
}

fn kept(level: Level) -> LogLevel {
    match level {
        Level::Error => LogLevel::Error,
        Level::Warn => LogLevel::Warn,
        Level::Info => LogLevel::Info,
        Level::Debug => LogLevel::Debug,
        Level::Trace => LogLevel::Trace,
    }
}

/// Writes a line of `text` as it is, on the serial port alone. For [`kprintln!`](crate::kprintln).
pub fn write_raw(text: fmt::Arguments<'_>) {
    let mut line = Cut::new(text);
    line.end();
    serial::write(&line.0);
}

/// Keeps what fits.
struct Cut(ArrayString<LINE_BYTES>);

impl Cut {
    fn new(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self(ArrayString::new());
        line.add(text);
        line
    }

    /// Adds what fits of `text`, which begins where this says.
    fn add(&mut self, text: fmt::Arguments<'_>) -> usize {
        let start = self.0.len();
        // It never fails.
        let _ = self.write_fmt(text);
        start
    }

    /// Ends the line, and gives where that is. One that is full loses its last character for it.
    fn end(&mut self) -> usize {
        if self.0.is_full() {
            self.0.pop();
        }
        let end = self.0.len();
        let _ = self.0.try_push('\n');
        end
    }
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.try_push(character).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Prints a line on the serial port without the log's prefix.
#[macro_export]
macro_rules! kprintln {
    ($($argument:tt)*) => {
        $crate::log::write_raw(format_args!($($argument)*))
    };
}
