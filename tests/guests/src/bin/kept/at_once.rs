//! What two threads do with one kept reply at the same time.
#![forbid(unsafe_code)]

use guests::{
    raw::{self, NOISE},
    threads::{self, MIDDLE, label},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Message, Reply, abi::Syscall, capability::close,
};

use super::kept;

const ROUNDS: u32 = 300;

/// One thread answers a kept call while another one does `deed` to its slot: what both were told, and the caller.
fn at_once(
    deed: impl Fn(CapSlot) -> Result<(), Error> + Clone + Send + 'static,
    look: impl Fn(Result<(), Error>, Result<(), Error>, Result<Message, IpcError>),
) {
    let endpoint = Endpoint::create().unwrap();
    for round in 0..ROUNDS {
        let (caller, kept) = kept(&endpoint);
        let slot = Reply::slot(&kept);
        core::mem::forget(kept);
        let deed = deed.clone();
        let other = threads::at(MIDDLE, move || deed(slot));
        // Sooner or later.
        for _ in 0..round % 50 {
            core::hint::spin_loop();
        }
        let answered = by_slot(slot);
        look(answered, other.join().unwrap(), caller.join().unwrap());
    }
}

/// Answers what is in the slot.
fn by_slot(slot: CapSlot) -> Result<(), Error> {
    let left = raw::call(Syscall::Reply, raw::operation(slot, 2, 0, NOISE.words));
    match Error::from_code(left.code) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// One of both is the first, and the other finds that one with the answer in hand, or the slot stale.
pub fn two_threads_answer_at_once() {
    at_once(by_slot, |first, second, answer| {
        assert_eq!(answer, Ok(label(2)));
        let both = [first, second];
        let is_late = |told: &Result<(), Error>| {
            matches!(told, Err(Error::NoReplyOwed | Error::StaleCapability))
        };
        assert!(both.contains(&Ok(())) && both.iter().any(is_late), "{both:?}");
    });
}

/// The caller has its answer, or is told that there will be none; and who answers knows which.
pub fn a_slot_is_closed_during_the_answer() {
    at_once(close, |answered, closed, answer| match answered {
        Ok(()) => assert_eq!(answer, Ok(label(2)), "{closed:?}"),
        Err(error) => {
            assert_eq!((error, closed), (Error::StaleCapability, Ok(())));
            assert_eq!(answer, Err(IpcError::PeerGone));
        }
    });
}
