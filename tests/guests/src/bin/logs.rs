//! The log, as a program reads it; who is told of new lines; and who has the serial port.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, string::String, vec::Vec};

use guests::{
    children,
    counters::leaves_nothing,
    cpus, raw, suite,
    threads::{MIDDLE, at},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IoPort, Notification, Rights,
    abi::{
        Syscall,
        log::{LineHead, LogLevel},
    },
    capability::{copy_to, revoke},
    clock,
    message_page::MessagePage,
    println,
    start::bootstrap,
    system::{LogLine, bind_log, framebuffer, log_line, unbind_log},
};

suite! {
    cases: [
        wrong_questions_are_refused,
        a_line_is_read_as_it_was_written,
        the_latest_lines_are_there,
        a_child_reads_with_the_right_alone,
        a_binding_ends_with_its_notification,
        a_revoke_ends_a_binding,
        a_binding_replaces_the_one_before,
        nothing_is_left_of_bindings,
        lines_are_kept_while_the_port_is_a_programs,
    ],
    parallel: [
        lines_of_all_cpus_are_whole_and_in_order,
        who_waits_for_lines_misses_none,
        a_reader_that_is_told_of_its_own_lines_comes_to_an_end,
    ],
    roles: [reads, has_the_port, says],
}

const BIT: u64 = 1 << 40;

/// The number of the next line.
fn end() -> u64 {
    let mut next = 0;
    while let Ok(line) = log_line(next) {
        next = line.head.position + 1;
    }
    next
}

/// The lines from `next` on that init has written itself, whose text begins with `prefix`.
fn own(next: &mut u64, prefix: &str) -> Vec<LogLine> {
    let mut lines = Vec::new();
    while let Ok(line) = log_line(*next) {
        *next = line.head.position + 1;
        if line.module() == "init" && line.text().starts_with(prefix) {
            lines.push(line);
        }
    }
    lines
}

fn wrong_questions_are_refused() {
    let system = bootstrap().system.bits();
    let read = |system, position, error| {
        raw::refuse(Syscall::SystemLogRead, raw::control([system, position]), error);
    };
    read(system, 0, Error::NoRoom);
    MessagePage::of_thread().unwrap();
    for position in [1 << 32, u64::MAX] {
        read(system, position, Error::WouldBlock);
    }
    let all_others = Rights::all().difference(Rights::LOG_READ);
    let other = copy_to(bootstrap().system, CapSlot::NULL, all_others, 0).unwrap();
    let endpoint = Endpoint::create().unwrap();
    let word = Notification::create().unwrap();
    let deaf = word.copy(Rights::RECEIVE | Rights::GRANT, 0).unwrap();
    let masked = word.copy(Rights::SEND, 6).unwrap();
    let bind = |system, word, bits, error| {
        raw::refuse(Syscall::SystemLogBind, raw::control([system, word, bits]), error);
    };
    let word = word.slot().bits();
    for (system, error) in [
        (other.bits(), Error::MissingRights),
        (0, Error::EmptySlot),
        (endpoint.slot().bits(), Error::WrongKind),
    ] {
        read(system, 0, error);
        bind(system, word, 1, error);
        bind(system, 0, 0, error);
    }
    for (word, bits, error) in [
        (0, 1, Error::InvalidArgument),
        (word, 0, Error::InvalidArgument),
        (deaf.slot().bits(), 1, Error::MissingRights),
        (masked.slot().bits(), 1, Error::MissingRights),
        (endpoint.slot().bits(), 1, Error::WrongKind),
        (system, 1, Error::WrongKind),
    ] {
        bind(system, word, bits, error);
    }
}

fn a_line_is_read_as_it_was_written() {
    let mut next = end();
    for length in [1, 7, 8, 9, 100, 255, 256] {
        let text: String = ('a'..='z').cycle().take(length).collect();
        let before = clock::now();
        println!("{text}");
        let line = log_line(next).unwrap();
        let LineHead { position, time, cpu, level, .. } = line.head;
        assert_eq!((line.module(), line.text()), ("init", &*text));
        assert_eq!((position, cpu, level), (next, 0, LogLevel::Info));
        assert!((before..=clock::now()).contains(&time));
        next += 1;
        assert_eq!(log_line(next), Err(Error::WouldBlock));
    }
    let child = children::start("says", |spawn| spawn.system(Rights::LOG));
    children::succeed(&child);
    let mut lines = (next..).map_while(|number| log_line(number).ok());
    assert!(lines.any(|line| line.module() == "user.says" && line.text() == "a child's line"));
}

