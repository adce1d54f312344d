//! The first serial port, for the log: sent by polling, never by interrupt, so that it works in
//! every state of the kernel.

use orbital_abi::arguments::PortRange;
use uart_16550::{Config, Uart16550, backend::PioBackend};

use super::port;

/// I/O port of COM1.
const COM1: u16 = 0x3f8;
/// Offset of the line status register, and the bit that both buffer and shift register are empty
/// (PC16550D data sheet, 8.6.3).
const LINE_STATUS: u16 = 5;
const TRANSMITTER_EMPTY: u8 = 1 << 6;
/// A byte takes 87 us at 115,200 baud, the buffer has 16, and a read of a port takes about 1 us.
const FLUSH_TRIES: u32 = 1_000_000;

/// The ports of COM1. Who has all of them has the serial port.
pub const PORTS: PortRange = PortRange { first: COM1, last: COM1 + 7 };

static PORT: spin::Mutex<Port> = spin::Mutex::new(Port { uart: None, borrowers: 0 });

/// The port, and how many programs have it: the kernel writes while none does.
struct Port {
    uart: Option<Uart16550<PioBackend>>,
    borrowers: u64,
}

impl Port {
    /// 115,200 baud, 8 data bits, no parity, one stop bit, no interrupts; whatever it was before.
    fn set_up(&mut self) {
        // SAFETY: COM1 is where every machine that we run on has its first serial port, nothing else
        // in the kernel drives it now, and writing to the port of an absent one does nothing.
        let uart = unsafe { Uart16550::new_port(COM1) };
        self.uart = uart.ok().and_then(|mut uart| uart.init(Config::default()).ok().map(|()| uart));
    }
}

/// Sets the port up.
pub fn init() {
    PORT.lock().set_up();
}

/// Sends `text`, one whole call after the other. A line feed goes out as it is. While a program has the port, nothing
/// is sent.
pub fn write(text: &str) {
    let mut port = PORT.lock();
    if port.borrowers == 0
        && let Some(uart) = port.uart.as_mut()
    {
        uart.send_bytes_exact(text.as_bytes());
    }
}

/// Leaves the port to a program, after what has been sent.
pub fn lend() {
    let mut port = PORT.lock();
    if port.borrowers == 0 {
        flush();
    }
    port.borrowers += 1;
}

/// A program that had it has it no more. The last one gives it back, and it is set up anew after what that has sent.
pub fn give_back() {
    let mut port = PORT.lock();
    port.borrowers = port.borrowers.saturating_sub(1);
    if port.borrowers == 0 {
        flush();
        port.set_up();
    }
}

/// Waits until the last byte has left the port: a machine that ends takes the rest with it.
pub fn flush() {
    // An absent port reads as ones, a stuck one must not keep the machine from its end.
    for _ in 0..FLUSH_TRIES {
        if port::read_u8(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
            return;
        }
    }
}

/// Makes the next [`write()`] go through even though someone holds the lock, or a program has the port: for a panic,
/// after every other CPU has been stopped.
pub fn take_back() {
    // SAFETY: whoever holds the lock has been stopped for good, or is below us on this stack and
    // will not go on; the worst that a half-done write leaves is half a line.
    unsafe { PORT.force_unlock() };
    let mut port = PORT.lock();
    if port.borrowers > 0 {
        port.borrowers = 0;
        flush();
        port.set_up();
    }
}
