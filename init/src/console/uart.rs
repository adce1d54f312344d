//! A 16550 UART at COM1, behind a capability to its ports. Registers and bits are those of the data sheet (National
//! Semiconductor PC16550D, section 8), as the crate `uart_16550` names them; the ports themselves are reached by system calls.
//!
//! It receives by interrupt and sends by looking: its transmitter takes a FIFO's worth at a time.
#![forbid(unsafe_code)]

use orbital_user::{Error, clock};
use uart_16550::spec::{
    FIFO_SIZE,
    registers::{FCR, IER, LCR, LSR, MCR, offsets},
};

use super::ports::Ports;

/// COM1's first port.
pub const BASE: u16 = 0x3f8;
/// How often the transmitter is looked at before the thread rests for a moment.
const LOOKS: u32 = 64;
/// How long it rests: about what a FIFO takes at 115,200 baud.
const REST_NS: u64 = 1_000_000;
/// 115,200 baud: the clock divided by 16, by one.
const DIVISOR: u8 = 1;
/// Eight bits, no parity, one stop bit.
const EIGHT_BITS: u8 = 0b11;
/// Lets the interrupt through to its line, on a PC.
const OUT_2: u8 = 1 << 3;

/// The device.
#[derive(Debug)]
pub struct Uart<P> {
    ports: P,
}

impl<P: Ports> Uart<P> {
    /// Sets the device up, once it has sent what it was given before. What it has received stays where its FIFO was on.
    ///
    /// # Errors
    /// Those of the ports.
    pub fn start(ports: P) -> Result<Self, Error> {
        let mut uart = Self { ports };
        uart.write(offsets::IER, 0)?;
        uart.wait_for(LSR::TRANSMITTER_EMPTY, &mut |_| {})?;
        uart.write(offsets::LCR, LCR::DLAB.bits() | EIGHT_BITS)?;
        uart.write(offsets::DLL, DIVISOR)?;
        uart.write(offsets::DLM, 0)?;
        uart.write(offsets::LCR, EIGHT_BITS)?;
        // It interrupts for every byte: people type them one by one.
        uart.write(offsets::FCR, FCR::FIFO_ENABLE.bits())?;
        uart.write(offsets::MCR, MCR::DTR.bits() | MCR::RTS.bits() | OUT_2)?;
        uart.write(offsets::IER, IER::DATA_READY.bits())?;
        Ok(uart)
    }

    fn read(&mut self, register: usize) -> Result<u8, Error> {
        self.ports.read(BASE + register as u16)
    }

    fn write(&mut self, register: usize, value: u8) -> Result<(), Error> {
        self.ports.write(BASE + register as u16, value)
    }

    fn status(&mut self) -> Result<LSR, Error> {
        self.read(offsets::LSR).map(LSR::from_bits_retain)
    }

    /// Waits until the transmitter is so far. What comes in meanwhile is `received`: the receiver has room for 16 bytes, and
    /// a line that is stopped stops for long.
    fn wait_for(&mut self, wanted: LSR, received: &mut impl FnMut(u8)) -> Result<(), Error> {
        let mut looks = 0;
        loop {
            let status = self.status()?;
            if status.contains(LSR::DATA_READY) {
                received(self.read(offsets::DATA)?);
            }
            if status.contains(wanted) {
                return Ok(());
            }
            looks += 1;
            if looks % LOOKS == 0 {
                clock::sleep(REST_NS);
            }
        }
    }

    /// Sends `bytes`; what comes in meanwhile is `received`.
    ///
    /// # Errors
    /// Those of the ports.
    pub fn send(&mut self, bytes: &[u8], mut received: impl FnMut(u8)) -> Result<(), Error> {
        for chunk in bytes.chunks(FIFO_SIZE) {
            self.wait_for(LSR::THR_EMPTY, &mut received)?;
            for byte in chunk {
                self.write(offsets::DATA, *byte)?;
            }
        }
        Ok(())
    }

