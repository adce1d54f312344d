//! Trees over several tables against a naive model: every capability knows its parent.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error};
use proptest::prelude::*;

use super::trees::Tables;
use crate::{capability::revoke::Revoking, tests::kernel::Kernel};

const TABLES: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Root {
        table: usize,
    },
    /// Of any that there ever was, counted round, as all below.
    Copy {
        of: usize,
        to: usize,
    },
    Close(usize),
    Relocate {
        of: usize,
        to: usize,
    },
    /// Begins to revoke, and does so many steps.
    Begin {
        of: usize,
        steps: usize,
    },
    /// Goes on with the oldest revoke to its end.
    Finish,
    /// Its thread is killed.
    Abandon,
    Tidy {
        table: usize,
    },
    /// Many copies of one: what takes more than a step.
    Many {
        of: usize,
        to: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (of, table) = (any::<usize>(), 0..TABLES);
    let step = prop_oneof![
        1 => table.clone().prop_map(|table| Step::Root { table }),
        8 => (of, table.clone()).prop_map(|(of, to)| Step::Copy { of, to }),
        3 => of.prop_map(Step::Close),
        3 => (of, table.clone()).prop_map(|(of, to)| Step::Relocate { of, to }),
        2 => (of, 0..3_usize).prop_map(|(of, steps)| Step::Begin { of, steps }),
        2 => Just(Step::Finish),
        1 => Just(Step::Abandon),
        1 => table.clone().prop_map(|table| Step::Tidy { table }),
        1 => (of, table).prop_map(|(of, to)| Step::Many { of, to }),
    ];
    prop::collection::vec(step, 1..120)
}

/// A capability as the model knows it.
#[derive(Clone, Copy)]
struct Known {
    table: usize,
    slot: CapSlot,
    parent: Option<usize>,
    is_there: bool,
}

/// A revoke that goes on, of a capability of the model's.
struct Begun {
    of: usize,
    revoking: Revoking,
    is_over: bool,
}

struct Model {
    tables: Tables,
    known: Vec<Known>,
    begun: Vec<Begun>,
    /// Those whose revokes were abandoned, and the tables that have them.
    abandoned: Vec<usize>,
}

impl Model {
    fn pick(&self, of: usize) -> Option<usize> {
        (!self.known.is_empty()).then(|| of % self.known.len())
    }

    /// A capability, and all that it was derived from.
    fn line(&self, of: usize) -> impl Iterator<Item = usize> {
        core::iter::successors(Some(of), |at| self.known[*at].parent)
    }

    fn is_marked(&self, of: usize) -> bool {
        self.line(of)
            .any(|at| self.begun.iter().any(|begun| begun.of == at) || self.abandoned.contains(&at))
    }

    fn expected(&self, of: usize) -> Result<(), Error> {
        match self.known[of].is_there {
            false => Err(Error::StaleCapability),
            true if self.is_marked(of) => Err(Error::Revoked),
            true => Ok(()),
        }
    }

    fn add(&mut self, table: usize, slot: CapSlot, parent: Option<usize>) {
        self.known.push(Known { table, slot, parent, is_there: true });
    }

    fn copy(&mut self, of: usize, to: usize) {
        let Known { table, slot, .. } = self.known[of];
        let expected = self.expected(of);
        let is_deep = self.line(of).count() > 64;
        match self.tables.copy(table, slot, to) {
            Ok(copy) => {
                assert_eq!((expected, is_deep), (Ok(()), false));
                self.add(to, copy, Some(of));
            }
            Err(Error::TooDeep) => assert_eq!((expected, is_deep), (Ok(()), true)),
            Err(error) => assert_eq!(expected, Err(error)),
        }
    }

    /// It is gone; its children are its parent's.
    fn gone(&mut self, of: usize) {
        self.known[of].is_there = false;
        if self.begun.iter().any(|begun| begun.of == of) || self.abandoned.contains(&of) {
            // It stays in its place until its revokes have ended.
            return;
        }
        let parent = self.known[of].parent;
        for other in &mut self.known {
            if other.parent == Some(of) {
                other.parent = parent;
            }
        }
    }