fn says() {
    println!("a child's line");
}

/// What is overwritten is told by the numbers, and what is not is there.
fn the_latest_lines_are_there() {
    let from = end();
    let count = 2000;
    (0..count).for_each(|number| println!("line {number}"));
    let mut next = from;
    let lines = own(&mut next, "line ");
    assert_eq!(next, from + count);
    assert!(lines.len() > 100 && (lines.len() as u64) < count, "{}", lines.len());
    for (line, number) in lines.iter().rev().zip((0..count).rev()) {
        assert_eq!(line.text(), format!("line {number}"));
        assert_eq!(line.head.position, from + number);
    }
    let first = log_line(0).unwrap().head.position;
    assert_eq!(log_line(first - 1).unwrap().head.position, first);
}

fn a_child_reads_with_the_right_alone() {
    println!("for the child");
    for (rights, arguments) in [(Rights::LOG_READ, "may"), (Rights::LOG, "may not")] {
        let child =
            children::start_with_arguments("reads", arguments, |spawn| spawn.system(rights));
        children::succeed(&child);
    }
}

fn reads() {
    let word = Notification::create().unwrap();
    if bootstrap().command_line().ends_with("may") {
        let mut next = 0;
        assert!(own(&mut next, "for the child").len() == 1);
        bind_log(&word, 1).unwrap();
        // Its end ends the binding, too.
        return;
    }
    assert_eq!(log_line(0), Err(Error::MissingRights));
    assert_eq!(bind_log(&word, 1), Err(Error::MissingRights));
    assert_eq!(unbind_log(), Err(Error::MissingRights));
    assert_eq!(framebuffer(), Err(Error::MissingRights));
}

/// What was written was told by now: a line is told by a task that is as urgent as can be, before this goes on.
fn told(word: &Notification) -> Result<u64, Error> {
    println!("a line");
    word.wait_until(clock::now() + 50_000_000)
}

fn a_binding_ends_with_its_notification() {
    let word = Notification::create().unwrap();
    bind_log(&word, BIT | 1).unwrap();
    assert_eq!(told(&word), Ok(BIT | 1));
    drop(word);
    println!("nobody is told of this");
    let word = Notification::create().unwrap();
    assert_eq!(told(&word), Err(Error::TimedOut));
    bind_log(&word, BIT).unwrap();
    assert_eq!(told(&word), Ok(BIT));
    unbind_log().unwrap();
    unbind_log().unwrap();
    assert_eq!(told(&word), Err(Error::TimedOut));
}

fn a_revoke_ends_a_binding() {
    let word = Notification::create().unwrap();
    let copy = word.copy(Rights::SEND, 0).unwrap();
    bind_log(&copy, BIT).unwrap();
    // However it was bound: the copy is gone, and what was bound by it is not.
    drop(copy);
    assert_eq!(told(&word), Ok(BIT));
    revoke(word.slot()).unwrap();
    let _ = word.poll();
    assert_eq!(told(&word), Err(Error::TimedOut));
}

fn a_binding_replaces_the_one_before() {
    let [first, second] = [1, 2].map(|_| Notification::create().unwrap());
    bind_log(&first, 1).unwrap();
    bind_log(&second, 2).unwrap();
    assert_eq!(told(&second), Ok(2));
    assert_eq!(first.poll(), Err(Error::WouldBlock));
    // The end of the one before is none of the other's business.
    drop(first);
    assert_eq!(told(&second), Ok(2));
}

fn nothing_is_left_of_bindings() {
    MessagePage::of_thread().unwrap();
    leaves_nothing(3, || {
        let word = Notification::create().unwrap();
        let copy = word.copy(Rights::SEND, 0).unwrap();
        bind_log(&copy, 1).unwrap();
        bind_log(&word, 1).unwrap();
        bind_log(&copy, 2).unwrap();
        let _ = log_line(0);
        revoke(word.slot()).unwrap();
        let other = Notification::create().unwrap();
        bind_log(&other, 1).unwrap();
        let ports = IoPort::create(COM1..=SCRATCH).unwrap();
        let _narrow = ports.narrow(COM1..=COM1).unwrap();
    });
}

