//! The keyboard's controller, an Intel 8042 as IBM's PC/AT has it (Technical Reference, 1984, section 1; today's chip sets
//! do the same). It translates what the keyboard sends into scan codes of set 1.
#![forbid(unsafe_code)]

use orbital_user::Error;

use super::ports::Ports;

/// Where bytes are taken and given.
pub const DATA: u16 = 0x60;
/// Where its status is read and commands are written.
pub const STATUS: u16 = 0x64;

/// Status: there is a byte to take.
const OUTPUT_FULL: u8 = 1 << 0;
/// Status: it has not yet taken what it was given.
const INPUT_FULL: u8 = 1 << 1;
/// Status: the byte is the mouse's.
const FROM_MOUSE: u8 = 1 << 5;
/// Where there is no controller, all bits read as ones.
const ABSENT: u8 = 0xff;

const READ_CONFIGURATION: u8 = 0x20;
const WRITE_CONFIGURATION: u8 = 0x60;
const DISABLE_MOUSE: u8 = 0xa7;
const DISABLE_KEYBOARD: u8 = 0xad;
const ENABLE_KEYBOARD: u8 = 0xae;
/// To the keyboard itself: send what is pressed.
const SCAN: u8 = 0xf4;

/// Configuration: the keyboard interrupts.
const KEYBOARD_INTERRUPT: u8 = 1 << 0;
/// Configuration: the mouse interrupts.
const MOUSE_INTERRUPT: u8 = 1 << 1;
/// Configuration: the keyboard is off.
const KEYBOARD_OFF: u8 = 1 << 4;
/// Configuration: scan codes are translated into set 1.
const TRANSLATE: u8 = 1 << 6;

/// How often the controller is looked at before it counts as dead.
const LOOKS: u32 = 10_000;
/// More bytes than it ever holds.
const MOST_HELD: u32 = 64;

/// The device.
#[derive(Debug)]
pub struct Keyboard<D, S> {
    data: D,
    status: S,
}

impl<D: Ports, S: Ports> Keyboard<D, S> {
    /// Sets the device up; `None` where there is none, or it does not answer. What was typed before is lost.
    ///
    /// # Errors
    /// Those of the ports.
    pub fn start(data: D, status: S) -> Result<Option<Self>, Error> {
        let mut keyboard = Self { data, status };
        if keyboard.status.read(STATUS)? == ABSENT {
            return Ok(None);
        }
        Ok(keyboard.set_up()?.then_some(keyboard))
    }

    fn set_up(&mut self) -> Result<bool, Error> {
        if !(self.command(DISABLE_KEYBOARD)? && self.command(DISABLE_MOUSE)?) {
            return Ok(false);
        }
        for _ in 0..MOST_HELD {
            if self.status.read(STATUS)? & OUTPUT_FULL == 0 {
                break;
            }
            self.data.read(DATA)?;
        }
        if !self.command(READ_CONFIGURATION)? || !self.wait_for(OUTPUT_FULL, OUTPUT_FULL)? {
            return Ok(false);
        }
        let before = self.data.read(DATA)?;
        let without = before & !(MOUSE_INTERRUPT | KEYBOARD_OFF);
        let wanted = without | KEYBOARD_INTERRUPT | TRANSLATE;
        Ok(self.command(WRITE_CONFIGURATION)?
            && self.give(wanted)?
            && self.command(ENABLE_KEYBOARD)?
            && self.give(SCAN)?)
    }

