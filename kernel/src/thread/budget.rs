//! How much of a CPU a thread may use: a budget in each period, by the rules of the constant-bandwidth
//! server (L. Abeni, G. Buttazzo, "Integrating multimedia applications in hard real-time systems",
//! RTSS 1998), made hard: who has used it up waits, even with nobody else to run.
//!
//! ```text
//!   |◄── period ──►|◄── period ──►|         a period follows the last one while the thread wants to
//!   ██░░░░░░░░░░░░░██░░░░░░░░░░░░░██        run, and begins when it wakes after that has ended
//!   budget, waits
//! ```
//! What a thread runs too long before it is stopped is taken off its next budget, so that the share
//! holds in the long run.

use core::pin::Pin;

use orbital_abi::{Error, ObjectKind};
use orbital_executor::timer::TimerNode;
use spin::Mutex;

use crate::object::{Header, Object, Paid, Quota, Ref};

/// What a thread may use: so many nanoseconds of each so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Nanoseconds of CPU time.
    pub budget: u64,
    /// In so many nanoseconds.
    pub period: u64,
}

impl Share {
    /// The least budget, in nanoseconds: a thread with less would do little but be switched to.
    pub const MIN_BUDGET: u64 = 50_000;
    /// The longest period, in nanoseconds: an hour.
    pub const MAX_PERIOD: u64 = 3_600_000_000_000;

    /// A share, if it is within the limits.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn new(budget: u64, period: u64) -> Result<Self, Error> {
        let fits = (Self::MIN_BUDGET..=period).contains(&budget) && period <= Self::MAX_PERIOD;
        if fits { Ok(Self { budget, period }) } else { Err(Error::InvalidArgument) }
    }
}

/// A share, and what is used of it. All times are in nanoseconds since boot.
#[derive(Debug)]
pub struct Account {
    share: Share,
    /// Time used in this period; with what was too much in those before.
    used: u64,
    /// When this period ends.
    end: u64,
}

impl Account {
    /// Nothing is used of a period that begins at `now`.
    pub const fn new(share: Share, now: u64) -> Self {
        Self { share, used: 0, end: now.saturating_add(share.period) }
    }

    /// What is left in this period.
    pub const fn left(&self) -> u64 {
        self.share.budget.saturating_sub(self.used)
    }

    /// Whether nothing is left in this period, which goes on.
    pub const fn is_used_up(&self, now: u64) -> bool {
        self.left() == 0 && now < self.end
    }

    /// When this period ends.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// The next period begins, at `start`.
    const fn begin(&mut self, start: u64) {
        self.used = self.used.saturating_sub(self.share.budget);
        self.end = start.saturating_add(self.share.period);
    }

    /// The thread is about to run or to wait for its turn. If it did not want to when its period ended,
    /// another one begins now; if it had used its budget up, the next one has begun at that time.
    pub fn wants_to_run(&mut self, now: u64) {
        if now >= self.end {
            let follows = self.left() == 0 && now - self.end < self.share.period;
            self.begin(if follows { self.end } else { now });
        }
    }

    /// The thread has run from `since` to `now`, perhaps into its next period.
    pub fn has_run(&mut self, since: u64, now: u64) {
        let mut since = since;
        if now >= self.end {
            let end = self.end;
            self.used += end.saturating_sub(since);
            let start = if now - end < self.share.period { end } else { now };
            self.begin(start);
            since = since.max(start);
        }
        self.used += now.saturating_sub(since);
    }
}

/// A thread's account, which any CPU charges that runs something for it.
#[repr(C)]
pub struct SharedAccount {
    header: Header,
    account: Mutex<Account>,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for SharedAccount {
    const KIND: Option<ObjectKind> = None;
}

impl SharedAccount {
    /// In the memory of `quota`, which pays for it.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(account: Account, quota: &Ref<Quota>) -> Result<Ref<Self>, Error> {
        let account = Mutex::new(account);
        Ref::new_in(quota, Self { header: Header::new::<Self>(), account })
    }

    /// Runs `f` on the account.
    pub fn with<R>(&self, f: impl FnOnce(&mut Account) -> R) -> R {
        f(&mut self.account.lock())
    }
}

/// A thread's budget. Only those that have one pay for it.
pub struct Budget {
    account: Ref<SharedAccount>,
    timer: TimerNode<'static>,
}

