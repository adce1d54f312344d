//! The beginning of a change: the range is checked, and regions are divided where it begins and ends.
#![forbid(unsafe_code)]

use orbital_abi::{Error, Rights};
use spin::MutexGuard;

use super::{
    AddressSpace, State,
    at_once::AtOnce,
    change::{Change, Kind},
    range, tables,
};
use crate::{
    arch::Access,
    capability::Holder,
    lock::lock,
    object::{Paid, Ref, Uncounted},
    vm::region::Region,
};

/// Regions that one step looks at.
const STEP_REGIONS: usize = 8;

/// What came of the wish to begin one.
pub enum Begun {
    /// It is over already.
    Over,
    /// It has this number.
    Number(u64),
    /// Another goes on: help that first.
    Other,
    /// The range is still being looked at.
    Checking,
}

/// How far the look at a range has come that is to be narrowed.
#[derive(Clone, Copy, Default)]
pub struct Check {
    at: u64,
    /// The last change that was over when it began: one since makes it worthless.
    finished: u64,
}

impl AddressSpace {
    /// Begins to unmap `[address, address + bytes)`, whatever mappings or parts of them lie there. `cpu` is this
    /// one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::InvalidAddress`] as for a mapping;
    /// [`Error::QuotaExceeded`] without means to divide a mapping.
    #[inline(always)]
    pub fn begin_unmap(
        space: &Ref<Self>,
        address: u64,
        bytes: u64,
        cpu: usize,
    ) -> Result<Begun, Error> {
        let (start, end) = range(address, bytes)?;
        Self::begin_unmap_in(space, lock(&space.state), (start, end), cpu)
    }

    /// The same, of a range that was checked, under the lock.
    #[inline(always)]
    pub(super) fn begin_unmap_in(
        space: &Ref<Self>,
        mut state: MutexGuard<'_, State>,
        (start, end): (u64, u64),
        cpu: usize,
    ) -> Result<Begun, Error> {
        match space.unmap_at_once(&mut state, start, end, cpu) {
            AtOnce::Gone(region) => {
                // Perhaps its object's last reference goes with it: after unlocking.
                drop(state);
                drop(region);
                Ok(Begun::Over)
            }
            AtOnce::Begun => Ok(Begun::Number(state.begun)),
            AtOnce::No => begin(space, &mut state, Kind::Unmap, start, end),
        }
    }

    /// Begins to let the mappings in `[address, address + bytes)` allow `access`, for which they must have
    /// been made with the rights `needed`. To be called again with the same `check` as long as it answers
    /// so, which is the default at first.
    ///
    /// # Errors
    /// As [`AddressSpace::begin_unmap`]; [`Error::InvalidAddress`] too where the range is not wholly
    /// mapped; [`Error::MissingRights`].
    pub fn begin_protect(
        space: &Ref<Self>,
        address: u64,
        bytes: u64,
        (access, needed): (Option<Access>, Rights),
        check: &mut Check,
    ) -> Result<Begun, Error> {
        let (start, end) = range(address, bytes)?;
        let mut state = space.state.lock();
        if check.finished != state.begun {
            *check = Check { at: start, finished: state.begun };
        }
        check.at = check.at.max(start);
        for _ in 0..STEP_REGIONS {
            if check.at >= end {
                return begin(space, &mut state, Kind::Protect(access), start, end);
            }
            let region = state.regions.at(check.at).ok_or(Error::InvalidAddress)?;
            if !region.allowed().contains(needed) {
                return Err(Error::MissingRights);
            }
            check.at = region.end();
        }
        Ok(Begun::Checking)
    }
}

fn begin(
    space: &Ref<AddressSpace>,
    state: &mut State,
    kind: Kind,
    start: u64,
    end: u64,
) -> Result<Begun, Error> {
    if state.change.is_some() {
        return Ok(Begun::Other);
    }
    // Both before either is used: what is refused divides nothing.
    let parts = [upper_part(space, state, start)?, upper_part(space, state, end)?];
    for part in parts.into_iter().flatten() {
        divide(state, part)?;
    }
    state.begun += 1;
    state.change = Some(Change::new(kind, start, end));
    Ok(Begun::Number(state.begun))
}

/// The upper part, from `at` on, of the region that reaches over that, if there is one.
fn upper_part(
    space: &Ref<AddressSpace>,
    state: &State,
    at: u64,
) -> Result<Option<Paid<Region>>, Error> {
    let Some(whole) = state.regions.at(at).filter(|region| region.start() < at) else {
        return Ok(None);
    };
    let content = whole.content_from(at);
    let holder = Some(Holder::new(&**space, at));
    let kept = whole.kept().map(|kept| kept.again(holder, &space.quota)).transpose()?;
    let end = whole.end();
    Region::new(Uncounted::of(&**space), at, end, (content, kept), &space.quota).map(Some)
}

/// Makes two regions of the one that has all of `upper`, its upper part.
fn divide(state: &mut State, upper: Paid<Region>) -> Result<(), Error> {
    let at = upper.start();
    if let Some(whole) = state.regions.at(at).filter(|region| region.object().is_some())
        && !tables::divide(&mut state.tables, whole, at)
    {
        return Err(Error::QuotaExceeded);
    }
    state.regions.divide(upper);
    Ok(())
}
