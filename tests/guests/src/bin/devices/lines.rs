//! Interrupts: when a line signals, whose it is, and what becomes of it at the end.
#![forbid(unsafe_code)]

use guests::{children, counters::leaves_nothing, raw};
use orbital_user::{
    CapSlot, Error, Interrupt, Notification, Rights, Timer,
    abi::{ObjectKind, Syscall, statistics::Statistic},
    capability::{inspect, move_to, revoke},
    clock,
    start::take_granted,
    system,
};

use super::sources::{Clock, Keyboard, Serial, bound, wrong_slots};

/// A line that no device of a case has.
const NOBODYS: u64 = 11;
/// How long a signal that does not come is waited for, in nanoseconds.
const A_WHILE: u64 = 2_000_000;

fn nothing_comes(word: &Notification) {
    assert_eq!(word.wait_until(clock::now() + A_WHILE), Err(Error::TimedOut));
}

pub(super) fn each_device_signals_and_waits_for_its_acknowledgement() {
    let (line, word) = bound(Serial::LINE, 0b10);
    let serial = Serial::new();
    for _ in 0..5 {
        serial.ask();
        assert_eq!(word.wait(), Ok(0b10));
        serial.quieten();
        line.acknowledge().unwrap();
        assert_eq!(word.poll(), Err(Error::WouldBlock));
    }
    // What stood there before is nobody's.
    let keyboard = Keyboard::new();
    let (line, word) = bound(Keyboard::LINE, 1 << 63);
    for byte in [0x1e, 0x9e, 0x30] {
        keyboard.type_byte(byte);
        assert_eq!(word.wait(), Ok(1 << 63));
        line.acknowledge().unwrap();
        assert_eq!(keyboard.take(), Some(byte));
        assert_eq!(keyboard.take(), None);
    }
    let (line, word) = bound(Clock::LINE, u64::MAX);
    let clock = Clock::new();
    clock.start().unwrap();
    for _ in 0..20 {
        assert_eq!(word.wait(), Ok(u64::MAX));
        line.acknowledge().unwrap();
        clock.see().unwrap();
    }
    clock.stop().unwrap();
}

/// However many they are: the device is looked at once more.
pub(super) fn edges_before_the_acknowledgement_are_one_signal_more() {
    let (line, word) = bound(Serial::LINE, 1);
    let serial = Serial::new();
    for edges in 1..5 {
        serial.ask();
        assert_eq!(word.wait(), Ok(1));
        for _ in 1..edges {
            serial.quieten();
            serial.ask();
        }
        nothing_comes(&word);
        serial.quieten();
        line.acknowledge().unwrap();
        let more = if edges > 1 { Ok(1) } else { Err(Error::WouldBlock) };
        assert_eq!(word.poll(), more, "{edges} edges");
        line.acknowledge().unwrap();
        assert_eq!(word.poll(), Err(Error::WouldBlock));
    }
    // An acknowledgement of nothing changes nothing.
    line.acknowledge().unwrap();
    serial.ask();
    assert_eq!(word.wait(), Ok(1));
}

pub(super) fn a_line_has_one_object() {
    for line in [0, 2, 192, 255, 256, 257, 1 << 32 | 1, u64::MAX] {
        let made = Interrupt::create(line).map(|_| ());
        assert_eq!(made, Err(Error::InvalidArgument), "{line}");
    }
    for line in [1, 3, 8, 15, 16, 23] {
        let first = Interrupt::create(line).unwrap();
        assert_eq!(Interrupt::create(line).map(|_| ()), Err(Error::AlreadyBound), "{line}");
        let copy = first.copy(Rights::GRANT).unwrap();
        drop(first);
        assert_eq!(Interrupt::create(line).map(|_| ()), Err(Error::AlreadyBound), "{line}");
        drop(copy);
        Interrupt::create(line).unwrap();
    }
    let line = Interrupt::create(NOBODYS).unwrap();
    let found = inspect(line.slot()).unwrap();
    assert_eq!(found.kind, Some(ObjectKind::Interrupt));
    assert_eq!((found.rights, found.badge), (Rights::MANAGE | Rights::GRANT, 0));
}

