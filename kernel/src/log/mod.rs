//! The kernel's log: lines on the serial port, by the `log` crate. A line is put together first and
//! written by one call, so that lines of two CPUs never mix.
#![forbid(unsafe_code)]

mod deferred;
pub mod filter;

#[cfg(test)]
mod tests;

use core::fmt::{self, Write};

use arrayvec::ArrayString;
pub use log::Level;
use log::{Log, Metadata, Record};

pub use deferred::{Deferred, drain, init_deferred};

use crate::{
    arch::{self, clock, serial},
    boot::CommandLine,
};
use filter::Filter;

/// How long a line can be in bytes; a longer one is cut.
const LINE_BYTES: usize = 512;

static FILTER: spin::Once<Filter> = spin::Once::new();

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

fn write_line(level: Level, module: &str, text: fmt::Arguments<'_>) {
    let now = clock::microseconds();
    let (seconds, micros) = (now / 1_000_000, now % 1_000_000);
    let cpu = arch::cpu_index();
    write_raw(format_args!("[{seconds:5}.{micros:06}] cpu{cpu} {level:5} {module}: {text}\n"));
}

/// Writes `text` as it is. For [`kprintln!`](crate::kprintln).
pub fn write_raw(text: fmt::Arguments<'_>) {
    let mut line = Cut(ArrayString::<LINE_BYTES>::new());
    // `Cut` never fails.
    let _ = line.write_fmt(text);
    if line.0.is_full() {
        line.0.pop();
        let _ = line.0.try_push('\n');
    }
    serial::write(&line.0);
}

/// Keeps what fits.
struct Cut(ArrayString<LINE_BYTES>);

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
        $crate::log::write_raw(format_args!("{}\n", format_args!($($argument)*)))
    };
}
