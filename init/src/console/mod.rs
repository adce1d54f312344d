//! The console: COM1, the keyboard and the screen, served as [`protocol::console`](crate::protocol::console) says.
//!
//! ```text
//!   a client's text ──► text ──► acts ──┬──► uart ──► serial line
//!                                       └──► grid ──► screen ──► framebuffer
//!   serial line ──► uart ──────────────────┐
//!   keyboard ──► i8042 ──► keys ──► bytes ─┴──► input ──► a client that reads
//! ```
//! | module | what |
//! |---|---|
//! | [`ports`] | what the two drivers need of I/O ports; the capabilities, or a test's devices |
//! | [`uart`] | a 16550 at COM1 |
//! | [`i8042`], [`keys`] | the keyboard's controller, and what its keys type |
//! | [`acts`], [`text`] | what a text can do to a screen, and how it is read from a text |
//! | [`grid`], [`screen`] | the characters on the screen, and their pixels |
//! | [`input`] | what was typed and not read |
//! | [`server`] | all together, and the clients |
//!
//! A client's text reaches the devices through [`text`] alone: what is neither text nor one of the few acts is left out. So no
//! client can have the terminal type something, or leave half a sequence for the next one.
#![forbid(unsafe_code)]

pub mod acts;
pub mod grid;
pub mod i8042;
pub mod input;
pub mod keys;
pub mod ports;
pub mod screen;
pub mod server;
pub mod text;
pub mod uart;
