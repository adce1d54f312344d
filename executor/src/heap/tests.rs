//! The heap's form, and what is promised of its cost.

use std::{boxed::Box, collections::BTreeSet, vec::Vec};

use proptest::prelude::*;

use super::*;

/// Boxes whose entries are in a heap, by raw pointers.
struct Entries(Vec<NonNull<Entry<u8>>>);

impl Entries {
    fn new(count: usize) -> Self {
        let entry = |_| NonNull::from(Box::leak(Box::new(Entry::new())));
        Self((0..count).map(entry).collect())
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        for entry in &self.0 {
            // SAFETY: made by a box, and the heap is not used any more.
            drop(unsafe { Box::from_raw(entry.as_ptr()) });
        }
    }
}

/// Checks all that is said of the heap's form; how many entries it has.
fn check(link: Link<u8>, parent: Link<u8>) -> (usize, u32) {
    let Some(entry) = link else { return (0, 0) };
    // SAFETY: in the heap, and so alive.
    let this = unsafe { entry.as_ref() };
    assert_eq!(this.parent, parent);
    assert!(this.value.is_some());
    if let Some(parent) = parent {
        // SAFETY: as above.
        assert!(unsafe { is_before(parent, entry) });
    }
    let ((left, left_rank), (right, right_rank)) =
        (check(this.left, link), check(this.right, link));
    assert!(left_rank >= right_rank, "it does not lean to the left");
    assert_eq!(this.rank, right_rank + 1);
    (left + right + 1, this.rank)
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize, u64),
    Remove(usize),
    RemoveFirst(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..40_usize, 0..30_u64).prop_map(|(number, key)| Step::Add(number, key)),
        2 => (0..40_usize).prop_map(Step::Remove),
        1 => (0..30_u64).prop_map(Step::RemoveFirst),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn the_heap_keeps_its_form_and_its_order(steps in prop::collection::vec(step(), 0..200)) {
        let (entries, mut heap) = (Entries::new(40), Heap::new());
        let mut naive = BTreeSet::new();
        for (order, step) in steps.into_iter().enumerate() {
            match step {
                Step::Add(number, key) => {
                    let entry = entries.0[number];
                    // SAFETY: the entries outlive the heap's use, and are touched by it alone.
                    unsafe {
                        if entry.as_ref().is_linked() {
                            heap.remove(entry);
                            naive.retain(|&(_, _, other)| other != number);
                        }
                        heap.add(entry, key, 7);
                    }
                    naive.insert((key, order, number));
                }
                Step::Remove(number) => {
                    let entry = entries.0[number];
                    // SAFETY: as above.
                    if unsafe { entry.as_ref() }.is_linked() {
                        // SAFETY: as above, and it is linked.
                        let value = unsafe { heap.remove(entry) };
                        prop_assert!(value.is_some());
                    }
                    naive.retain(|&(_, _, other)| other != number);
                }
                Step::RemoveFirst(limit) => {
                    let expected = naive.first().copied().filter(|&(key, ..)| key <= limit);
                    let root = heap.root;
                    prop_assert_eq!(heap.remove_first(limit).is_some(), expected.is_some());
                    if let Some((_, _, number)) = expected {
                        prop_assert_eq!(root, Some(entries.0[number]));
                        naive.pop_first();
                    }
                }
            }
            prop_assert_eq!(check(heap.root, None).0, naive.len());
            prop_assert_eq!(heap.first_key(), naive.first().map(|&(key, ..)| key));
        }
    }
}

/// The most steps that one call of `f` took.
fn most_steps(numbers: impl Iterator<Item = usize>, mut f: impl FnMut(usize)) -> u32 {
    let steps = numbers.map(|number| {
        steps::STEPS.set(0);
        f(number);
        steps::STEPS.get()
    });
    steps.max().unwrap_or(0)
}

#[test]
fn no_single_step_costs_more_than_a_few_times_the_logarithm() {
    const COUNT: usize = 1 << 14;
    const LOG: u32 = COUNT.ilog2();
    // Keys that rise, fall, are all the same, or are scattered.
    let keys: [fn(usize) -> u64; 4] = [
        |number| number as u64,
        |number| (COUNT - number) as u64,
        |_| 7,
        |number| (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20,
    ];
    for key in keys {
        let (entries, mut heap) = (Entries::new(COUNT), Heap::new());
        let add = |heap: &mut Heap<u8>, number: usize| {
            // SAFETY: in no heap yet or any more, and it outlives the heap's use.
            unsafe { heap.add(entries.0[number], key(number), 7) };
        };
        assert!(most_steps(0..COUNT, |number| add(&mut heap, number)) <= 2 * LOG + 4);
        let some = (0..COUNT).map(|number| number * 4099 % COUNT).step_by(3);
        let removed = most_steps(some, |number| {
            // SAFETY: each is removed once.
            unsafe { heap.remove(entries.0[number]) };
        });
        assert!(removed <= 4 * LOG + 4, "{removed} steps for one that is removed");
        let left = check(heap.root, None).0;
        let fired = most_steps(0..left, |_| assert!(heap.remove_first(u64::MAX).is_some()));
        assert!(fired <= 4 * LOG + 4, "{fired} steps for the first");
        assert!(heap.root.is_none());
    }
}

#[test]
fn an_entry_is_as_small_as_it_is_said_to_be() {
    // It stands in each thread control block.
    assert!(size_of::<crate::timer::TimerNode<'_>>() <= 80);
}
