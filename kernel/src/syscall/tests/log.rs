//! The log, read by programs, and who is told of new lines.
#![forbid(unsafe_code)]

use core::{
    pin::Pin,
    task::{Context, Waker},
};

use orbital_abi::{
    Deadline,
    arguments::SystemLogBind,
    log::{FIRST_WORD, LineHead, LogLevel},
};

use super::{
    CapSlot, Error, ExitReason, Kernel, Never, Now, Registers, Rights, Syscall, run_in, system,
    user,
};
use crate::{
    arch::host::{clock, serial},
    boot::CommandLine,
    capability::transfer,
    log,
    tests::{
        kernel::{grant, notification},
        page,
    },
};

const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

async fn read(system: CapSlot, position: u64) -> Result<LineHead, Error> {
    let registers = Registers::control([system.bits(), position, 0, 0]);
    let answer = user::syscall(Syscall::SystemLogRead as u64, registers).await?;
    assert_eq!(answer.words, [0; 8]);
    Ok(LineHead::decode(&answer).expect("a line"))
}

/// The number that the next line will have.
async fn end(system: CapSlot) -> u64 {
    let mut next = 0;
    while let Ok(head) = read(system, next).await {
        next = head.position + 1;
    }
    next
}

async fn bind(system: CapSlot, notification: CapSlot, bits: u64) -> Result<(), Error> {
    let call = SystemLogBind { system, notification, bits };
    assert_eq!(user::control(Syscall::SystemLogBind, call.encode().control).await?, [0; 4]);
    Ok(())
}

/// The task that writes deferred lines, as no machine of a test has one: polled when the test says so.
struct Drain(Pin<Box<dyn Future<Output = ()>>>);

impl Drain {
    fn new() -> Self {
        log::init_deferred();
        let mut drain = Self(Box::pin(log::drain()));
        drain.poll();
        drain
    }

    /// Until nothing is left to be done.
    fn poll(&mut self) {
        for _ in 0..8 {
            let polled = self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }
    }
}

#[test]
fn a_line_comes_by_the_message_page() {
    let mut kernel = Kernel::boot();
    log::init(&CommandLine::new("log=info"));
    let process = kernel.process("reads");
    let slots = [Rights::LOG_READ, Rights::all().difference(Rights::LOG_READ)];
    let [allowed, other] = slots.map(|rights| system(&process, rights));
    run_in(&mut kernel, &process, async move {
        assert_eq!(read(allowed, 0).await, Err(Error::NoRoom), "it has no page");
        let page = page::own().await;
        let from = end(allowed).await;
        assert_eq!(read(allowed, from).await, Err(Error::WouldBlock));
        assert_eq!(read(allowed, u64::MAX).await, Err(Error::WouldBlock));
        clock::advance(1000);
        let time = clock::nanoseconds();
        ::log::warn!(target: "kernel::boot", "{} is {}", 7, "seven");
        ::log::info!(target: "init", "");
        page.write((0..page::ENTRIES).map(|number| page::word(3, number)));
        let head = read(allowed, from).await.unwrap();
        assert!((time..=clock::nanoseconds()).contains(&head.time));
        let (module_bytes, text_bytes) = (4, 10);
        let expected = LineHead {
            position: from,
            time: head.time,
            cpu: 0,
            level: LogLevel::Warn,
            module_bytes,
            text_bytes,
        };
        assert_eq!(head, expected);
        let words = page.read();
        let line: Vec<u8> = words[FIRST_WORD..][..2].iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(line, *b"boot7 is seven\0\0");
        for (number, word) in words.iter().enumerate() {
            let is_line = (FIRST_WORD..FIRST_WORD + 2).contains(&number);
            assert!(is_line || *word == page::word(3, number), "word {number} is as it was");
        }
        let head = read(allowed, from + 1).await.unwrap();
        assert_eq!((head.position, head.module_bytes, head.text_bytes), (from + 1, 4, 0));
        for (slot, error) in [
            (other, Error::MissingRights),
            (CapSlot::NULL, Error::EmptySlot),
            (user::memory(4096).await.unwrap(), Error::WrongKind),
        ] {
            assert_eq!(read(slot, from).await, Err(error));
        }
    });
}

#[test]
fn new_lines_signal_once_until_that_is_done() {
    let mut kernel = Kernel::boot();
    log::init(&CommandLine::new("log=info"));
    let mut drain = Drain::new();
    let process = kernel.process("reads");
    let (_, word) = notification(&process);
    let (_, other) = notification(&process);
    let slot = system(&process, Rights::LOG_READ);
    let take = move |word: CapSlot, deadline: Deadline| user::wait_signal(word, deadline);
    run_in(&mut kernel, &process, async move {
        ::log::info!("nobody is told of this");
        drain.poll();
        bind(slot, word, 0b101).await.unwrap();
        drain.poll();
        assert_eq!(take(word, Now).await, Err(Error::WouldBlock));
        for _ in 0..100 {
            ::log::info!("a line");
        }
        assert_eq!(take(word, Now).await, Err(Error::WouldBlock), "not while it is written");
        drain.poll();
        assert_eq!(take(word, Never).await, Ok(0b101));
        drain.poll();
        assert_eq!(take(word, Now).await, Err(Error::WouldBlock), "one signal for all of them");
        bind(slot, other, 2).await.unwrap();
        ::log::info!("a line");
        drain.poll();
        assert_eq!(take(word, Now).await, Err(Error::WouldBlock), "another took its place");
        assert_eq!(take(other, Now).await, Ok(2));
        bind(slot, CapSlot::NULL, 0).await.unwrap();
        ::log::info!("a line");
        drain.poll();
        assert_eq!(take(other, Now).await, Err(Error::WouldBlock));
    });
}