pub(super) fn a_binding_replaces_the_one_before() {
    let line = Interrupt::create(Serial::LINE).unwrap();
    let [one, other] = [(); 2].map(|()| Notification::create().unwrap());
    let serial = Serial::new();
    assert_eq!(line.acknowledge(), Err(Error::NotificationGone), "nothing is bound");
    let strays = || system::statistic(Statistic::StrayInterrupts).unwrap();
    let before = strays();
    serial.ask();
    serial.quieten();
    line.bind(&one, 1).unwrap();
    nothing_comes(&one);
    serial.ask();
    assert_eq!(one.wait(), Ok(1));
    // It was not acknowledged: that is the other's from its beginning.
    line.bind(&other, 2).unwrap();
    serial.quieten();
    serial.ask();
    assert_eq!(other.wait(), Ok(2));
    assert_eq!(one.poll(), Err(Error::WouldBlock));
    line.unbind().unwrap();
    serial.quieten();
    serial.ask();
    nothing_comes(&other);
    assert_eq!(line.acknowledge(), Err(Error::NotificationGone));
    line.unbind().unwrap();
    // What is masked does not even come to the kernel.
    assert_eq!(strays(), before);
    // The same notification may hear of several.
    let more = Interrupt::create(NOBODYS).unwrap();
    for line in [&line, &more, &line] {
        line.bind(&one, 4).unwrap();
    }
}

pub(super) fn lines_take_their_rights() {
    let (line, word) = bound(NOBODYS, 1);
    let weak = line.copy(Rights::GRANT).unwrap();
    assert_eq!(weak.bind(&word, 1), Err(Error::MissingRights));
    assert_eq!(weak.unbind(), Err(Error::MissingRights));
    assert_eq!(weak.acknowledge(), Err(Error::MissingRights));
    let deaf = word.copy(Rights::RECEIVE | Rights::GRANT, 0).unwrap();
    assert_eq!(line.bind(&deaf, 1), Err(Error::MissingRights));
    let masked = word.copy(Rights::SEND, 0b110).unwrap();
    assert_eq!(line.bind(&masked, 0b111), Err(Error::MissingRights), "a badge is a mask");
    line.bind(&masked, 0b110).unwrap();
    let manages = line.copy(Rights::MANAGE).unwrap();
    manages.bind(&word, 1).unwrap();
    manages.acknowledge().unwrap();
    let timer = Timer::create(&word, 1).unwrap();
    let [own, other] = [line.slot().bits(), word.slot().bits()];
    for (slot, error) in wrong_slots(timer.slot()) {
        let slot = slot.bits();
        raw::refuse(Syscall::InterruptBind, raw::control([slot, other, 1]), error);
        raw::refuse(Syscall::InterruptBind, raw::control([slot, 0, 0]), error);
        raw::refuse(Syscall::InterruptAcknowledge, raw::control([slot]), error);
        raw::refuse(Syscall::InterruptCreate, raw::control([slot, 1]), error);
        if slot != 0 {
            raw::refuse(Syscall::InterruptBind, raw::control([own, slot, 1]), error);
        }
    }
    for (notification, bits) in [(other, 0), (0, 1)] {
        let registers = raw::control([own, notification, bits]);
        raw::refuse(Syscall::InterruptBind, registers, Error::InvalidArgument);
    }
    line.acknowledge().expect("all of that has changed nothing");
}

pub(super) fn a_line_ends_with_its_notification() {
    let (line, word) = bound(Serial::LINE, 1);
    let serial = Serial::new();
    let copy = word.copy(Rights::RECEIVE, 0).unwrap();
    drop(word);
    serial.ask();
    assert_eq!(copy.wait(), Ok(1), "another name keeps it");
    line.acknowledge().unwrap();
    drop(copy);
    assert_eq!(line.acknowledge(), Err(Error::NotificationGone));
    serial.quieten();
    serial.ask();
    let word = Notification::create().unwrap();
    line.bind(&word, 1).unwrap();
    serial.quieten();
    serial.ask();
    assert_eq!(word.wait(), Ok(1), "it can be bound again");
}

