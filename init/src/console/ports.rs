//! I/O ports, as far as the console's drivers need them.
#![forbid(unsafe_code)]

use orbital_user::{Error, IoPort};

/// Ports that can be read and written.
pub trait Ports {
    /// Reads one.
    ///
    /// # Errors
    /// Those of [`IoPort::read_u8`].
    fn read(&mut self, port: u16) -> Result<u8, Error>;

    /// Writes one.
    ///
    /// # Errors
    /// Those of [`IoPort::write_u8`].
    fn write(&mut self, port: u16, value: u8) -> Result<(), Error>;
}

impl Ports for IoPort {
    fn read(&mut self, port: u16) -> Result<u8, Error> {
        self.read_u8(port)
    }

    fn write(&mut self, port: u16, value: u8) -> Result<(), Error> {
        self.write_u8(port, value)
    }
}
