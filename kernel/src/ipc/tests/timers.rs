//! Timers: when they fire, what replaces what, and what becomes of them at the end. The machine's
//! time passes only while programs work or all wait, so every time is exact.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, ObjectKind, Rights, Syscall,
    arguments::LEAST_PERIOD_NS,
};

use super::{Kernel, grant, user};
use crate::{
    arch::host::clock, ipc::Timer, object::registry, sched::dispatch, tests::kernel::notification,
};

const DISARMED: u64 = u64::MAX;
const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

/// Runs a program that is given a notification.
fn run<F: Future<Output = ()> + 'static>(program: impl FnOnce(CapSlot) -> F) {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = notification(&process);
    let thread = kernel.spawn(&process, 7, program(slot));
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

/// The time at which the next signals come, and their bits.
async fn next(slot: CapSlot) -> (u64, u64) {
    let bits = user::wait_signal(slot, Never).await.unwrap();
    (clock::nanoseconds(), bits)
}

async fn none(slot: CapSlot) {
    assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock));
}

#[test]
fn a_timer_fires_once_at_its_time() {
    run(|slot| async move {
        let timer = user::timer(slot, 0b101).await.unwrap();
        none(slot).await;
        for wait in [1, 1_000, 5_000_000, 1 << 45] {
            let deadline = clock::nanoseconds() + wait;
            assert_eq!(user::set_timer(timer, deadline, 0).await, Ok(DISARMED));
            none(slot).await;
            assert_eq!(next(slot).await, (deadline, 0b101));
        }
        user::work(10_000_000).await;
        none(slot).await;
        assert_eq!(user::set_timer(timer, DISARMED, 0).await, Ok(DISARMED));
    });
}

#[test]
fn a_time_that_has_passed_is_now() {
    run(|slot| async move {
        user::work(5_000).await;
        let timer = user::timer(slot, 8).await.unwrap();
        let now = clock::nanoseconds();
        for deadline in [0, 1, now - 1, now] {
            assert_eq!(user::set_timer(timer, deadline, 0).await, Ok(DISARMED));
            assert_eq!(user::wait_signal(slot, Now).await, Ok(8), "{deadline}");
        }
        // With a period the times that have passed are one signal.
        let period = 1_000_000;
        assert_eq!(user::set_timer(timer, now - 700, period).await, Ok(DISARMED));
        assert_eq!(user::wait_signal(slot, Now).await, Ok(8));
        none(slot).await;
        assert_eq!(next(slot).await, (now - 700 + period, 8));
        assert_eq!(user::set_timer(timer, DISARMED, 0).await, Ok(now - 700 + 2 * period));
    });
}

#[test]
fn a_periodic_timer_does_not_drift_and_leaves_out_what_it_missed() {
    run(|slot| async move {
        let timer = user::timer(slot, 1).await.unwrap();
        let (start, period) = (clock::nanoseconds() + 123_457, LEAST_PERIOD_NS + 1);
        user::set_timer(timer, start, period).await.unwrap();
        for round in 0..50 {
            assert_eq!(next(slot).await, (start + round * period, 1));
            // Late, but not so late that it misses the next.
            user::work(period / 2 + round).await;
        }
        // Nobody looks for some periods: they are one signal, and then it goes on in its measure.
        user::work(7 * period).await;
        assert_eq!(user::wait_signal(slot, Now).await, Ok(1));
        none(slot).await;
        let (time, _) = next(slot).await;
        assert_eq!((time - start) % period, 0);
        assert_eq!(time, (clock::nanoseconds() - start) / period * period + start);
    });
}