/// What ends a binding.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    CloseNotification,
    Revoke,
    Exit,
}

/// The clean-up after each finds that nothing is left.
#[test]
fn a_binding_ends_with_its_notification_and_its_capability() {
    for end in [End::CloseNotification, End::Revoke, End::Exit] {
        let mut kernel = Kernel::boot();
        log::init(&CommandLine::new("log=info"));
        let mut drain = Drain::new();
        let (owner, process) = (kernel.process("owner"), kernel.process("p"));
        let (word, root) = notification(&owner);
        let rights = (Rights::SEND | Rights::GRANT, 0);
        let slot =
            transfer::copy(&owner.table, root, rights, &process.table, &process.quota).unwrap();
        let system = system(&process, Rights::LOG_READ);
        run_in(&mut kernel, &process, async move {
            bind(system, slot, 4).await.unwrap();
            if end == End::CloseNotification {
                user::close(slot).await.unwrap();
            }
        });
        let owners = kernel.spawn(&owner, 7, async move {
            match end {
                End::CloseNotification => user::close(root).await.unwrap(),
                End::Revoke => user::revoke(root).await.unwrap(),
                End::Exit => {}
            }
            ::log::info!("a line");
            drain.poll();
            match end {
                End::CloseNotification => {}
                End::Revoke => {
                    assert_eq!(user::wait_signal(root, Now).await, Err(Error::WouldBlock));
                }
                End::Exit => assert_eq!(user::wait_signal(root, Now).await, Ok(4)),
            }
        });
        kernel.run_until_idle();
        assert_eq!(owners.exit_reason(), WELL, "{end:?}");
        drop(word);
    }
}

#[test]
fn what_may_not_be_bound_changes_nothing() {
    let mut kernel = Kernel::boot();
    log::init(&CommandLine::new("log=info"));
    let mut drain = Drain::new();
    let process = kernel.process("p");
    let (object, word) = notification(&process);
    let deaf = grant(&process, &object, Rights::all().difference(Rights::SEND), 0);
    let masked = grant(&process, &object, Rights::SEND, 0b110);
    let [allowed, other] = [Rights::LOG_READ, Rights::all().difference(Rights::LOG_READ)]
        .map(|rights| system(&process, rights));
    drop(object);
    run_in(&mut kernel, &process, async move {
        bind(allowed, word, 8).await.unwrap();
        for (system, notification, bits, error) in [
            (other, word, 1, Error::MissingRights),
            (other, CapSlot::NULL, 0, Error::MissingRights),
            (CapSlot::NULL, word, 1, Error::EmptySlot),
            (word, word, 1, Error::WrongKind),
            (allowed, deaf, 1, Error::MissingRights),
            (allowed, masked, 1, Error::MissingRights),
            (allowed, allowed, 1, Error::WrongKind),
            (allowed, word, 0, Error::InvalidArgument),
            (allowed, CapSlot::NULL, 1, Error::InvalidArgument),
        ] {
            assert_eq!(bind(system, notification, bits).await, Err(error));
        }
        ::log::info!("a line");
        drain.poll();
        assert_eq!(user::wait_signal(word, Now).await, Ok(8));
    });
}

/// While a program has the serial port, lines are kept and not sent; afterwards they are sent again.
#[test]
fn lines_are_kept_while_a_program_has_the_serial_port() {
    let mut kernel = Kernel::boot();
    log::init(&CommandLine::new("log=info"));
    let process = kernel.process("console");
    let slot = system(&process, Rights::LOG_READ | Rights::DEVICES);
    let ports = move |first, last| crate::tests::devices::ports(slot, first, last);
    run_in(&mut kernel, &process, async move {
        page::own().await;
        let from = end(slot).await;
        let say = |text: &str| {
            serial::take();
            ::log::info!(target: "init", "{text}");
            serial::take().contains(text)
        };
        assert!(say("before"));
        let some = ports(0x3f8, 0x3fe).await.unwrap();
        assert!(say("some of its ports"));
        let first = ports(0x3f8, 0x3ff).await.unwrap();
        assert!(!say("one"));
        let second = ports(0x3f0, 0x400).await.unwrap();
        let narrow = crate::tests::devices::narrow(second, 0x3ff, 0x3ff).await.unwrap();
        for slot in [some, first, second] {
            assert!(!say("two"));
            user::close(slot).await.unwrap();
        }
        assert!(!say("what was derived from it is there"));
        user::close(narrow).await.unwrap();
        assert!(say("after"));
        let mut count = 0;
        while read(slot, from + count).await.is_ok() {
            count += 1;
        }
        assert_eq!(count, 8, "all of them are there");
        ports(0x3f8, 0x3ff).await.unwrap();
        assert!(!say("again"));
    });
    serial::take();
    ::log::info!(target: "init", "its end gives it back");
    assert!(serial::take().contains("gives it back"));
}
