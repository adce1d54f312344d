//! Futures with a deadline.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use super::{queue::TimerQueue, sleep::Sleep};

/// The deadline came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline came first")
    }
}

impl core::error::Error for Elapsed {}

/// Waits for `future`, or until `queue` was told that it is `deadline` (in nanoseconds) or later:
/// whichever is first, and for the future if both are. The future is dropped with the result's own,
/// not at the deadline.
///
/// ```
/// use orbital_executor::timer::{Elapsed, TimerQueue, timeout_at};
///
/// static TIMERS: TimerQueue = TimerQueue::new();
/// async fn ask() -> Result<u32, Elapsed> {
///     timeout_at(&TIMERS, 1_000_000, std::future::pending()).await
/// }
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # let mut asking = std::pin::pin!(ask());
/// # assert!(asking.as_mut().poll(&mut context).is_pending());
/// assert_eq!(TIMERS.next_deadline(), 1_000_000);
/// assert_eq!(TIMERS.fire(1_000_000), 1);
/// # assert_eq!(asking.as_mut().poll(&mut context), std::task::Poll::Ready(Err(Elapsed)));
/// ```
pub const fn timeout_at<F>(queue: &TimerQueue, deadline: u64, future: F) -> Timeout<'_, F> {
    Timeout { sleep: queue.sleep_until(deadline), future }
}

/// The future of [`timeout_at`].
#[must_use = "futures do nothing unless awaited"]
pub struct Timeout<'q, F> {
    sleep: Sleep<'q>,
    future: F,
}

impl<F: Future> Future for Timeout<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: both are pinned with this future, and neither is moved.
        let (sleep, future) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.sleep), Pin::new_unchecked(&mut this.future))
        };
        if let Poll::Ready(output) = future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        sleep.poll(context).map(|()| Err(Elapsed))
    }
}
