//! The CPUs' caches, over a pool of a test's own.
#![forbid(unsafe_code)]

use super::{Frame, PAGE, Room};
use crate::{
    memory::{
        cache::{BATCH, CAPACITY, ZEROED},
        pool::Pool,
    },
    percpu::MAX_CPUS,
};

/// A pool of so many frames, from 0 on.
fn with<R>(frames: u64, f: impl FnOnce(&Pool<'_>) -> R) -> R {
    let room = Room::new(frames);
    f(&Pool::new(room.books(), 0, core::iter::once(0..frames * PAGE)))
}

fn all(pool: &Pool<'_>, cpu: usize) -> Vec<Frame> {
    core::iter::from_fn(|| pool.allocate(cpu)).collect()
}

#[test]
fn what_a_cpu_frees_it_gets_first() {
    with(256, |pool| {
        let (one, other) = (pool.allocate(0).unwrap(), pool.allocate(1).unwrap());
        assert_ne!(one, other);
        pool.free(0, one);
        pool.free(1, other);
        assert_eq!((pool.allocate(1), pool.allocate(0)), (Some(other), Some(one)));
    });
}

#[test]
fn a_full_cache_gives_a_few_to_the_allocator() {
    with(1024, |pool| {
        let frames = all(pool, 0);
        assert_eq!((frames.len(), pool.counts().cached), (1024, 0));
        for (freed, frame) in frames.into_iter().enumerate() {
            let counts = pool.counts();
            assert_eq!(counts.free, freed as u64);
            let before = counts.cached as usize;
            pool.free(0, frame);
            let expected = if before == CAPACITY { CAPACITY - BATCH + 1 } else { before + 1 };
            assert_eq!(pool.counts().cached as usize, expected);
        }
    });
}

#[test]
fn an_empty_cache_is_refilled_by_a_few() {
    with(1024, |pool| {
        for taken in 0..1024 {
            let counts = pool.counts();
            assert_eq!((counts.free, counts.total), (1024 - taken, 1024));
            let batch = BATCH as u64;
            assert_eq!(counts.cached, (batch - taken % batch) % batch);
            assert!(pool.allocate(3).is_some());
        }
        assert_eq!(pool.allocate(3), None);
    });
}

#[test]
fn the_last_frame_is_found_in_whichever_cache_it_is() {
    for (holder, asker) in [(0, 1), (1, 0), (0, MAX_CPUS - 1), (MAX_CPUS - 1, 7), (5, 5)] {
        with(100, |pool| {
            let mut frames = all(pool, holder);
            let last = frames.pop().unwrap();
            pool.free(holder, last);
            assert_eq!(pool.counts().free, 1);
            assert_eq!(pool.allocate(asker), Some(last), "cpu{asker} of cpu{holder}");
            assert_eq!((pool.allocate(asker), pool.counts().free), (None, 0));
        });
    }
}

#[test]
fn a_machine_of_which_every_cpu_has_frames_gives_all_to_one() {
    with(MAX_CPUS as u64 * 40, |pool| {
        let frames = all(pool, 0);
        for (cpu, part) in frames.chunks(40).enumerate() {
            part.iter().for_each(|frame| pool.free(cpu, *frame));
        }
        assert_eq!(pool.counts().cached, MAX_CPUS as u64 * 40);
        let mut again = all(pool, 2);
        again.sort();
        assert_eq!(again, Vec::from_iter((0..MAX_CPUS as u64 * 40).map(Frame::new)));
    });
}

#[test]
fn a_block_is_put_together_out_of_caches() {
    for order in 1..=6 {
        with(64, |pool| {
            for (number, frame) in all(pool, 0).into_iter().enumerate() {
                pool.free(number % MAX_CPUS, frame);
            }
            assert_eq!((pool.counts().cached, pool.counts().largest_order), (64, None));
            let block = pool.allocate_block(order).unwrap();
            assert!(block.number().is_multiple_of(1 << order));
            assert_eq!(pool.counts().free, 64 - (1 << order));
            pool.free_block(block, order);
            assert_eq!(pool.counts().free, 64);
            assert_eq!(pool.allocate_block(7), None, "there are no more");
            assert_eq!(pool.counts().largest_order, Some(6), "a failure leaves nothing in caches");
        });
    }
}

#[test]
fn zeroed_frames_come_back_as_such_to_their_cpu() {
    with(256, |pool| {
        let (one, other) = (pool.allocate(0).unwrap(), pool.allocate(0).unwrap());
        assert_eq!(pool.allocate_zeroed(0), None, "nobody knows what is in a fresh one");
        let free = pool.counts().free;
        pool.free(0, one);
        pool.free_zeroed(0, other);
        assert_eq!(pool.counts().free, free + 2);
        assert_eq!(pool.allocate_zeroed(1), None);
        assert_eq!(pool.allocate_zeroed(0), Some(other));
        assert_eq!(pool.allocate_zeroed(0), None, "the other one was written");
        assert_eq!(pool.counts().free, free + 1);
    });
}

#[test]
fn zeroed_frames_are_found_by_whoever_wants_any() {
    with(96, |pool| {
        // More than a CPU keeps: the others become as any.
        let frames = all(pool, 0);
        frames.iter().for_each(|frame| pool.free_zeroed(0, *frame));
        assert_eq!((pool.counts().free, pool.counts().cached), (96, (ZEROED + CAPACITY) as u64));
        let zeroed = Vec::from_iter(core::iter::from_fn(|| pool.allocate_zeroed(0)));
        assert_eq!(zeroed.len(), ZEROED);
        zeroed.iter().for_each(|frame| pool.free_zeroed(0, *frame));
        let mut again = all(pool, 0);
        assert_eq!((again.len(), pool.counts().free), (96, 0));
        again.iter().for_each(|frame| pool.free_zeroed(1, *frame));
        // Another CPU's, and a block that has to be put together.
        assert!(pool.allocate_block(6).is_some());
        again = all(pool, 5);
        assert_eq!((again.len(), pool.counts().free), (32, 0));
    });
}

#[test]
fn the_largest_order_is_that_of_a_free_block() {
    with(96, |pool| {
        assert_eq!(pool.counts().largest_order, Some(6));
        let block = pool.allocate_block(6).unwrap();
        assert_eq!(pool.counts().largest_order, Some(5));
        pool.free_block(block, 6);
        assert_eq!(pool.counts().largest_order, Some(6));
    });
}

#[test]
fn no_frame_is_lost_or_given_twice_while_cpus_race() {
    // Fewer frames than the caches hold: most of what a CPU takes is in another's.
    const FRAMES: u64 = 64;
    const CPUS: usize = 3;
    with(FRAMES, |pool| {
        let owned = Vec::from_iter((0..FRAMES).map(|_| std::sync::Mutex::new(())));
        std::thread::scope(|scope| {
            for cpu in 0..CPUS {
                let owned = &owned;
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    for round in 0..2000 {
                        // Quotas: no CPU has more than its part, so nothing may be refused.
                        let part = FRAMES as usize / CPUS - round % 7;
                        while mine.len() < part {
                            let frame = pool.allocate(cpu).expect("its part is free");
                            let lock = owned[frame.number() as usize].try_lock();
                            mine.push((frame, lock.expect("it has another owner")));
                        }
                        for (frame, lock) in mine.drain(round % 5..) {
                            drop(lock);
                            pool.free(cpu, frame);
                        }
                    }
                    for (frame, lock) in mine {
                        drop(lock);
                        pool.free(cpu, frame);
                    }
                });
            }
        });
        assert_eq!(pool.counts().free, FRAMES);
        assert_eq!(all(pool, 0).len() as u64, FRAMES);
    });
}

