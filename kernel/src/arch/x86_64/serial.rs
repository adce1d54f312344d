//! The first serial port, for the log: sent by polling, never by interrupt, so that it works in
//! every state of the kernel.

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

static PORT: spin::Mutex<Option<Uart16550<PioBackend>>> = spin::Mutex::new(None);

/// Sets the port up: 115,200 baud, 8 data bits, no parity, one stop bit.
pub fn init() {
    // SAFETY: COM1 is where every machine that we run on has its first serial port, nothing else
    // in the kernel drives it, and writing to the port of an absent one does nothing.
    let port = unsafe { Uart16550::new_port(COM1) };
    if let Ok(mut port) = port
        && port.init(Config::default()).is_ok()
    {
        *PORT.lock() = Some(port);
    }
}

/// Sends `text`, one whole call after the other. A line feed goes out as it is.
pub fn write(text: &str) {
    if let Some(port) = PORT.lock().as_mut() {
        port.send_bytes_exact(text.as_bytes());
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

/// Makes the next [`write()`] go through even though someone holds the port: for a panic, after
/// every other CPU has been stopped.
pub fn break_lock() {
    // SAFETY: whoever holds the lock has been stopped for good, or is below us on this stack and
    // will not go on; the worst that a half-done write leaves is half a line.
    unsafe { PORT.force_unlock() };
}