    /// All beneath are gone.
    fn revoked(&mut self, of: usize) {
        for other in 0..self.known.len() {
            if other != of && self.line(other).any(|at| at == of) {
                self.known[other].is_there = false;
            }
        }
    }

    fn unmarked(&mut self, of: usize) {
        if !self.known[of].is_there {
            self.gone(of);
        }
    }

    /// Which of those that a revoke has begun to kill are still there.
    fn look(&mut self) {
        for at in 0..self.known.len() {
            let Known { table, slot, is_there, .. } = self.known[at];
            let found = self.tables.is_there(table, slot);
            if is_there && !found {
                let above = self.line(at).skip(1).collect::<Vec<_>>();
                assert!(
                    above.iter().any(|at| self.begun.iter().any(|begun| begun.of == *at)),
                    "{at} went, and nobody revokes what it was derived from"
                );
            }
            self.known[at].is_there &= found;
            assert_eq!(found, self.known[at].is_there, "{at} has come back");
        }
    }

    fn finish(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        let Begun { of, mut revoking, is_over } = self.begun.remove(0);
        while !is_over && revoking.step().goes_on() {}
        revoking.end();
        self.revoked(of);
        self.unmarked(of);
    }

    fn tidy(&mut self, table: usize) {
        self.tables.tidy(table);
        let (done, left) = core::mem::take(&mut self.abandoned)
            .into_iter()
            .partition::<Vec<_>, _>(|of| self.known[*of].table == table);
        self.abandoned = left;
        for of in done {
            self.revoked(of);
            self.unmarked(of);
        }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Root { table } => {
                let slot = self.tables.root(table);
                self.add(table, slot, None);
            }
            Step::Copy { of, to } => {
                if let Some(of) = self.pick(of) {
                    self.copy(of, to);
                }
            }
            Step::Many { of, to } => {
                if let Some(of) = self.pick(of) {
                    (0..40).for_each(|_| self.copy(of, to));
                }
            }
            Step::Close(of) => {
                let Some(of) = self.pick(of) else { return };
                let Known { table, slot, is_there, .. } = self.known[of];
                let expected = if is_there { Ok(()) } else { Err(Error::StaleCapability) };
                assert_eq!(self.tables.close(table, slot), expected);
                if is_there {
                    self.gone(of);
                }
            }
            Step::Relocate { of, to } => {
                let Some(of) = self.pick(of) else { return };
                let Known { table, slot, .. } = self.known[of];
                let expected = self.expected(of);
                match self.tables.relocate(table, slot, to) {
                    Ok(moved) => {
                        assert_eq!(expected, Ok(()));
                        assert_ne!((table, slot), (to, moved));
                        self.known[of] = Known { table: to, slot: moved, ..self.known[of] };
                    }
                    Err(error) => assert_eq!(expected, Err(error)),
                }
            }
            Step::Begin { of, steps } => {
                let Some(of) = self.pick(of) else { return };
                let Known { table, slot, is_there, .. } = self.known[of];
                let Ok(revoking) = self.tables.begin(table, slot) else {
                    assert!(!is_there);
                    return;
                };
                let is_over = (0..steps).any(|_| !revoking.step().goes_on());
                self.begun.push(Begun { of, revoking, is_over });
            }
            Step::Finish => self.finish(),
            Step::Abandon => {
                if !self.begun.is_empty() {
                    self.abandoned.push(self.begun.remove(0).of);
                }
            }
            Step::Tidy { table } => self.tidy(table),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_revoke_kills_exactly_what_the_model_says(steps in steps()) {
        let _kernel = Kernel::boot();
        let tables = Tables::new(TABLES);
        let (known, begun, abandoned) = (Vec::new(), Vec::new(), Vec::new());
        let mut model = Model { tables, known, begun, abandoned };
        for step in steps {
            model.act(step);
            model.look();
        }
        while !model.begun.is_empty() {
            model.finish();
            model.look();
        }
        (0..TABLES).for_each(|table| model.tidy(table));
        model.look();
        // What is left dies with what it was derived from.
        for of in 0..model.known.len() {
            let Known { table, slot, is_there, .. } = model.known[of];
            if is_there && model.line(of).count() == 1 {
                model.tables.revoke(table, slot);
                model.revoked(of);
                model.look();
            }
        }
    }
}