/// Only debug builds tell a frame in a cache from an allocated one.
#[cfg(debug_assertions)]
mod wrong {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// A panic, after which nothing is lost or held.
    fn is_caught(f: impl FnOnce(&Pool<'_>)) {
        with(128, |pool| {
            assert!(catch_unwind(AssertUnwindSafe(|| f(pool))).is_err());
            let free = pool.counts().free;
            assert_eq!(all(pool, 9).len() as u64, free);
        });
    }

    #[test]
    fn a_double_free_into_a_cache_is_caught() {
        for (first, second) in [(0, 0), (0, 1)] {
            is_caught(|pool| {
                let frame = pool.allocate(0).unwrap();
                pool.free(first, frame);
                pool.free(second, frame);
            });
        }
    }

    #[test]
    fn a_frame_that_a_refill_took_is_nobodys_yet() {
        is_caught(|pool| {
            let frame = pool.allocate(0).unwrap();
            pool.free(0, Frame::new(frame.number() ^ 1));
        });
    }

    #[test]
    fn blocks_shared_frames_and_strange_ones_do_not_get_into_a_cache() {
        is_caught(|pool| pool.free(0, pool.allocate_block(3).unwrap()));
        is_caught(|pool| pool.free(0, Frame::new(pool.allocate_block(3).unwrap().number() + 1)));
        is_caught(|pool| {
            let frame = pool.allocate(0).unwrap();
            pool.books.share(frame);
            pool.free(0, frame);
        });
        is_caught(|pool| pool.free(0, Frame::new(128)));
        is_caught(|pool| pool.free(0, Frame::new(u64::MAX)));
        is_caught(|pool| pool.free(0, Frame::new(127)));
    }

    #[test]
    fn a_frame_in_a_cache_is_no_block_and_has_no_owners() {
        is_caught(|pool| {
            let frame = pool.allocate(0).unwrap();
            pool.free(0, frame);
            assert_eq!(pool.books.owners(frame), 0);
            pool.free_block(frame, 0);
        });
        is_caught(|pool| {
            let frame = pool.allocate(0).unwrap();
            pool.free(0, frame);
            pool.books.split(frame, 0, 0);
        });
        is_caught(|pool| {
            let frame = pool.allocate(0).unwrap();
            pool.free(0, frame);
            pool.books.share(frame);
        });
    }
}
