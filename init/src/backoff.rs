//! How long it takes until a service is started anew.
#![forbid(unsafe_code)]

/// Who ends sooner than this after its start, in nanoseconds, has to wait longer the next time.
const LIVED: u64 = 1_000_000_000;
/// How often its usual time a service waits at the most.
const MOST_TIMES: u64 = 100;

/// The wait of one service: the usual one first, then doubled as long as it ends soon.
#[derive(Clone, Debug)]
pub struct Backoff {
    usual: u64,
    next: u64,
}

impl Backoff {
    /// Of a service that waits `usual` nanoseconds.
    pub const fn new(usual: u64) -> Self {
        Self { usual, next: usual }
    }

    /// How long it waits, in nanoseconds, having ended `lived` nanoseconds after its start.
    pub fn wait(&mut self, lived: u64) -> u64 {
        if lived >= LIVED {
            self.next = self.usual;
        }
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.usual.saturating_mul(MOST_TIMES));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_at_once_waits_longer_and_longer_up_to_a_hundred_times() {
        let mut backoff = Backoff::new(100);
        let waits: [u64; 9] = core::array::from_fn(|_| backoff.wait(LIVED - 1));
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }

    #[test]
    fn who_lives_for_a_while_starts_over() {
        let mut backoff = Backoff::new(100);
        assert_eq!([0, 0, 0].map(|lived| backoff.wait(lived)), [100, 200, 400]);
        assert_eq!([LIVED, 0, u64::MAX].map(|lived| backoff.wait(lived)), [100, 200, 100]);
    }

    #[test]
    fn none_stays_none_and_much_does_not_wrap() {
        let mut none = Backoff::new(0);
        assert_eq!([0, 0, LIVED].map(|lived| none.wait(lived)), [0, 0, 0]);
        let mut much = Backoff::new(u64::MAX / 2);
        assert_eq!([0, 0, 0].map(|lived| much.wait(lived)), [u64::MAX / 2, u64::MAX - 1, u64::MAX]);
    }
}
