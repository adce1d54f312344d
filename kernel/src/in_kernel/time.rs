//! The clock and the timer that ends a slice.
#![forbid(unsafe_code)]

use kernel::{
    arch::{clock, idle, timer},
    sched::dispatch,
};

use super::kernel_test;

/// How often a wait looks before it gives up: some tens of seconds, many times what is waited for.
const PATIENCE: u64 = 100_000_000;

/// Lets interrupts in until `done`; whether that came in time.
fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    (0..PATIENCE).any(|_| {
        idle::interrupt_window();
        done()
    })
}

fn timer_interrupts() -> u64 {
    dispatch::counters().1
}

/// Asks for the timer's interrupt in so long.
fn arm(microseconds: u64) {
    timer::arm(clock::nanoseconds() + microseconds * 1000);
}

/// Lets interrupts in for so long.
fn open_for(microseconds: u64) {
    let end = clock::microseconds() + microseconds;
    assert!(wait_until(|| clock::microseconds() >= end), "the clock stands still");
}

kernel_test! {
    /// The clock never goes back, and goes on.
    fn the_clock_goes_on() {
        let (mut ticks, mut now) = (clock::ticks(), clock::microseconds());
        let end = now + 20_000;
        assert!(now > 0, "it has been measured");
        let reached = (0..PATIENCE).any(|_| {
            let (next_ticks, next) = (clock::ticks(), clock::microseconds());
            assert!(next_ticks >= ticks && next >= now, "{now} and then {next}");
            (ticks, now) = (next_ticks, next);
            now >= end
        });
        assert!(reached, "the clock stands still");
    }
}

kernel_test! {
    /// The timer interrupts once, in the window that lets interrupts in, and not much too early.
    fn the_timer_fires_once() {
        open_for(1000);
        for microseconds in [1, 500, 20_000] {
            let (before, start) = (timer_interrupts(), clock::microseconds());
            arm(microseconds);
            assert!(wait_until(|| timer_interrupts() > before), "{microseconds} us");
            let took = clock::microseconds() - start;
            assert!(took >= microseconds / 2, "{took} instead of {microseconds} us");
            open_for(5000);
            assert_eq!(timer_interrupts(), before + 1, "it is no periodic timer");
        }
    }
}

kernel_test! {
    /// Nothing interrupts the kernel while it has not opened the window.
    fn interrupts_wait_for_the_window() {
        let before = timer_interrupts();
        arm(100);
        let end = clock::microseconds() + 5000;
        assert!((0..PATIENCE).any(|_| clock::microseconds() >= end));
        assert_eq!(timer_interrupts(), before);
        assert!(wait_until(|| timer_interrupts() > before), "it was lost");
    }
}

kernel_test! {
    /// A timer that was taken back does not fire, one that was armed anew fires at the later time.
    fn the_timer_can_be_changed() {
        open_for(1000);
        let before = timer_interrupts();
        arm(10_000);
        timer::disarm();
        open_for(20_000);
        assert_eq!(timer_interrupts(), before);

        arm(10_000);
        let start = clock::microseconds();
        arm(60_000);
        assert!(wait_until(|| timer_interrupts() > before));
        let took = clock::microseconds() - start;
        assert!(took >= 30_000, "after {took} us");
        open_for(20_000);
        assert_eq!(timer_interrupts(), before + 1);
    }
}

kernel_test! {
    /// Waiting for an interrupt ends with the timer's.
    fn the_timer_ends_a_wait() {
        for _ in 0..10 {
            let before = timer_interrupts();
            arm(2000);
            let woken = (0..1000).any(|_| {
                idle::wait_for_interrupt();
                timer_interrupts() > before
            });
            assert!(woken);
        }
    }
}
