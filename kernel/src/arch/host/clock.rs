//! The time of the machine, or of a host thread that plays none of its CPUs: it passes only when a
//! test says so ([`advance`], [`set_pace`]), and never goes back: what the kernel has keeps times of the machine's last holder.
#![forbid(unsafe_code)]

use core::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

/// The latest time at which a holder gave the machine back.
static LEFT_AT: AtomicU64 = AtomicU64::new(0);

std::thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
    static PACE: Cell<u64> = const { Cell::new(0) };
}

/// Nanoseconds since boot.
pub fn nanoseconds() -> u64 {
    super::race::point();
    advance(PACE.get());
    now()
}

/// The same, for the machine itself.
pub(super) fn now() -> u64 {
    NOW.get()
}

/// A counter that goes on with the time: one tick is a nanosecond.
pub fn ticks() -> u64 {
    now()
}

/// The time at which the counter had this value.
pub fn nanoseconds_at(ticks: u64) -> u64 {
    ticks
}

/// How long so many ticks take, in nanoseconds.
pub fn duration(ticks: u64) -> u64 {
    ticks
}

/// Microseconds since boot.
pub fn microseconds() -> u64 {
    nanoseconds() / 1000
}

/// Lets `nanoseconds` pass.
pub fn advance(nanoseconds: u64) {
    NOW.set(now() + nanoseconds);
}

/// From now on the kernel finds that so many nanoseconds have passed each time it looks at the clock: so long
/// its own work takes. Until the machine has another holder.
pub fn set_pace(nanoseconds: u64) {
    PACE.set(nanoseconds);
}

/// The machine has another holder, for whom its time goes on.
pub(super) fn take_over() {
    NOW.set(LEFT_AT.load(SeqCst));
}

/// The holder gives the machine back.
pub(super) fn give_back() {
    LEFT_AT.fetch_max(NOW.replace(0), SeqCst);
    set_pace(0);
}

/// It is the time of boot, for a holder that uses nothing of the kernel's that keeps times.
pub fn start_anew() {
    NOW.set(0);
}

/// By what the time comes from a counter that programs can read: there is none.
pub fn scale() -> (u64, u64) {
    (0, 0)
}
