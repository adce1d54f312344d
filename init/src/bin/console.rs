//! The console server: COM1, keyboard and screen for all programs. What it is given stands in its line of the manifest:
//!
//! | name | what |
//! |---|---|
//! | `service` | the endpoint, to receive |
//! | `port-3f8`, `interrupt-4` | the serial port |
//! | `port-60`, `port-64`, `interrupt-1` | the keyboard's controller; may be missing |
//! | `framebuffer` | the screen's memory; may be missing |
//!
//! The framebuffer's layout stands in its arguments: see [`Layout::parse`].
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use orbital_init::console::{
    i8042::Keyboard,
    keys::Keys,
    screen::{Layout, Screen},
    server::{Console, Typewriter},
    uart::Uart,
};
use orbital_user::{
    CapSlot, Endpoint, Error, Interrupt, IoPort, MemoryObject, Notification, entry,
    memory::MappingMut,
    rpc::serve_with,
    start::{bootstrap, take_named},
};

entry!(main);

fn main() -> Result<(), Error> {
    let endpoint = Endpoint::from_slot(needed("service")?);
    let uart = Uart::start(IoPort::from_slot(needed("port-3f8")?))?;
    let interrupt = Interrupt::from_slot(needed("interrupt-4")?);
    let notification = Notification::create()?;
    let typewriter = typewriter()?;
    // The screen is worth less than the line: without its memory there is the line.
    let screen = screen().ok().flatten();
    let mut console = Console::new(uart, interrupt, typewriter, screen);
    console.listen(&notification)?;
    notification.bind(bootstrap().thread)?;
    console.begin()?;
    serve_with(&endpoint, &mut console).map_err(Error::from)?;
    console.failed().map_or(Ok(()), Err)
}

fn needed(name: &str) -> Result<CapSlot, Error> {
    optional(name).ok_or(Error::EmptySlot)
}

fn optional(name: &str) -> Option<CapSlot> {
    take_named(name).map(|capability| capability.into_slot())
}

/// The keyboard, where there is one and it was given.
fn typewriter() -> Result<Option<Typewriter>, Error> {
    let (Some(data), Some(status), Some(interrupt)) =
        (optional("port-60"), optional("port-64"), optional("interrupt-1"))
    else {
        return Ok(None);
    };
    let interrupt = Interrupt::from_slot(interrupt);
    let keyboard = Keyboard::start(IoPort::from_slot(data), IoPort::from_slot(status))?;
    Ok(keyboard.map(|keyboard| Typewriter { keyboard, keys: Keys::new(), interrupt }))
}

/// The screen, where there is one and it was given.
fn screen() -> Result<Option<Screen<MappingMut>>, Error> {
    let Some(memory) = optional("framebuffer") else { return Ok(None) };
    let mut words = bootstrap().command_line().split_whitespace();
    let Some(layout) = words.find_map(|word| Layout::parse(word.strip_prefix("framebuffer=")?))
    else {
        return Ok(None);
    };
    let Some(bytes) = layout.size() else { return Ok(None) };
    let memory = MemoryObject::from_slot(memory).map_write(bytes as u64)?;
    Ok(Screen::new(memory, layout))
}
