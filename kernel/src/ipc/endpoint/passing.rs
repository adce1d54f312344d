//! Senders of capabilities. Those are passed to a receiver that waits before it is taken: so a sender whose
//! capabilities can't go any more disturbs nobody.
//!
//! Tables are locked before queues, and whose the receiver's is shows when the queues are locked. So it is tried with
//! the sender's own table alone, then with that of the receiver that was found, and so on while others come first.
#![forbid(unsafe_code)]

use core::{cell::Cell, ptr};

use orbital_abi::{CapSlot, Deadline, Error, Message, Rights, Tag};

use super::{Endpoint, Found, Side};
use crate::{
    arch::SavedRegisters,
    capability::{
        Table,
        passing::{Slots, Tables},
    },
    ipc::transfer,
    object::Ref,
    sched::Completion,
    thread::Current,
};

/// How many receivers are tried before the sender begins again, and others have their turn.
const MOST_TRIES: usize = 8;

/// What a sender brings, and what became of it.
struct Bring {
    sent: Slots,
    /// Where the receiver has it.
    passed: Cell<Slots>,
    /// The sender is to begin again: nothing has come of this.
    again: Cell<bool>,
}

/// What came of one try.
enum Tried {
    Met(Result<(Found, u64), Error>),
    /// The receiver's table is this one.
    Other(Ref<Table>),
}

impl Bring {
    /// What the current thread's message with `tag` brings.
    fn new(current: &Current, tag: Tag) -> Self {
        let first = current.with_registers(|registers| registers.fourth());
        let sent = transfer::sent(tag, first, current.message_page());
        Self { sent, passed: Cell::default(), again: Cell::new(false) }
    }
}

impl Endpoint {
    /// As [`Endpoint::send`], for a message that brings something.
    #[inline(never)]
    pub(super) fn send_and_pass(
        current: &Current,
        slot: CapSlot,
        own: Side,
        message: &Message,
        deadline: Deadline,
    ) -> Completion {
        let Side::Senders(sending, tag) = own else {
            return Completion::Failed(Error::InvalidMessage);
        };
        let bring = Bring::new(current, tag);
        let meet = || Self::meet_and_pass(current, slot, own, deadline, &bring);
        let found = match meet() {
            Ok((Found::Bound(endpoint), _)) => endpoint.call_bound(current, meet),
            found => found,
        };
        match found {
            Ok(found) => Self::sent(current, found, message, sending, deadline, |receiver| {
                transfer::tell_slots(&bring.passed.take(), receiver.message_page())
            }),
            Err(_) if bring.again.get() => {
                current.with_registers(SavedRegisters::call_again);
                Completion::Written
            }
            Err(error) => Completion::Failed(error),
        }
    }

    /// As [`Endpoint::meet_at`], for a sender that brings something.
    fn meet_and_pass(
        current: &Current,
        slot: CapSlot,
        own: Side,
        deadline: Deadline,
        bring: &Bring,
    ) -> Result<(Found, u64), Error> {
        let mut target = None::<Ref<Table>>;
        for _ in 0..MOST_TRIES {
            let tried = Self::try_with(current, slot, own, deadline, bring, target.as_deref());
            match tried {
                Tried::Met(met) => return met,
                Tried::Other(other) => target = Some(other),
            }
        }
        bring.again.set(true);
        Err(Error::WouldBlock)
    }

    /// Tries it with a receiver whose table is `target`, or the sender's own.
    fn try_with(
        current: &Current,
        slot: CapSlot,
        own: Side,
        deadline: Deadline,
        bring: &Bring,
        target: Option<&Table>,
    ) -> Tried {
        let Side::Senders(_, tag) = own else { return Tried::Met(Err(Error::InvalidMessage)) };
        let source = &*current.process.table;
        let target = target.unwrap_or(source);
        let tables = Tables::lock(source, target);
        let passing = tables.passing();
        let (mut other, mut linked) = (None, None);
        let met = passing.source().lookup(slot).and_then(|capability| {
            let endpoint: &Self = capability.get(Rights::SEND)?;
            current.set_badge(capability.badge());
            let found = endpoint.meet_if(current, Some(capability), own, deadline, |receiver| {
                if !transfer::has_room(receiver, tag) {
                    return Err(Error::NoRoom);
                }
                let table = &receiver.process.table;
                if !ptr::eq(&**table, target) {
                    other = Some(table.clone());
                    return Err(Error::WouldBlock);
                }
                let link = receiver.with_reserved(|reserved| passing.link(&bring.sent, reserved));
                linked = Some(link?);
                Ok(())
            });
            Ok((found?, capability.badge()))
        });
        if let (Ok((Found::Partner(receiver), _)), Some(linked)) = (&met, linked) {
            let passed = receiver.thread().with_reserved(|reserved| passing.fill(linked, reserved));
            bring.passed.set(passed);
        }
        match other {
            Some(other) => Tried::Other(other),
            None => Tried::Met(met),
        }
    }
}
