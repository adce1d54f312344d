//! What tells people what happened: log, symbols, backtrace.
#![forbid(unsafe_code)]

use core::hint::black_box;

use ::log::{Level, LevelFilter, log_enabled};
use arrayvec::ArrayVec;
use kernel::{
    arch::{backtrace, port, serial},
    kprintln,
    log::{filter::Filter, module},
    symbols,
};
use orbital_abi::arguments::PortWidth;

use super::{kernel_test, loaded};

#[inline(never)]
fn landmark() -> u64 {
    black_box(0x1234)
}

kernel_test! {
    /// The table in the archive names the function that an address lies in, and how far.
    fn symbols_name_functions() {
        assert_eq!(landmark(), 0x1234);
        let start = landmark as *const () as u64;
        for offset in 0..4 {
            let (name, found) = symbols::lookup(start + offset).expect("there is a table");
            assert!(name.ends_with("diagnostics::landmark"), "{name}");
            assert_eq!(found, offset);
        }
        let before = symbols::lookup(start - 1);
        assert!(before.is_none_or(|(name, _)| !name.ends_with("landmark")), "{before:?}");
        assert_eq!(symbols::lookup(0), None);
        assert_eq!(symbols::lookup(0x40_0000), None, "a program's address");
    }
}

type Callers = ArrayVec<u64, 64>;

#[inline(never)]
fn innermost() -> Callers {
    let mut callers = Callers::new();
    backtrace::callers(|address| callers.push(address));
    black_box(callers)
}

#[inline(never)]
fn outer() -> Callers {
    black_box(innermost())
}

#[inline(never)]
fn outermost() -> Callers {
    black_box(outer())
}

kernel_test! {
    /// A backtrace names the callers from the innermost out to the first Rust code.
    fn a_backtrace_finds_its_callers() {
        let callers = outermost();
        assert!(callers.iter().all(|address| loaded::text().contains(address)), "{callers:x?}");
        let mut names = callers.iter().map(|address| symbols::lookup(address - 1).unwrap().0);
        for wanted in ["outer", "outermost", "a_backtrace_finds_its_callers", "run", "start"] {
            let matches = |name: &str| name.rsplit("::").next() == Some(wanted);
            assert!(names.any(matches), "{wanted} is missing, or in the wrong place");
        }
    }
}

kernel_test! {
    /// A backtrace is as deep as it may be, however deep the calls are.
    fn a_deep_backtrace_ends() {
        #[inline(never)]
        fn down(levels: u32) -> Callers {
            black_box(if levels == 0 { innermost() } else { down(levels - 1) })
        }
        let callers = down(50);
        assert!((16..=32).contains(&callers.len()), "{} callers", callers.len());
    }
}

kernel_test! {
    /// Without `log=` the level is `info`, and the filter picks by the part of the kernel.
    fn the_log_has_levels() {
        assert_eq!(::log::max_level(), LevelFilter::Info);
        assert!(log_enabled!(target: "kernel::ipc::endpoint", Level::Info));
        assert!(log_enabled!(Level::Error));
        assert!(!log_enabled!(target: "kernel::ipc::endpoint", Level::Debug));
        assert_eq!(module("kernel::ipc::endpoint"), "ipc");
        assert_eq!((module("kernel"), module("boot")), ("kernel", "boot"));
        let (filter, wrong) = Filter::parse("warn,ipc=trace,sched=off");
        assert_eq!(wrong, None);
        assert!(filter.allows("ipc", Level::Trace) && !filter.allows("sched", Level::Error));
        assert!(filter.allows("vm", Level::Warn) && !filter.allows("vm", Level::Info));
    }
}

kernel_test! {
    /// Long texts and lines of every length around the limit go out of the serial port without end or
    /// panic: what they look like is seen on the host.
    fn long_lines_go_out() {
        const LINE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
        for _ in 0..64 {
            serial::write(LINE);
        }
        serial::write("");
        // In bytes, and in characters of several.
        for length in [0, 1, 509, 510, 511, 512, 513, 2000] {
            kprintln!("{:x<length$}", "");
            kprintln!("{:€<1$}", "", length / 3);
            kprintln!("y{:ä<1$}z", "", length / 2);
        }
    }
}

kernel_test! {
    /// A panic takes the serial port from whoever has it, and however that has left it: the harness sees this pass by a
    /// line that is written then.
    fn a_panic_gets_the_serial_port() {
        let [line_control, modem_control] = [3, 4].map(|offset| serial::PORTS.first + offset);
        serial::lend();
        serial::lend();
        kprintln!("test a_panic_gets_the_serial_port: fail: a line on a port that is lent");
        // The divisor in the place of data, and what is sent comes back (PC16550D data sheet, 8.5 and 8.6.7).
        port::write(line_control, PortWidth::Byte, 1 << 7);
        port::write(modem_control, PortWidth::Byte, 1 << 4);
        serial::take_back();
        assert_eq!(port::read(line_control, PortWidth::Byte), 3);
        // Who had it may still end.
        serial::give_back();
        serial::give_back();
    }
}
