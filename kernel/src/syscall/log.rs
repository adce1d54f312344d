//! The log, as it is read, and who is told of new lines.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error, Registers, Rights, arguments::SystemLogBind, log::FIRST_WORD};

use super::{Answer, interrupt::binding, lookup};
use crate::{log, log_listener, system::SystemObject, thread::Current};

/// The line with the number in control word 1, or the first behind it that there is.
pub(super) fn read(current: &Current, registers: &Registers) -> Answer {
    let [slot, position, ..] = registers.control;
    lookup::<SystemObject>(current, CapSlot::from_bits(slot), Rights::LOG_READ)?;
    let page = current.message_page().ok_or(Error::NoRoom)?;
    let line = log::read(position).ok_or(Error::WouldBlock)?;
    for (place, word) in line.words().enumerate() {
        page.set_word(FIRST_WORD + place, word);
    }
    Ok(line.head.encode())
}

pub(super) fn bind(current: &Current, registers: &Registers) -> Answer {
    let SystemLogBind { system, notification, bits } = SystemLogBind::decode(registers)?;
    lookup::<SystemObject>(current, system, Rights::LOG_READ)?;
    log_listener::bind(binding(current, notification, bits)?)?;
    Ok(Registers::default())
}
