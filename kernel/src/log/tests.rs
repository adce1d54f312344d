//! Lines as they reach the serial port.
#![forbid(unsafe_code)]

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::{Deferred, LINE_BYTES, drain, init, init_deferred, module, read, write_raw};
use crate::{
    arch::host::{clock, machine, serial},
    boot::CommandLine,
    kprintln,
};

#[test]
fn a_line_belongs_to_the_part_of_the_kernel_that_wrote_it() {
    for (target, part) in [
        ("kernel::ipc::endpoint", "ipc"),
        ("kernel::boot", "boot"),
        ("kernel", "kernel"),
        ("init", "init"),
        ("tar_no_std::archive", "tar_no_std::archive"),
    ] {
        assert_eq!(module(target), part, "{target}");
    }
}

#[test]
fn lines_go_out_whole_with_time_cpu_level_and_module() {
    let _machine = machine();
    init(&CommandLine::new("log=info"));
    serial::take();
    clock::start_anew();
    clock::advance(12_345_678_999);
    log::info!(target: "kernel::boot::pvh", "{} of {}", 1, 2);
    assert_eq!(serial::take(), "[   12.345678] cpu0 INFO  boot: 1 of 2\n");
    log::trace!(target: "kernel::boot::pvh", "too much");
    assert_eq!(serial::take(), "");
    kprintln!("as it {}", "is");
    assert_eq!(serial::take(), "as it is\n");
}

#[test]
fn a_line_that_is_too_long_is_cut_and_still_ends() {
    let _machine = machine();
    for length in LINE_BYTES - 3..LINE_BYTES + 3 {
        serial::take();
        kprintln!("{}", "x".repeat(length));
        let sent = serial::take();
        assert_eq!(sent.len(), (length + 1).min(LINE_BYTES), "{length}");
        assert_eq!(sent.matches('\n').count(), 1, "{length}");
        assert!(sent.ends_with('\n'), "{length}");
    }
}

#[test]
fn a_line_is_cut_between_characters() {
    let _machine = machine();
    for shift in 0..4 {
        serial::take();
        kprintln!("{}{}", "x".repeat(shift), "😀".repeat(LINE_BYTES));
        let sent = serial::take();
        assert!(sent.len() <= LINE_BYTES && sent.ends_with('\n'), "{shift}");
        let text = sent.trim_end_matches('\n').trim_start_matches('x');
        assert!(text.chars().all(|character| character == '😀'), "{shift}");
    }
    serial::take();
    write_raw(format_args!(""));
    assert_eq!(serial::take(), "\n");
}

static ONCE: Deferred = Deferred::new(|| log::warn!(target: "arch", "something happened"));
static OFTEN: Deferred = Deferred::new(|| log::error!(target: "arch", "again"));

#[test]
fn deferred_lines_are_written_by_their_task_one_a_turn() {
    let _machine = machine();
    init(&CommandLine::new("log=info"));
    serial::take();
    // Before the queue is there.
    ONCE.defer();
    clock::start_anew();
    init_deferred();
    let mut drain = pin!(drain());
    let mut poll = || {
        let polled: Poll<()> = drain.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "it goes on for ever");
        serial::take()
    };
    poll();
    // However often, it is one line.
    for _ in 0..1000 {
        OFTEN.defer();
        ONCE.defer();
    }
    let said = poll();
    assert!(said.starts_with("[    0.000000] cpu0 ERROR arch: again\n"), "{said}");
    OFTEN.defer();
    assert!(poll().ends_with("arch: something happened\n"));
    assert!(poll().ends_with("arch: again\n"));
    assert_eq!(poll(), "");
    ONCE.defer();
    assert!(poll().ends_with("arch: something happened\n"));
    assert_eq!(poll(), "");
}

#[test]
fn what_is_written_is_kept_whole() {
    let _machine = machine();
    init(&CommandLine::new("log=info"));
    log::info!(target: "init", "where the next line is");
    let mut next = 0;
    while let Some(read) = read(next) {
        next = read.head.position + 1;
    }
    // As long as the rest of a line on the serial port, and longer.
    let long = "m".repeat(LINE_BYTES);
    for (module, text, is_cut) in [
        ("user.shell", String::from("short"), false),
        ("user.shell", "x".repeat(300), false),
        ("user.shell", "é".repeat(LINE_BYTES), true),
        (long.as_str(), String::from("no room"), true),
    ] {
        serial::take();
        log::info!(target: module, "{text}");
        let sent = serial::take();
        let kept = read(next).expect("it was kept");
        next += 1;
        let line = str::from_utf8(kept.bytes()).unwrap();
        let (kept_module, kept_text) = line.split_at(kept.head.module_bytes.into());
        assert_eq!(kept_text.len(), usize::from(kept.head.text_bytes));
        assert!(module.starts_with(kept_module) && text.starts_with(kept_text));
        let is_whole = kept_module == module && kept_text == text;
        assert_eq!(is_whole, !is_cut, "{module} {text}");
        let colon = if kept_text.is_empty() { "" } else { ": " };
        assert!(sent.ends_with(&format!(" {kept_module}{colon}{kept_text}\n")), "{sent}");
    }
}
