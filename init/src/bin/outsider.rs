//! The demo's outsider: has no capability to the server, and tries every handle that it can think
//! of. Ends with 0 when it was refused each time.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use orbital_init::service::CALCULATE;
use orbital_user::{CapSlot, Endpoint, IpcError, Message, entry};

entry!(main);

/// How many table places and generations are tried.
const PLACES: u32 = 64;
const GENERATIONS: u32 = 4;

fn main() -> Result<(), &'static str> {
    let request = Message::new(CALCULATE, &[1, 2]).map_err(|_| "no message")?;
    for index in (0..PLACES).chain([u32::MAX]) {
        for generation in (0..GENERATIONS).chain([u32::MAX]) {
            // Not to be closed: some of them are the process's own capabilities.
            let guess = Endpoint::from_slot(CapSlot::new(index, generation));
            let answer = guess.call(&request);
            core::mem::forget(guess);
            match answer {
                Err(IpcError::EmptySlot | IpcError::StaleCapability | IpcError::WrongKind) => {}
                Err(_) => return Err("refused for a wrong reason"),
                Ok(_) => return Err("the service answered"),
            }
        }
    }
    Ok(())
}
