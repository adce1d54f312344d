//! Cutting off badges against a naive model: every capability knows its parent and its badge, and while one is cut
//! off others derive, close and move.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error};
use proptest::prelude::*;

use super::trees::Tables;
use crate::{
    capability::revoke::{Begun, Revoking},
    tests::kernel::Kernel,
};

const TABLES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Of any that there ever was, counted round, as all below.
    Mint {
        of: usize,
        badge: u64,
        to: usize,
    },
    /// Copies of one: what takes more than a step.
    Many {
        of: usize,
        badge: u64,
        to: usize,
    },
    Close(usize),
    Relocate {
        of: usize,
        to: usize,
    },
    Begin {
        of: usize,
        badge: u64,
    },
    Go,
    Finish,
    Tidy {
        table: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (of, table, badge) = (any::<usize>(), 0..TABLES, 0..4_u64);
    let step = prop_oneof![
        6 => (of, badge.clone(), table.clone()).prop_map(|(of, badge, to)| Step::Mint { of, badge, to }),
        3 => (of, badge.clone(), table.clone())
            .prop_map(|(of, badge, to)| Step::Many { of, badge, to }),
        4 => of.prop_map(Step::Close),
        2 => (of, table.clone()).prop_map(|(of, to)| Step::Relocate { of, to }),
        2 => (of, 1..4_u64).prop_map(|(of, badge)| Step::Begin { of, badge }),
        4 => Just(Step::Go),
        1 => Just(Step::Finish),
        1 => table.prop_map(|table| Step::Tidy { table }),
    ];
    prop::collection::vec(step, 1..150)
}

#[derive(Clone, Copy)]
struct Known {
    table: usize,
    slot: CapSlot,
    badge: u64,
    parent: Option<usize>,
    is_there: bool,
}

struct Cutting {
    of: usize,
    badge: u64,
    revoking: Revoking,
}

struct Model {
    tables: Tables,
    known: Vec<Known>,
    cutting: Option<Cutting>,
}

impl Model {
    fn pick(&self, of: usize) -> usize {
        of % self.known.len()
    }

    /// Whether `of` was derived from `root`, or is that.
    fn is_beneath(&self, of: usize, root: usize) -> bool {
        core::iter::successors(Some(of), |at| self.known[*at].parent).any(|at| at == root)
    }

    fn copy(&mut self, of: usize, badge: u64, to: usize) {
        let parent = self.known[of];
        let own = if parent.badge == 0 { badge } else { parent.badge };
        let is_refused =
            self.cutting.as_ref().is_some_and(|it| it.badge == own && self.is_beneath(of, it.of));
        let expected = match parent {
            Known { is_there: false, .. } => Err(Error::StaleCapability),
            Known { badge: 1.., .. } if badge != 0 => Err(Error::AlreadyBadged),
            _ if is_refused => Err(Error::Revoked),
            _ => Ok(()),
        };
        match self.tables.mint(parent.table, parent.slot, badge, to) {
            Ok(slot) => {
                assert_eq!(expected, Ok(()));
                let (parent, is_there) = (Some(of), true);
                self.known.push(Known { table: to, slot, badge: own, parent, is_there });
            }
            Err(Error::TooDeep) => {}
            Err(error) => assert_eq!(expected, Err(error)),
        }
    }

    /// It is gone; its children are its parent's, unless it is still needed.
    fn gone(&mut self, of: usize) {
        self.known[of].is_there = false;
        if self.cutting.as_ref().is_none_or(|cutting| cutting.of != of) {
            let parent = self.known[of].parent;
            let children = self.known.iter_mut().filter(|other| other.parent == Some(of));
            children.for_each(|child| child.parent = parent);
        }
    }