    /// Whether the status became so in time.
    fn wait_for(&mut self, mask: u8, wanted: u8) -> Result<bool, Error> {
        for _ in 0..LOOKS {
            if self.status.read(STATUS)? & mask == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn command(&mut self, command: u8) -> Result<bool, Error> {
        let is_ready = self.wait_for(INPUT_FULL, 0)?;
        if is_ready {
            self.status.write(STATUS, command)?;
        }
        Ok(is_ready)
    }

    fn give(&mut self, value: u8) -> Result<bool, Error> {
        let is_ready = self.wait_for(INPUT_FULL, 0)?;
        if is_ready {
            self.data.write(DATA, value)?;
        }
        Ok(is_ready)
    }

    /// Takes all that the keyboard has sent: afterwards its interrupt may be acknowledged. The mouse's bytes, and the
    /// keyboard's answers to commands, are among no key's codes.
    ///
    /// # Errors
    /// Those of the ports.
    pub fn drain(&mut self, mut scanned: impl FnMut(u8)) -> Result<(), Error> {
        // A device that never ends is none, and interrupts again.
        for _ in 0..MOST_HELD {
            let status = self.status.read(STATUS)?;
            if status & OUTPUT_FULL == 0 || status == ABSENT {
                break;
            }
            let code = self.data.read(DATA)?;
            if status & FROM_MOUSE == 0 {
                scanned(code);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque, rc::Rc};

    use super::*;

    #[derive(Default)]
    struct Device {
        output: VecDeque<(u8, bool)>,
        configuration: u8,
        expects_configuration: bool,
        is_enabled: bool,
        scans: bool,
        is_deaf: bool,
    }

    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<Device>>);

    impl Ports for Fake {
        fn read(&mut self, port: u16) -> Result<u8, Error> {
            let device = &mut *self.0.borrow_mut();
            if port == DATA {
                return Ok(device.output.pop_front().map_or(0, |(byte, _)| byte));
            }
            let waiting = device.output.front();
            let mouse = waiting.is_some_and(|(_, is_mouse)| *is_mouse);
            let deaf = if device.is_deaf { INPUT_FULL } else { 0 };
            let full = if waiting.is_some() { OUTPUT_FULL } else { 0 };
            Ok(deaf | full | if mouse { FROM_MOUSE } else { 0 })
        }

        fn write(&mut self, port: u16, value: u8) -> Result<(), Error> {
            let device = &mut *self.0.borrow_mut();
            match (port, value) {
                (STATUS, READ_CONFIGURATION) => {
                    device.output.push_back((device.configuration, false));
                }
                (STATUS, WRITE_CONFIGURATION) => device.expects_configuration = true,
                (STATUS, DISABLE_KEYBOARD) => device.is_enabled = false,
                (STATUS, ENABLE_KEYBOARD) => device.is_enabled = true,
                (DATA, value) if device.expects_configuration => {
                    device.configuration = value;
                    device.expects_configuration = false;
                }
                (DATA, SCAN) => {
                    device.scans = true;
                    device.output.push_back((0xfa, false));
                }
                _ => {}
            }
            Ok(())
        }
    }

    struct Nothing;

    impl Ports for Nothing {
        fn read(&mut self, _: u16) -> Result<u8, Error> {
            Ok(0xff)
        }

        fn write(&mut self, _: u16, _: u8) -> Result<(), Error> {
            panic!("there is nobody to write to")
        }
    }

    #[test]
    fn it_is_set_up_whatever_was_there_before() {
        let fake = Fake::default();
        fake.0.borrow_mut().configuration = KEYBOARD_OFF | MOUSE_INTERRUPT | 1 << 2;
        fake.0.borrow_mut().output.extend([(0x1e, false), (0x55, true)]);
        assert!(Keyboard::start(fake.clone(), fake.clone()).unwrap().is_some());
        let device = fake.0.borrow();
        assert_eq!(device.configuration, KEYBOARD_INTERRUPT | TRANSLATE | 1 << 2);
        assert!(device.is_enabled && device.scans);
    }

    #[test]
    fn where_there_is_none_there_is_none() {
        assert!(Keyboard::start(Nothing, Nothing).unwrap().is_none());
        let fake = Fake::default();
        fake.0.borrow_mut().is_deaf = true;
        assert!(Keyboard::start(fake.clone(), fake).unwrap().is_none());
    }

    #[test]
    fn it_gives_what_is_pressed_and_nothing_of_the_mouse() {
        let fake = Fake::default();
        let mut keyboard = Keyboard::start(fake.clone(), fake.clone()).unwrap().unwrap();
        fake.0.borrow_mut().output = [(1, false), (2, true), (3, false)].into();
        let mut codes = Vec::new();
        keyboard.drain(|code| codes.push(code)).unwrap();
        assert_eq!(codes, [1, 3]);
    }
}