#[test]
fn setting_again_replaces() {
    run(|slot| async move {
        let timer = user::timer(slot, 1).await.unwrap();
        let set = async |deadline, period| user::set_timer(timer, deadline, period).await.unwrap();
        let now = clock::nanoseconds();
        assert_eq!(set(now + 1_000, 0).await, DISARMED);
        // Later, sooner, never.
        assert_eq!(set(now + 9_000, 0).await, now + 1_000);
        user::work(5_000).await;
        none(slot).await;
        assert_eq!(set(now + 6_000, 0).await, now + 9_000);
        assert_eq!(next(slot).await, (now + 6_000, 1));
        assert_eq!(set(now + 20_000, 500_000).await, DISARMED);
        assert_eq!(set(DISARMED, 0).await, now + 20_000);
        user::work(1_000_000).await;
        none(slot).await;
        // From periodic to once, before and after its first time.
        let now = clock::nanoseconds();
        set(now + 10, 200_000).await;
        assert_eq!(next(slot).await, (now + 10, 1));
        assert_eq!(set(now + 50, 0).await, now + 200_010);
        assert_eq!(next(slot).await, (now + 50, 1));
        user::work(1_000_000).await;
        none(slot).await;
    });
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    run(|slot| async move {
        let start = clock::nanoseconds() + 1_000;
        for place in [5, 0, 63, 31, 2, 17] {
            let timer = user::timer(slot, 1 << place).await.unwrap();
            user::set_timer(timer, start + place * 10, 0).await.unwrap();
        }
        for place in [0, 2, 5, 17, 31, 63] {
            assert_eq!(next(slot).await, (start + place * 10, 1 << place));
        }
    });
}

#[test]
fn hostile_values_are_refused_or_harmless() {
    run(|slot| async move {
        let timer = user::timer(slot, u64::MAX).await.unwrap();
        for period in [1, 2, LEAST_PERIOD_NS - 1] {
            for deadline in [0, 1_000, DISARMED] {
                let refused = user::set_timer(timer, deadline, period).await;
                assert_eq!(refused, Err(Error::InvalidArgument));
                let refused = user::set_timer(CapSlot::NULL, deadline, period).await;
                assert_eq!(refused, Err(Error::InvalidArgument), "it is looked at first");
            }
        }
        none(slot).await;
        // The next time would be after the end of time.
        for period in [u64::MAX, u64::MAX - 1, 1 << 63] {
            user::work(1).await;
            user::set_timer(timer, 0, period).await.unwrap();
            assert_eq!(user::wait_signal(slot, Now).await, Ok(u64::MAX));
        }
        user::work(10_000_000).await;
        none(slot).await;
        user::set_timer(timer, u64::MAX - 1, u64::MAX).await.unwrap();
        assert_eq!(user::set_timer(timer, DISARMED, u64::MAX).await, Ok(u64::MAX - 1));
    });
}

