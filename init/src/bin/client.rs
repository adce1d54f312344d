//! The demo's client: lets the server calculate, and checks every word of every answer. Its command
//! line is the badge that init gave it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use orbital_init::service::{ANSWER, CALCULATE, CALLS};
use orbital_user::{
    Endpoint, IpcError, Message, entry,
    start::{bootstrap, take_granted},
};

entry!(main);

fn main() -> Result<(), IpcError> {
    let slot = take_granted(0).ok_or(IpcError::EmptySlot)?.into_slot();
    let server = Endpoint::from_slot(slot);
    let badge: u64 = bootstrap().command_line().parse().expect("the badge");
    for number in 0..CALLS {
        let (a, b) = (number, number << 40 | 1);
        let answer = server.call(&Message::new(CALCULATE, &[a, b])?)?;
        assert_eq!(answer.label(), ANSWER);
        assert_eq!(answer.words(), [a.wrapping_add(b), a.wrapping_mul(b), badge]);
    }
    Ok(())
}
