//! Unmapping, from the first page to the last reference: for the system call and for the reaper.
//!
//! Written by hand, for it stands in a thread's slot beside what it is part of: a compiler's future
//! keeps each stage's variables apart.
#![forbid(unsafe_code)]

use core::{
    pin::Pin,
    task::{Context, Poll},
};

use super::{AddressSpace, address_space::Claim, shootdown::Shootdown};

/// Unmaps the regions of a claim. When it is ready, no CPU reaches their frames through them. It does
/// one step a poll, so that others run in between.
pub struct Unmap<'a> {
    space: &'a AddressSpace,
    claim: &'a Claim,
    stage: Stage,
}

enum Stage {
    /// Pages are removed from this address on.
    Removing(u64),
    /// CPUs are about to forget them.
    Forgetting(Shootdown),
    /// The regions leave the list.
    Retiring,
}

/// Unmaps the regions of `claim`.
pub fn unmap<'a>(space: &'a AddressSpace, claim: &'a Claim) -> Unmap<'a> {
    Unmap { space, claim, stage: Stage::Removing(claim.start()) }
}

impl Future for Unmap<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let next = match &self.stage {
            Stage::Removing(address) => match self.space.unmap_step(self.claim, *address) {
                Some(address) => Some(Stage::Removing(address)),
                None => Some(Stage::Forgetting(Shootdown::begin(self.space.loaded()))),
            },
            Stage::Forgetting(shootdown) if shootdown.is_done() => Some(Stage::Retiring),
            Stage::Forgetting(_) => None,
            Stage::Retiring if self.space.retire_step(self.claim) => None,
            Stage::Retiring => return Poll::Ready(()),
        };
        if let Some(stage) = next {
            self.stage = stage;
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