#[test]
fn a_timer_needs_its_rights_and_its_kind() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (word, slot) = notification(&process);
    let timer = Timer::new((word, None), 1, &process.quota).unwrap();
    let powerless = grant(&process, &timer, Rights::GRANT, 0);
    let thread = kernel.spawn(&process, 7, async move {
        let timer = user::timer(slot, 1).await.unwrap();
        let inspected = user::control(Syscall::CapabilityInspect, [timer.bits(), 0, 0, 0]);
        let rights = Rights::MANAGE | Rights::GRANT;
        let [kind, allowed, badge, _] = inspected.await.unwrap();
        assert_eq!([kind, allowed, badge], [7, rights.bits().into(), 0]);
        assert_eq!(user::set_timer(powerless, 0, 0).await, Err(Error::MissingRights));
        assert_eq!(user::signal(timer, 1).await, Err(Error::WrongKind));
        let badged = user::copy(timer, CapSlot::NULL, Rights::all(), 1).await;
        assert_eq!(badged, Err(Error::AlreadyBadged), "it can't have one");
        let copy = user::copy(timer, CapSlot::NULL, Rights::all(), 0).await.unwrap();
        // One timer, two names.
        user::set_timer(copy, 1 << 60, 0).await.unwrap();
        assert_eq!(user::set_timer(timer, 0, 0).await, Ok(1 << 60));
        user::close(timer).await.unwrap();
        assert_eq!(user::wait_signal(slot, Now).await, Ok(1));
        user::set_timer(copy, clock::nanoseconds() + 5, 0).await.unwrap();
        assert_eq!(user::wait_signal(slot, Never).await, Ok(1), "the other name keeps it");
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

#[test]
fn closing_disarms() {
    run(|slot| async move {
        let before = registry::live(ObjectKind::Timer);
        for period in [0, LEAST_PERIOD_NS] {
            let timer = user::timer(slot, 1).await.unwrap();
            let now = clock::nanoseconds();
            user::set_timer(timer, now + 1_000, period).await.unwrap();
            user::close(timer).await.unwrap();
            assert_eq!(registry::live(ObjectKind::Timer), before);
            user::work(1_000_000).await;
            none(slot).await;
        }
    });
}

#[test]
fn a_timer_outlives_its_notifications_last_capability_and_then_does_nothing() {
    run(|slot| async move {
        let now = clock::nanoseconds();
        let timer = user::timer(slot, 1).await.unwrap();
        user::set_timer(timer, now + 1_000, LEAST_PERIOD_NS).await.unwrap();
        user::close(slot).await.unwrap();
        user::work(1_000_000).await;
        let armed = user::set_timer(timer, clock::nanoseconds() + 10, 0).await;
        assert_eq!(armed, Ok(DISARMED), "it has seen that nobody can be told");
        user::work(1_000).await;
        assert_eq!(user::set_timer(timer, 0, LEAST_PERIOD_NS).await, Ok(DISARMED));
        assert_eq!(user::set_timer(timer, DISARMED, 0).await, Ok(DISARMED));
    });
}

/// The fixture finds what stays behind: the process ends with timers armed, one of them due.
#[test]
fn timers_end_with_their_process() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = notification(&process);
    kernel.spawn(&process, 7, async move {
        let due = user::timer(slot, 1).await.unwrap();
        for wait in [1_000, 1_000_000, 1 << 40] {
            let timer = user::timer(slot, 2).await.unwrap();
            let now = clock::nanoseconds();
            user::set_timer(timer, now + wait, LEAST_PERIOD_NS).await.unwrap();
        }
        user::set_timer(due, clock::nanoseconds() + 1, 0).await.unwrap();
        user::exit(0).await;
    });
    kernel.run_until_idle();
    assert_eq!(registry::live(ObjectKind::Timer), 0);
}

#[test]
fn a_full_quota_makes_no_timer() {
    run(|slot| async move {
        let mut timers = Vec::new();
        let error = loop {
            match user::timer(slot, 1).await {
                Ok(timer) => timers.push(timer),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
        let live = registry::live(ObjectKind::Timer);
        assert_eq!(user::timer(slot, 1).await, Err(Error::QuotaExceeded));
        assert_eq!(registry::live(ObjectKind::Timer), live);
        for timer in &timers {
            user::set_timer(*timer, 1 << 60, LEAST_PERIOD_NS).await.unwrap();
        }
        user::close(timers[3]).await.unwrap();
        assert!(user::timer(slot, 1).await.is_ok(), "one is free again");
    });
}

#[test]
fn a_flood_of_timers_leaves_threads_their_time() {
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("flood"), kernel.process("other"));
    let (_, slot) = notification(&process);
    let (_, for_ever) = notification(&process);
    let start = clock::nanoseconds() + 1_000_000;
    let flood = kernel.spawn(&process, 9, async move {
        // As many as there can be, all at the same times.
        while let Ok(timer) = user::timer(slot, 1).await {
            user::set_timer(timer, start, LEAST_PERIOD_NS).await.unwrap();
        }
        let _ = user::wait_signal(for_ever, Never).await;
    });
    let worker = kernel.spawn(&other, 1, async move {
        let timers = registry::live(ObjectKind::Timer);
        let before = dispatch::counters().1;
        user::work(11_000_000).await;
        let interrupts = dispatch::counters().1 - before;
        // Each period would take an interrupt for each batch.
        let wanted = 100 * timers / orbital_executor::timer::BATCH as u64;
        println!("{timers} timers, {interrupts} interrupts, {wanted} without a limit");
        assert!(wanted > 2 * interrupts && interrupts > 200);
        // A quarter of each millisecond, in turns of 10 microseconds.
        assert!(interrupts <= 11 * 26, "{interrupts} interrupts in 10 ms");
        flood.kill();
    });
    kernel.run_until_idle();
    assert_eq!(worker.exit_reason(), WELL);
}
