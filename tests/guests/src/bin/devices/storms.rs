//! Interrupts on several CPUs, and all that can be done to a line while they come as fast as can be.

use core::{
    iter::zip,
    mem::ManuallyDrop,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use alloc::vec::Vec;
use guests::{
    children,
    counters::Counters,
    cpus::{bit, count, pairs, scaled, seed, until},
    own_thread,
    random::Random,
    threads::{MIDDLE, at},
};
use orbital_user::{
    CapSlot, Error, Interrupt, MemoryObject, Notification, Rights,
    abi::{arguments::DeviceCache, layout::PAGE_SIZE},
    capability::revoke,
    clock,
};

use super::sources::{Clock, bound};

/// Bound on each CPU, and waited for on each.
pub(super) fn a_driver_hears_of_its_device_wherever_it_runs() {
    let clock = Clock::new();
    clock.start().unwrap();
    let line = Interrupt::create(Clock::LINE).unwrap();
    let word = Notification::create().unwrap();
    for (binds, waits) in pairs() {
        own_thread().set_affinity(bit(binds)).unwrap();
        line.bind(&word, 1).unwrap();
        own_thread().set_affinity(bit(waits)).unwrap();
        clock.see().unwrap();
        for _ in 0..10 {
            assert_eq!(word.wait(), Ok(1), "bound on {binds}, waited for on {waits}");
            line.acknowledge().unwrap();
            clock.see().unwrap();
        }
    }
    clock.stop().unwrap();
}

static IS_OVER: AtomicBool = AtomicBool::new(false);

fn interrupt(slot: CapSlot) -> ManuallyDrop<Interrupt> {
    ManuallyDrop::new(Interrupt::from_slot(slot))
}

/// Threads on all CPUs bind, unbind, acknowledge and close the line in each other's way.
pub(super) fn a_line_is_bound_and_closed_while_it_storms() {
    let clock = Clock::new();
    clock.start().unwrap();
    let words: [_; 2] = core::array::from_fn(|_| Notification::create().unwrap());
    let [one, other] = words.each_ref().map(Notification::slot);
    let copies = words.each_ref().map(|word| word.copy(Rights::all(), 0).unwrap());
    let (rounds, seed) = (scaled(3_000), seed());
    let mut line = Interrupt::create(Clock::LINE).unwrap();
    for round in 0..rounds / 100 {
        IS_OVER.store(false, Relaxed);
        let slot = line.slot();
        let hands: Vec<_> = (0..count() as u64 + 1)
            .map(|hand| {
                at(MIDDLE, move || {
                    let mut random = Random::new(seed ^ round << 8 ^ hand);
                    let line = interrupt(slot);
                    let words =
                        [one, other].map(|it| ManuallyDrop::new(Notification::from_slot(it)));
                    while !IS_OVER.load(Relaxed) {
                        // Whatever each gives: another one may have been quicker.
                        let word = &words[random.below(2) as usize];
                        let _ = match random.below(6) {
                            0 => line.unbind(),
                            1 | 2 => line.bind(word, 1 + random.below(7)),
                            3 => word.wait_until(clock::now() + 200_000).map(|_| ()),
                            _ => line.acknowledge(),
                        };
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            clock.see().unwrap();
            copies[0].copy(Rights::SEND, 0).map(|copy| line.bind(&copy, 1)).unwrap().unwrap();
        }
        revoke(copies[0].slot()).unwrap();
        // In the middle of it all.
        drop(line);
        line = Interrupt::create(Clock::LINE).unwrap();
        IS_OVER.store(true, Relaxed);
        hands.into_iter().for_each(|hand| hand.join().unwrap());
    }
    let _ = words[0].poll();
    line.bind(&words[0], 8).unwrap();
    clock.see().unwrap();
    assert_eq!(words[0].wait(), Ok(8), "it goes on as ever");
    clock.stop().unwrap();
}

/// Each at another moment; the next one gets the line as if there had been none.
pub(super) fn drivers_are_killed_while_their_device_storms() {
    let clock = Clock::new();
    clock.start().unwrap();
    let told = Notification::create().unwrap();
    let mut random = Random::new(seed());
    let mut before = None;
    for round in 0..scaled(200) {
        let line = Interrupt::create(Clock::LINE).unwrap();
        let child = children::start("drives", |spawn| {
            spawn
                .grant(line.slot(), Rights::all(), 0)
                .grant(clock.0.slot(), Rights::READ | Rights::WRITE, 0)
                .grant(told.slot(), Rights::SEND, 0)
        });
        drop(line);
        told.wait().unwrap();
        let end = clock::now() + random.below(500_000);
        until(|| clock::now() >= end);
        child.process.kill().unwrap();
        child.wait().unwrap();
        drop(child);
        let objects = || Counters::now().objects;
        if round == 0 {
            before = Some(objects());
        }
        // What was counted right after the first one's end may have been going still, so there may be fewer.
        until(|| zip(objects(), before.unwrap_or_default()).all(|(now, first)| now <= first));
    }
    let (_line, word) = bound(Clock::LINE, 1);
    clock.see().unwrap();
    assert_eq!(word.wait(), Ok(1));
    clock.stop().unwrap();
}

/// The high-precision timer of QEMU's q35 (IA-PC HPET specification 1.0a, 2.3): its second comparator by level.
struct Hpet(u64);

const HPET: u64 = 0xfed0_0000;
const CONFIGURATION: u64 = 0x10;
const STATUS: u64 = 0x20;
const COUNTER: u64 = 0xf0;
const SECOND: u64 = 0x120;
/// By level, and its interrupts are on.
const LEVEL: u64 = 1 << 1 | 1 << 2;
const LINE: u64 = 20;

impl Hpet {
    fn write(&self, register: u64, value: u64) {
        // SAFETY: the timer's registers are mapped as long as the case runs.
        unsafe { ((self.0 + register) as *mut u64).write_volatile(value) }
    }

    /// Makes it want something soon, and until it is told.
    fn ask(&self) {
        self.write(CONFIGURATION, 0);
        self.write(COUNTER, 0);
        self.write(SECOND, LINE << 9 | LEVEL);
        self.write(SECOND + 8, 1_000);
        self.write(CONFIGURATION, 1);
    }

    fn quieten(&self) {
        self.write(STATUS, 1 << 1);
    }
}

pub(super) fn a_level_comes_again_until_the_device_is_content() {
    let device = MemoryObject::device(HPET, PAGE_SIZE, DeviceCache::Uncached).unwrap();
    let mapped = device.map_write(PAGE_SIZE).unwrap();
    let hpet = Hpet(mapped.address());
    let (line, word) = bound(LINE, 1);
    for _ in 0..20 {
        hpet.ask();
        for _ in 0..5 {
            assert_eq!(word.wait(), Ok(1));
            assert_eq!(word.poll(), Err(Error::WouldBlock), "it waits for the acknowledgement");
            line.acknowledge().unwrap();
        }
        // Who binds it finds it wanting, too.
        line.unbind().unwrap();
        let _ = word.poll();
        line.bind(&word, 1).unwrap();
        assert_eq!(word.wait(), Ok(1));
        hpet.quieten();
        line.acknowledge().unwrap();
        assert_eq!(word.poll(), Err(Error::WouldBlock));
    }
    hpet.write(CONFIGURATION, 0);
}
