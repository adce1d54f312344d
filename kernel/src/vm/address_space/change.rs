//! What takes something away from a range of addresses: unmapping, and narrowing what pages allow.
//!
//! An address space has one change at a time. How far it has come stands here and not in a thread, so
//! anybody can do its next step ([`AddressSpace::advance`]): who wants another change helps the one that
//! goes on, and the reaper finishes it where its thread was killed. So nobody waits for a thread that is
//! less urgent, suspended, or gone.
//!
//! ```text
//!          1            2               3              4
//!  begin ─────► Taking ─────► Forgetting ────► Retiring ───► Freeing ───► over
//! ```
//! 1. Regions are divided at the range's ends, so that it has whole ones. In steps, their pages are removed
//!    or narrowed; tables that nobody needs any more are taken out.
//! 2. Every CPU that may remember a page is asked to forget the range ([`shootdown`]).
//! 3. All have. Unmapped regions leave the set, and with them the references that keep the frames.
//! 4. The tables that were taken out go back to the frame allocator.
//!
//! Threat: a frame, or a table, is used anew while a CPU still reaches it through an old translation.
//! Invariant: neither is given back before the third step.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use arrayvec::ArrayVec;

use super::{
    AddressSpace, State,
    budget::{self, Budget},
    pages::each_part,
    tables,
};
use crate::{
    arch::{Access, PageTables, Table},
    memory::{self, FrameList},
    object::Paid,
    vm::{
        region::Region,
        shootdown::{self, EVERYTHING, Shootdown},
    },
};

/// Regions that are taken out under one lock at most.
const STEP_REGIONS: usize = 4;

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All mappings go.
    Unmap,
    /// The mappings allow this from now on; `None` is nothing.
    Protect(Option<Access>),
}

/// A change that goes on.
pub(super) struct Change {
    kind: Kind,
    start: u64,
    end: u64,
    stage: Stage,
    /// Whether a CPU may have anything to forget.
    is_felt: bool,
    /// Tables that were taken out, empty.
    tables: FrameList,
    /// Tables that large pages have replaced, with whatever is in them.
    replaced: FrameList,
    /// How many frames the quota gets back for tables that were made, or only charged.
    refund: u64,
}

impl Change {
    /// One that begins.
    pub fn new(kind: Kind, start: u64, end: u64) -> Self {
        let (tables, replaced) = (FrameList::new(), FrameList::new());
        let stage = Stage::Taking(start);
        Self { kind, start, end, stage, is_felt: false, tables, replaced, refund: 0 }
    }

    /// The same, of a range of which CPUs may remember what is gone already.
    pub fn felt(kind: Kind, start: u64, end: u64) -> Self {
        Self { is_felt: true, ..Self::new(kind, start, end) }
    }
}

#[derive(Clone, Copy)]
enum Stage {
    /// From this address on.
    Taking(u64),
    /// `None` while nobody has asked the CPUs.
    Forgetting(Option<Shootdown>),
    /// From this address on.
    Retiring(u64),
    Freeing,
}

/// Where a change stands after a step.
pub enum Progress {
    /// It is over.
    Over,
    /// There is more to do at once.
    More,
    /// CPUs have yet to forget.
    Waiting(Shootdown),
}

type Gone = ArrayVec<Paid<Region>, STEP_REGIONS>;

impl AddressSpace {
    /// Whether a change goes on.
    pub fn is_changing(&self) -> bool {
        self.state.lock().change.is_some()
    }

    /// The process ends: nothing is mapped from now on.
    pub fn refuse_mappings(&self) {
        self.state.lock().is_closed = true;
    }

    /// Does a step of the change that goes on, unless the one with this number is over, or there is none.
    /// `cpu` is this one.
    pub fn advance(&self, number: u64, cpu: usize) -> Progress {
        let mut budget = Budget::new();
        let (range, number) = loop {
            let mut gone = Gone::new();
            let (step, begun) = {
                let mut state = self.state.lock();
                if state.finished >= number {
                    return Progress::Over;
                }
                (self.step(&mut state, cpu, &mut gone, &mut budget), state.begun)
            };
            if !gone.is_empty() {
                // After unlocking: perhaps an object's last reference is among them.
                drop(gone);
                self.dropping.fetch_sub(1, Release);
            }
            match step {
                Step::Ask(range) => break (range, begun),
                Step::Progress(Progress::More) if !budget.is_spent() => {}
                Step::Progress(progress) => return progress,
            }
        };
        let shootdown = Shootdown::begin(self.loaded(), range);
        let mut state = self.state.lock();
        if state.begun == number
            && let Some(Change { stage: Stage::Forgetting(asked @ None), .. }) = &mut state.change
        {
            *asked = Some(shootdown);
        }
        Progress::More
    }