    /// Takes all that has come in: afterwards its interrupt may be acknowledged.
    ///
    /// # Errors
    /// Those of the ports.
    pub fn drain(&mut self, mut received: impl FnMut(u8)) -> Result<(), Error> {
        while self.status()?.contains(LSR::DATA_READY) {
            received(self.read(offsets::DATA)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque, rc::Rc};

    use super::*;

    /// A device that sends at once what its FIFO has, but looks busy for some looks after each FIFO's worth.
    #[derive(Default)]
    struct Device {
        registers: [u8; 8],
        divisor: u8,
        sent: Vec<u8>,
        in_fifo: usize,
        overruns: usize,
        busy_for: u32,
        incoming: VecDeque<u8>,
    }

    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<Device>>);

    impl Ports for Fake {
        fn read(&mut self, port: u16) -> Result<u8, Error> {
            let device = &mut *self.0.borrow_mut();
            Ok(match usize::from(port - BASE) {
                offsets::DATA => device.incoming.pop_front().unwrap_or(0),
                offsets::LSR => {
                    let mut status = LSR::empty();
                    status.set(LSR::DATA_READY, !device.incoming.is_empty());
                    if device.busy_for > 0 {
                        device.busy_for -= 1;
                    } else {
                        device.in_fifo = 0;
                        status |= LSR::THR_EMPTY | LSR::TRANSMITTER_EMPTY;
                    }
                    status.bits()
                }
                register => device.registers[register],
            })
        }

        fn write(&mut self, port: u16, value: u8) -> Result<(), Error> {
            let device = &mut *self.0.borrow_mut();
            let is_divisor = device.registers[offsets::LCR] & LCR::DLAB.bits() != 0;
            match usize::from(port - BASE) {
                offsets::DATA if is_divisor => device.divisor = value,
                offsets::DATA => {
                    device.sent.push(value);
                    device.in_fifo += 1;
                    device.overruns += usize::from(device.in_fifo > FIFO_SIZE);
                    device.busy_for = 3;
                }
                offsets::IER if is_divisor => {}
                register => device.registers[register] = value,
            }
            Ok(())
        }
    }

    fn started() -> (Uart<Fake>, Fake) {
        let fake = Fake::default();
        (Uart::start(fake.clone()).unwrap(), fake)
    }

    #[test]
    fn it_is_set_up_for_115200_8n1_with_the_receive_interrupt_alone() {
        let (_, fake) = started();
        let device = fake.0.borrow();
        assert_eq!(device.divisor, 1);
        assert_eq!(device.registers[offsets::LCR], 0b11);
        assert_eq!(device.registers[offsets::IER], IER::DATA_READY.bits());
        assert_eq!(device.registers[offsets::MCR], 0b1011);
        assert_eq!(device.registers[offsets::FCR], FCR::FIFO_ENABLE.bits());
        assert!(device.sent.is_empty());
    }

    #[test]
    fn it_sends_no_more_than_the_fifo_holds_and_loses_nothing() {
        let (mut uart, fake) = started();
        let text: Vec<u8> = (0..200).collect();
        uart.send(&text, |_| {}).unwrap();
        let device = fake.0.borrow();
        assert_eq!((&device.sent, device.overruns), (&text, 0));
    }

    #[test]
    fn what_comes_while_it_sends_is_received() {
        let (mut uart, fake) = started();
        fake.0.borrow_mut().incoming.extend(b"typed");
        let mut received = Vec::new();
        uart.send(&[b'x'; 100], |byte| received.push(byte)).unwrap();
        assert_eq!(received, b"typed");
    }

    #[test]
    fn it_is_drained_to_the_last_byte() {
        let (mut uart, fake) = started();
        fake.0.borrow_mut().incoming.extend(0..100);
        let mut received = Vec::new();
        uart.drain(|byte| received.push(byte)).unwrap();
        assert_eq!(received, (0..100).collect::<Vec<u8>>());
        uart.drain(|_| panic!("there is nothing")).unwrap();
    }
}
