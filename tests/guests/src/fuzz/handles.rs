//! The handles that a program of random calls knows, by the kind of what they named once.
#![forbid(unsafe_code)]

use orbital_user::abi::ObjectKind;

/// Handles of each kind that are remembered.
const PLACES: usize = 6;

/// A place for a handle. It is drawn without a look at what stands there: so a seed draws the same
/// places in every run, whatever the calls give and whoever is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of what.
    pub kind: ObjectKind,
    index: usize,
}

impl Place {
    /// The place of this kind that a number names.
    pub fn new(kind: ObjectKind, number: u64) -> Self {
        Self { kind, index: number as usize % PLACES }
    }
}

/// Handles that were good once; 0 where there was none.
#[derive(Clone, Debug)]
pub struct Handles {
    all: [[u64; PLACES]; ObjectKind::ALL.len()],
    /// How many of each kind, the first ones, were given: they stay, so that those who share something meet there.
    given: [usize; ObjectKind::ALL.len()],
}

impl Handles {
    /// None at all.
    pub const fn new() -> Self {
        Self { all: [[0; PLACES]; _], given: [0; _] }
    }

    /// What stands there.
    pub fn get(&self, place: Place) -> u64 {
        self.all[row(place.kind)][place.index]
    }

    /// Remembers one, and forgets another: which one, if there was any. What was given stays, and what stands behind it
    /// goes.
    pub fn put(&mut self, place: Place, handle: u64) -> Option<u64> {
        let row = row(place.kind);
        let given = self.given[row];
        let index = if place.index < given { given + place.index } else { place.index };
        let old = core::mem::replace(self.all[row].get_mut(index)?, handle);
        (old != 0).then_some(old)
    }

    /// Of what this is a handle, if it stands here.
    pub fn kind_of(&self, handle: u64) -> Option<ObjectKind> {
        let mut rows = ObjectKind::ALL.into_iter().zip(&self.all);
        rows.find(|(_, row)| row.contains(&handle)).map(|(kind, _)| kind)
    }

    /// Remembers one that was given, if there is a place.
    pub fn add(&mut self, kind: ObjectKind, handle: u64) {
        let given = &mut self.given[row(kind)];
        if let Some(place) = self.all[row(kind)].get_mut(*given) {
            *place = handle;
            *given += 1;
        }
    }

    /// The first of this kind that was given; 0 if none was.
    pub fn first(&self, kind: ObjectKind) -> u64 {
        self.all[row(kind)][0]
    }
}

impl Default for Handles {
    fn default() -> Self {
        Self::new()
    }
}

fn row(kind: ObjectKind) -> usize {
    ObjectKind::ALL.iter().position(|other| *other == kind).unwrap_or(0)
}