    fn relocate(&mut self, of: usize, to: usize) {
        let Known { table, slot, badge, parent, is_there } = self.known[of];
        let is_refused = self.cutting.as_ref().is_some_and(|it| {
            let is_meant = badge == 0 || badge == it.badge;
            it.of == of || is_meant && parent.is_some_and(|parent| self.is_beneath(parent, it.of))
        });
        let expected = match is_there {
            false => Err(Error::StaleCapability),
            true if is_refused => Err(Error::Revoked),
            true => Ok(()),
        };
        let moved = self.tables.relocate(table, slot, to);
        assert_eq!(moved.map(|_| ()), expected);
        if let Ok(slot) = moved {
            self.known[of] = Known { table: to, slot, ..self.known[of] };
        }
    }

    fn begin(&mut self, of: usize, badge: u64) {
        let Known { table, slot, badge: own, is_there, .. } = self.known[of];
        match Revoking::begin_cut(&self.tables.tables[table], slot, badge) {
            Err(error) => assert_eq!((error, is_there), (Error::StaleCapability, false)),
            Ok(Begun::Nothing) => assert!(own != 0 && own != badge),
            // It has a helper for a moment; then nobody helps.
            Ok(Begun::Other(_)) => assert!(own == 0 && self.cutting.is_some()),
            Ok(Begun::Own(mut revoking)) if own == badge => {
                while revoking.step().goes_on() {}
                revoking.end();
                self.all_beneath(of, badge);
            }
            Ok(Begun::Own(revoking)) => {
                assert!(self.cutting.is_none());
                self.cutting = Some(Cutting { of, badge, revoking });
            }
        }
    }

    /// All with this badge that were derived from `of` are gone.
    fn all_beneath(&mut self, of: usize, badge: u64) {
        for at in 0..self.known.len() {
            if at != of && self.known[at].badge == badge && self.is_beneath(at, of) {
                self.known[at].is_there = false;
            }
        }
    }

    /// What has gone had to, and all others are there.
    fn look(&mut self) {
        for at in 0..self.known.len() {
            let Known { table, slot, badge, is_there, .. } = self.known[at];
            let found = self.tables.is_there(table, slot);
            let may_go = self.cutting.as_ref().is_some_and(|cutting| {
                cutting.badge == badge && self.is_beneath(at, cutting.of) && at != cutting.of
            });
            assert!(found == is_there || is_there && may_go, "{at}: {found}");
            self.known[at].is_there = found;
        }
    }

    fn finish(&mut self) {
        let Some(Cutting { of, badge, mut revoking }) = self.cutting.take() else { return };
        while revoking.step().goes_on() {}
        revoking.end();
        self.all_beneath(of, badge);
        if !self.known[of].is_there {
            self.gone(of);
        }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Mint { of, badge, to } => self.copy(self.pick(of), badge, to),
            Step::Many { of, badge, to } => {
                let of = self.pick(of);
                (0..70).for_each(|_| self.copy(of, badge, to));
            }
            Step::Close(of) => {
                let of = self.pick(of);
                let Known { table, slot, is_there, .. } = self.known[of];
                let expected = if is_there { Ok(()) } else { Err(Error::StaleCapability) };
                assert_eq!(self.tables.close(table, slot), expected);
                if is_there {
                    self.gone(of);
                }
            }
            Step::Relocate { of, to } => self.relocate(self.pick(of), to),
            Step::Begin { of, badge } => self.begin(self.pick(of), badge),
            Step::Go => {
                if let Some(cutting) = &self.cutting {
                    cutting.revoking.step();
                }
            }
            Step::Finish => self.finish(),
            Step::Tidy { table } if self.cutting.is_none() => self.tables.tidy(table),
            Step::Tidy { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_cut_kills_exactly_what_the_model_says(steps in steps()) {
        let _kernel = Kernel::boot();
        let tables = Tables::new(TABLES);
        let slot = tables.root(0);
        let root = Known { table: 0, slot, badge: 0, parent: None, is_there: true };
        let mut model = Model { tables, known: vec![root], cutting: None };
        for step in steps {
            model.act(step);
            model.look();
        }
        model.finish();
        model.look();
    }
}
