//! Devices that interrupt when they are asked to.
#![forbid(unsafe_code)]

use guests::cpus::until;
use orbital_user::{CapSlot, Error, Interrupt, IoPort, Notification, Rights};

/// The clock's periodic interrupt (Motorola MC146818 data sheet): 8,192 times a second at most.
pub(super) struct Clock(pub(super) IoPort);

/// Where a register of the clock is chosen, and where it is.
const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const REGISTER_A: u8 = 10;
const REGISTER_B: u8 = 11;
const REGISTER_C: u8 = 12;
/// In register B: periodic interrupts.
const PERIODIC: u8 = 1 << 6;
/// In register A: 32,768 Hz, divided to 8,192.
const FASTEST: u8 = 0x23;

impl Clock {
    pub(super) const LINE: u64 = 8;

    pub(super) fn new() -> Self {
        Self(IoPort::create(INDEX..=DATA).unwrap())
    }

    fn read(&self, register: u8) -> Result<u8, Error> {
        self.0.write_u8(INDEX, register)?;
        self.0.read_u8(DATA)
    }

    fn write(&self, register: u8, value: u8) -> Result<(), Error> {
        self.0.write_u8(INDEX, register)?;
        self.0.write_u8(DATA, value)
    }

    pub(super) fn start(&self) -> Result<(), Error> {
        self.write(REGISTER_A, FASTEST)?;
        let b = self.read(REGISTER_B)?;
        self.write(REGISTER_B, b | PERIODIC)?;
        self.see().map(|_| ())
    }

    pub(super) fn stop(&self) -> Result<(), Error> {
        let b = self.read(REGISTER_B)?;
        self.write(REGISTER_B, b & !PERIODIC)?;
        self.see().map(|_| ())
    }

    /// Whether it has interrupted since this was asked; it does again afterwards.
    pub(super) fn see(&self) -> Result<bool, Error> {
        Ok(self.read(REGISTER_C)? & PERIODIC != 0)
    }
}

/// The first serial port (PC16550D data sheet, 8.4 and 8.6): it can send, and says so. The log goes by it too, which
/// is no hindrance; and so it stays, as these are not all of its ports.
pub(super) struct Serial(pub(super) IoPort);

pub(super) const COM1: u16 = 0x3f8;
const INTERRUPT_ENABLE: u16 = COM1 + 1;
const IDENTIFICATION: u16 = COM1 + 2;
const MODEM_CONTROL: u16 = COM1 + 4;
const LINE_STATUS: u16 = COM1 + 5;
pub(super) const SCRATCH: u16 = COM1 + 7;
/// It can send.
const WHEN_EMPTY: u8 = 2;
/// Data terminal ready, request to send, and what lets its interrupts out of the board.
const OUTPUTS: u8 = 0b1011;

impl Serial {
    pub(super) const LINE: u64 = 4;

    pub(super) fn new() -> Self {
        let ports = IoPort::create(COM1..=LINE_STATUS).unwrap();
        ports.write_u8(MODEM_CONTROL, OUTPUTS).unwrap();
        Self(ports)
    }

    /// Makes it interrupt once, as soon as all was sent.
    pub(super) fn ask(&self) {
        until(|| self.0.read_u8(LINE_STATUS).unwrap() & 1 << 6 != 0);
        self.0.write_u8(INTERRUPT_ENABLE, WHEN_EMPTY).unwrap();
    }

    /// Makes it content.
    pub(super) fn quieten(&self) {
        self.0.write_u8(INTERRUPT_ENABLE, 0).unwrap();
        self.0.read_u8(IDENTIFICATION).unwrap();
    }
}

/// The keyboard's controller (IBM PS/2 technical reference): it takes a byte as if it was typed.
pub(super) struct Keyboard(pub(super) IoPort);

const KEYBOARD: u16 = 0x60;
const KEYBOARD_COMMAND: u16 = 0x64;
/// In the status: a byte is there to be read, and one that was written was not taken yet.
const FULL: u8 = 1;
const BUSY: u8 = 2;
/// Writes the controller's configuration: keyboard on, interrupts, codes as of old.
const CONFIGURE: u8 = 0x60;
const CONFIGURATION: u8 = 0x41;
/// The byte that is written next comes back.
const LOOP_BACK: u8 = 0xd2;

impl Keyboard {
    pub(super) const LINE: u64 = 1;

    pub(super) fn new() -> Self {
        let keyboard = Self(IoPort::create(KEYBOARD..=KEYBOARD_COMMAND).unwrap());
        keyboard.send(KEYBOARD_COMMAND, CONFIGURE);
        keyboard.send(KEYBOARD, CONFIGURATION);
        while keyboard.take().is_some() {}
        keyboard
    }

    fn send(&self, port: u16, byte: u8) {
        until(|| self.0.read_u8(KEYBOARD_COMMAND).unwrap() & BUSY == 0);
        self.0.write_u8(port, byte).unwrap();
    }

    pub(super) fn type_byte(&self, byte: u8) {
        self.send(KEYBOARD_COMMAND, LOOP_BACK);
        self.send(KEYBOARD, byte);
    }

    /// The byte that was typed first.
    pub(super) fn take(&self) -> Option<u8> {
        let is_there = self.0.read_u8(KEYBOARD_COMMAND).unwrap() & FULL != 0;
        is_there.then(|| self.0.read_u8(KEYBOARD).unwrap())
    }
}

/// A line, bound to a notification of its own.
pub(super) fn bound(line: u64, bits: u64) -> (Interrupt, Notification) {
    let (interrupt, word) = (Interrupt::create(line).unwrap(), Notification::create().unwrap());
    interrupt.bind(&word, bits).unwrap();
    (interrupt, word)
}

/// All that can be wrong with a slot.
pub(super) fn wrong_slots(other_kind: CapSlot) -> [(CapSlot, Error); 4] {
    let closed = Notification::create().unwrap().copy(Rights::all(), 0).unwrap();
    let stale = closed.slot();
    drop(closed);
    [
        (CapSlot::NULL, Error::EmptySlot),
        (CapSlot::from_bits(u64::MAX), Error::EmptySlot),
        (stale, Error::StaleCapability),
        (other_kind, Error::WrongKind),
    ]
}