    /// Does a part of a step: `gone` is to be dropped before the next.
    fn step(&self, state: &mut State, cpu: usize, gone: &mut Gone, budget: &mut Budget) -> Step {
        let Some(mut change) = state.change.take() else {
            return Step::Progress(Progress::Over);
        };
        let mut is_over = false;
        let step = loop {
            match change.stage {
                Stage::Taking(at) => {
                    let at = take(state, &mut change, at, budget);
                    if at < change.end {
                        change.stage = Stage::Taking(at);
                        break Step::Progress(Progress::More);
                    }
                    change.stage = Stage::Retiring(change.start);
                    if change.is_felt {
                        change.refund += state.limbo.len() as u64;
                        change.replaced.append(&mut state.limbo);
                        change.stage = Stage::Forgetting(None);
                    }
                }
                Stage::Forgetting(None) => {
                    // A table of another range may be remembered by itself.
                    let range = match change.tables.is_empty() && change.replaced.is_empty() {
                        true => change.start..change.end,
                        false => EVERYTHING,
                    };
                    if self.take_note_of_others(cpu) {
                        break Step::Ask(range);
                    }
                    if self.is_loaded_here() {
                        shootdown::forget(&range);
                    }
                    change.stage = Stage::Retiring(change.start);
                }
                Stage::Forgetting(Some(shootdown)) if shootdown.is_done() => {
                    change.stage = Stage::Retiring(change.start);
                }
                Stage::Forgetting(Some(shootdown)) => {
                    break Step::Progress(Progress::Waiting(shootdown));
                }
                Stage::Retiring(at) => {
                    let at = match change.kind {
                        Kind::Unmap => retire(state, &mut change, at, gone, budget),
                        Kind::Protect(_) => change.end,
                    };
                    change.stage = Stage::Retiring(at);
                    if at >= change.end {
                        change.stage = Stage::Freeing;
                    }
                    if !gone.is_empty() {
                        self.dropping.fetch_add(1, Relaxed);
                    }
                    if !gone.is_empty() || budget.is_spent() {
                        break Step::Progress(Progress::More);
                    }
                }
                Stage::Freeing => {
                    is_over = free_tables(&mut change, budget);
                    // What is gone is dropped before anybody hears that all is over, also what another CPU
                    // has taken out that helps.
                    if is_over && self.dropping.load(Acquire) != 0 {
                        is_over = false;
                        budget.spend();
                    }
                    let progress = if is_over { Progress::Over } else { Progress::More };
                    break Step::Progress(progress);
                }
            }
        };
        if is_over {
            self.quota.refund_frames(change.refund);
            state.finished = state.begun;
        } else {
            state.change = Some(change);
        }
        step
    }
}

/// What a step ends with.
enum Step {
    Progress(Progress),
    /// Other CPUs are to be asked to forget this range.
    Ask(core::ops::Range<u64>),
}

/// Removes or narrows some pages from `at` on; gives the address to go on from.
fn take(state: &mut State, change: &mut Change, mut at: u64, budget: &mut Budget) -> u64 {
    let State { tables, regions, .. } = state;
    let end = change.end;
    for region in regions.all_from(at).take_while(|region| region.start() < end) {
        at = region.start().max(at);
        if budget.is_spent() {
            return at;
        }
        budget.take(budget::REGION);
        if region.object().is_some() {
            at = match change.kind {
                Kind::Unmap => unmap(tables, change, region, at, budget),
                Kind::Protect(access) => protect(tables, change, region, access, at, budget),
            };
        } else {
            region.leave_if(change.kind == Kind::Unmap);
            at = region.end();
        }
        if at < region.end() {
            return at;
        }
    }
    end
}

fn unmap(
    tables: &mut PageTables,
    change: &mut Change,
    region: &Region,
    from: u64,
    budget: &mut Budget,
) -> u64 {
    region.leave_if(true);
    let mut removed = 0;
    let at = each_part(tables, from, region.end(), budget, |tables, start, end| {
        change.is_felt |= tables.unmap(start, end);
        let window = start / tables::WINDOW * tables::WINDOW;
        if end == window + tables::WINDOW
            && region.has_window(window)
            && let Some(table) = tables.remove(window, Table::Leaf)
        {
            change.is_felt = true;
            change.tables.push(table);
            removed += 1;
        }
    });
    if at == region.end() {
        let (start, end) = (region.start(), region.end());
        let out = tables::release(tables, start, end, &mut change.tables);
        change.is_felt |= out > 0;
        change.refund += out;
        removed += out;
    }
    budget.take(removed * budget::TABLE);
    at
}

fn protect(
    tables: &mut PageTables,
    change: &mut Change,
    region: &Region,
    access: Option<Access>,
    from: u64,
    budget: &mut Budget,
) -> u64 {
    let before = region.access();
    region.set_access(access);
    let Some(access) = access else {
        return each_part(tables, from, region.end(), budget, |tables, start, end| {
            change.is_felt |= tables.unmap(start, end);
        });
    };
    let is_wider = before == Some(access) || matches!(before, None | Some(Access::Read));
    if from == region.start() && is_wider {
        // The pages learn that when they are touched.
        return region.end();
    }
    each_part(tables, from, region.end(), budget, |tables, start, end| {
        change.is_felt |= tables.restrict(start, end, access);
    })
}

/// Takes some regions out that are gone, from `at` on; gives the address to go on from.
fn retire(
    state: &mut State,
    change: &mut Change,
    mut at: u64,
    gone: &mut Gone,
    budget: &mut Budget,
) -> u64 {
    let mut walk = state.regions.walk_from(at);
    while !gone.is_full() && !budget.is_spent() {
        let Some(region) = walk.region().filter(|region| region.start() < change.end) else {
            return change.end;
        };
        at = region.end();
        budget.take(budget::RETIRED);
        if !region.is_leaving() {
            walk.leave();
            continue;
        }
        if region.object().is_some() {
            change.refund += tables::windows(region.start(), at);
        }
        gone.extend(walk.take());
    }
    at
}

/// Frees some tables; whether that was all.
fn free_tables(change: &mut Change, budget: &mut Budget) -> bool {
    let Change { tables, replaced, .. } = change;
    while !budget.is_spent() {
        if let Some(table) = tables.pop() {
            memory::free_zeroed_frame(table);
        } else if let Some(table) = replaced.pop() {
            memory::free_frame(table);
        } else {
            break;
        }
        budget.take(budget::FREED);
    }
    tables.is_empty() && replaced.is_empty()
}