impl Budget {
    /// A budget of which nothing is used at `now`, paid by `quota`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(share: Share, now: u64, quota: &Ref<Quota>) -> Result<Pin<Paid<Self>>, Error> {
        let account = SharedAccount::new(Account::new(share, now), quota)?;
        let budget = Self { account, timer: TimerNode::new() };
        Paid::new(budget, quota).map(Paid::into_pin)
    }

    /// What is used.
    pub fn account(&self) -> &Ref<SharedAccount> {
        &self.account
    }

    /// The timer that lets the thread go on with its next period.
    pub fn timer(self: Pin<&mut Self>) -> Pin<&mut TimerNode<'static>> {
        // SAFETY: it is pinned with the budget, and nothing moves it.
        unsafe { self.map_unchecked_mut(|budget| &mut budget.timer) }
    }
}

/// A budget that a thread shall have, or that it shall have none.
pub type Wanted = Option<Pin<Paid<Budget>>>;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn account() -> Account {
        Account::new(Share::new(2 * MS, 10 * MS).unwrap(), 100 * MS)
    }

    #[test]
    fn shares_have_limits() {
        for (budget, period) in [
            (0, 0),
            (0, MS),
            (Share::MIN_BUDGET - 1, MS),
            (MS + 1, MS),
            (MS, Share::MAX_PERIOD + 1),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(
                Share::new(budget, period),
                Err(Error::InvalidArgument),
                "{budget} {period}"
            );
        }
        for (budget, period) in [
            (Share::MIN_BUDGET, Share::MIN_BUDGET),
            (MS, MS),
            (Share::MAX_PERIOD, Share::MAX_PERIOD),
            (Share::MIN_BUDGET, Share::MAX_PERIOD),
        ] {
            assert!(Share::new(budget, period).is_ok());
        }
    }

    #[test]
    fn a_thread_that_always_wants_to_run_gets_its_share_of_each_period() {
        let mut account = account();
        for round in 0..100 {
            let start = (100 + 10 * round) * MS;
            account.wants_to_run(start);
            assert_eq!((account.left(), account.end()), (2 * MS, start + 10 * MS), "{round}");
            account.has_run(start, start + MS);
            assert_eq!(account.left(), MS);
            account.has_run(start + 3 * MS, start + 4 * MS);
            assert_eq!(account.left(), 0);
        }
    }

    #[test]
    fn what_was_too_much_is_taken_off_the_next_budget() {
        let mut account = account();
        account.has_run(100 * MS, 103 * MS);
        assert_eq!(account.left(), 0);
        account.wants_to_run(110 * MS);
        assert_eq!((account.left(), account.end()), (MS, 120 * MS));
        account.has_run(110 * MS, 115 * MS);
        for start in [120, 130] {
            account.wants_to_run(start * MS);
            assert_eq!(account.left(), 0, "it used four periods' worth in two");
        }
        account.wants_to_run(140 * MS);
        assert_eq!((account.left(), account.end()), (2 * MS, 150 * MS));
    }

    #[test]
    fn a_period_begins_with_the_wake_after_a_pause() {
        let mut account = account();
        account.has_run(100 * MS, 101 * MS);
        account.wants_to_run(109 * MS);
        assert_eq!((account.left(), account.end()), (MS, 110 * MS), "it is not over");
        account.wants_to_run(157 * MS);
        assert_eq!((account.left(), account.end()), (2 * MS, 167 * MS));
    }

    #[test]
    fn a_run_into_the_next_period_is_charged_to_both() {
        let mut account = account();
        // The old period has a millisecond left when it ends: that is lost.
        account.has_run(109 * MS, 111 * MS);
        assert_eq!((account.left(), account.end()), (MS, 120 * MS));
    }

    #[test]
    fn who_comes_much_too_late_begins_anew() {
        let mut account = account();
        account.has_run(100 * MS, 102 * MS);
        account.wants_to_run(135 * MS);
        assert_eq!((account.left(), account.end()), (2 * MS, 145 * MS));
        account.has_run(135 * MS, 500 * MS);
        assert_eq!(account.end(), 510 * MS);
        assert!(account.left() <= 2 * MS);
    }

    /// The time that a thread gets is never more than its share and one budget.
    #[test]
    fn no_pattern_of_running_and_waiting_gets_more_than_the_share() {
        let mut random = 1_u64;
        let mut next = |end: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % end
        };
        for _ in 0..200 {
            let (mut account, mut now, mut ran) = (account(), 100 * MS, 0);
            let start = now;
            for _ in 0..200 {
                account.wants_to_run(now);
                if account.left() == 0 {
                    now = account.end();
                    continue;
                }
                // Stopped up to 10 microseconds too late.
                let runs = (1 + next(3 * MS)).min(account.left()) + next(10_000);
                account.has_run(now, now + runs);
                (now, ran) = (now + runs, ran + runs);
                if next(3) == 0 {
                    now += next(15 * MS);
                }
            }
            let periods = (now - start) / (10 * MS) + 2;
            assert!(ran <= periods * 2 * MS, "{ran} in {periods} periods");
        }
    }
}
