//! The unmapping of what was made through a capability that is being revoked.
#![forbid(unsafe_code)]

use orbital_abi::Error;

use super::{AddressSpace, Begun};
use crate::{lock::lock, object::Ref};

impl AddressSpace {
    /// Begins to unmap the mapping that begins at `start`, if that is to go. `cpu` is this one.
    ///
    /// # Errors
    /// Those of [`AddressSpace::begin_unmap`].
    pub fn begin_disown(space: &Ref<Self>, start: u64, cpu: usize) -> Result<Begun, Error> {
        let state = lock(&space.state);
        let disowned = state.regions.at(start).filter(|region| {
            region.start() == start && region.kept().is_some_and(|kept| kept.is_revoked())
        });
        let Some(end) = disowned.map(|region| region.end()) else { return Ok(Begun::Over) };
        Self::begin_unmap_in(space, state, (start, end), cpu)
    }
}