pub(super) fn a_revoke_unbinds_a_line() {
    let line = Interrupt::create(Serial::LINE).unwrap();
    let word = Notification::create().unwrap();
    let serial = Serial::new();
    let [copy, beside] = [(); 2].map(|()| word.copy(Rights::SEND | Rights::GRANT, 0).unwrap());
    // Of another's copies none is its.
    line.bind(&copy, 1).unwrap();
    revoke(copy.slot()).unwrap();
    revoke(beside.slot()).unwrap();
    serial.ask();
    assert_eq!(word.wait(), Ok(1));
    line.acknowledge().unwrap();
    drop(copy);
    serial.quieten();
    serial.ask();
    assert_eq!(word.wait(), Ok(1), "closed is not revoked");
    line.acknowledge().unwrap();
    revoke(word.slot()).unwrap();
    assert_eq!(line.acknowledge(), Err(Error::NotificationGone));
    serial.quieten();
    serial.ask();
    nothing_comes(&word);
    // A capability to the line itself that is revoked does nothing any more, and what it has bound stays.
    line.bind(&word, 1).unwrap();
    let copy = line.copy(Rights::MANAGE).unwrap();
    copy.bind(&word, 2).unwrap();
    revoke(line.slot()).unwrap();
    assert_eq!(copy.acknowledge(), Err(Error::StaleCapability));
    line.acknowledge().unwrap();
}

/// Binds the clock's line and answers its interrupts for ever; tells so.
pub(super) fn drives() {
    let slot = |place| take_granted(place).unwrap().into_slot();
    let line = Interrupt::from_slot(slot(0));
    let clock = Clock(orbital_user::IoPort::from_slot(slot(1)));
    let told = Notification::from_slot(slot(2));
    let word = Notification::create().unwrap();
    line.bind(&word, 1).unwrap();
    clock.see().unwrap();
    loop {
        word.wait().unwrap();
        line.acknowledge().unwrap();
        clock.see().unwrap();
        told.signal(1).unwrap();
    }
}

/// It had the only capability; or its supervisor has one too, and gives it to the next.
pub(super) fn a_line_is_free_when_its_driver_has_ended() {
    let clock = Clock::new();
    clock.start().unwrap();
    let told = Notification::create().unwrap();
    for keeps in [false, true, true, false] {
        let line = Interrupt::create(Clock::LINE).unwrap();
        let kept = keeps.then(|| line.copy(Rights::all()).unwrap());
        let child = children::start("drives", |spawn| {
            spawn
                .grant(line.slot(), Rights::all(), 0)
                .grant(clock.0.slot(), Rights::READ | Rights::WRITE, 0)
                .grant(told.slot(), Rights::SEND, 0)
        });
        drop(line);
        for _ in 0..5 {
            assert_eq!(told.wait(), Ok(1));
        }
        child.process.kill().unwrap();
        child.wait().unwrap();
        if let Some(line) = kept {
            assert_eq!(line.acknowledge(), Err(Error::NotificationGone), "its driver has ended");
        }
        drop(Interrupt::create(Clock::LINE).unwrap());
        let _ = told.poll();
    }
    clock.stop().unwrap();
}

pub(super) fn nothing_is_left_of_lines() {
    let serial = Serial::new();
    leaves_nothing(5, || {
        let (line, word) = bound(Serial::LINE, 1);
        serial.ask();
        word.wait().unwrap();
        let copy = word.copy(Rights::SEND, 0).unwrap();
        line.bind(&copy, 2).unwrap();
        serial.quieten();
        serial.ask();
        let other = Interrupt::create(NOBODYS).unwrap();
        other.bind(&copy, 1).unwrap();
        let moved = move_to(other.slot(), CapSlot::NULL).unwrap();
        drop(Interrupt::from_slot(moved));
        let _ = Interrupt::create(Serial::LINE);
        serial.quieten();
    });
}
