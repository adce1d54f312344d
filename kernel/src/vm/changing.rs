//! A change of an address space from its beginning to its end, as a future: for system calls and the reaper.
//! It does one step a poll, so that others run in between.
//!
//! Written by hand, for it stands in a thread's slot beside what it is part of: a compiler's future keeps
//! what it was given twice.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use orbital_abi::Error;

use super::{
    AddressSpace,
    address_space::{Begun, change::Progress},
    shootdown::Shootdown,
};
use crate::arch;

/// Goes on with the changes of `space` until the one with this number is over.
pub fn finish_change(space: &AddressSpace, number: u64) -> impl Future<Output = Result<(), Error>> {
    Changing {
        space,
        begin: || Ok(Begun::Other),
        stage: Stage::Begun(number),
        wait: Shootdown::finish,
    }
}

/// Goes on with whatever change there is.
pub fn help(space: &AddressSpace) -> impl Future<Output = Result<(), Error>> {
    finish_change(space, u64::MAX)
}

/// Makes a change of `space`, as soon as `begin` has begun it; until then whatever goes on is helped. When it
/// is ready, no CPU reaches what the change has taken away.
///
/// Its error is that of `begin`.
pub fn change(
    space: &AddressSpace,
    begin: impl FnMut() -> Result<Begun, Error>,
) -> impl Future<Output = Result<(), Error>> {
    Changing { space, begin, stage: Stage::New, wait: Shootdown::finish }
}

struct Changing<'a, B, W, F> {
    space: &'a AddressSpace,
    begin: B,
    stage: Stage<F>,
    wait: W,
}

enum Stage<F> {
    /// It has not begun.
    New,
    /// Neither has it, and another goes on.
    Other,
    /// It has this number.
    Begun(u64),
    /// CPUs have yet to forget; whether it has begun, and its number.
    Waiting(Option<u64>, F),
}

impl<B, W, F> Future for Changing<'_, B, W, F>
where
    B: FnMut() -> Result<Begun, Error>,
    W: Fn(Shootdown) -> F,
    F: Future<Output = ()>,
{
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out but what is not pinned: the wait for answers stays where it is until
        // it is dropped in its place.
        let this = unsafe { self.get_unchecked_mut() };
        let number = match &mut this.stage {
            Stage::New => match (this.begin)()? {
                Begun::Over => return Poll::Ready(Ok(())),
                Begun::Number(number) => Some(number),
                Begun::Other => None,
                Begun::Checking => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            },
            Stage::Other => None,
            Stage::Begun(number) => Some(*number),
            Stage::Waiting(number, answers) => {
                // SAFETY: as above.
                ready!(unsafe { Pin::new_unchecked(answers) }.poll(context));
                *number
            }
        };
        let begun = number.map_or(Stage::Other, Stage::Begun);
        this.stage = match this.space.advance(number.unwrap_or(u64::MAX), arch::cpu_index()) {
            Progress::Over if number.is_some() => return Poll::Ready(Ok(())),
            Progress::Over => Stage::New,
            Progress::More => begun,
            Progress::Waiting(shootdown) => Stage::Waiting(number, (this.wait)(shootdown)),
        };
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