const COM1: u16 = 0x3f8;
const LINE_CONTROL: u16 = COM1 + 3;
const MODEM_CONTROL: u16 = COM1 + 4;
const SCRATCH: u16 = COM1 + 7;
/// The divisor is where data are else (PC16550D data sheet, 8.5), and what is sent comes back (8.6.7).
const DIVISOR: u8 = 1 << 7;
const LOOP_BACK: u8 = 1 << 4;

/// A driver may leave the port as it likes: when it has ended, the log has it again, and the harness sees that this
/// passes by what is written then.
fn lines_are_kept_while_the_port_is_a_programs() {
    let mut next = end();
    let child =
        children::start("has_the_port", |spawn| spawn.system(Rights::LOG | Rights::DEVICES));
    children::succeed(&child);
    let ports = IoPort::create(COM1..=SCRATCH).unwrap();
    println!("KEPT");
    ports.write_u8(MODEM_CONTROL, LOOP_BACK).unwrap();
    ports.write_u8(LINE_CONTROL, DIVISOR).unwrap();
    ports.write_u8(COM1, 0xff).unwrap();
    drop(ports);
    let ports = IoPort::create(COM1..=SCRATCH - 1).unwrap();
    let byte = |port| ports.read_u8(port).unwrap();
    assert_eq!((byte(LINE_CONTROL), byte(MODEM_CONTROL) & LOOP_BACK), (3, 0), "set up anew");
    assert_eq!(own(&mut next, "KEPT").len(), 1);
}

/// Ends as it has it.
fn has_the_port() {
    let ports = IoPort::create(COM1..=SCRATCH).unwrap();
    println!("KEPT");
    ports.write_u8(LINE_CONTROL, DIVISOR).unwrap();
    core::mem::forget(ports);
}

/// Each CPU's lines are all there, none of them mixed with another's.
fn lines_of_all_cpus_are_whole_and_in_order() {
    const EACH: usize = 100;
    let mut next = end();
    let writes = |own: &Own| {
        for number in 0..EACH {
            println!("writer {} {number} {:x<number$}", own.argument, "");
        }
    };
    let writer = |cpu| Worker::on(cpus::bit(cpu), MIDDLE, writes, cpu as u64);
    let writers: Vec<_> = (0..cpus::count()).map(writer).collect();
    for writer in &writers {
        writer.wait().unwrap();
    }
    let lines = own(&mut next, "writer ");
    assert!(lines.is_sorted_by_key(|line| line.head.position));
    for cpu in 0..cpus::count() {
        let prefix = format!("writer {cpu} ");
        let own = lines.iter().filter(|line| line.text().starts_with(&prefix));
        let own: Vec<_> = own.collect();
        assert_eq!(own.len(), EACH);
        for (number, line) in own.iter().enumerate() {
            assert_eq!(line.text(), format!("{prefix}{number} {}", "x".repeat(number)));
            assert_eq!(usize::from(line.head.cpu), cpu);
        }
    }
}

/// The reader waits whenever it has come to the end; so it hangs where a line does not wake it.
fn who_waits_for_lines_misses_none() {
    const LINES: usize = 300;
    let word = Notification::create().unwrap();
    bind_log(&word, BIT).unwrap();
    let mut next = end();
    let writer = at(MIDDLE, || {
        for number in 0..LINES {
            println!("number {number}");
            // The reader is to have nothing more to read, now and then.
            if number % 7 == 0 {
                clock::sleep(200_000);
            }
        }
    });
    let mut count = 0;
    while count < LINES {
        count += own(&mut next, "number ").len();
        if count < LINES {
            assert_eq!(word.wait(), Ok(BIT));
        }
    }
    writer.join().unwrap();
}

/// It writes a line whenever it was told of one, as often as it likes: no line comes of a signal by itself.
fn a_reader_that_is_told_of_its_own_lines_comes_to_an_end() {
    let word = Notification::create().unwrap();
    let from = end();
    bind_log(&word, BIT).unwrap();
    for number in 0..50 {
        println!("number {number}");
        assert_eq!(word.wait(), Ok(BIT));
    }
    let mut next = from;
    assert_eq!(own(&mut next, "number ").len(), 50);
    assert_eq!(next, from + 50, "there are no others");
    assert_eq!(word.wait_until(clock::now() + 10_000_000), Err(Error::TimedOut));
}
