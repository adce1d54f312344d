//! Mistakes that the models plant into the code, to show that they would be found. They exist under
//! `cfg(loom)` alone; a model chooses one at run time.
#![forbid(unsafe_code)]

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A lock lets everyone in.
    LockAdmitsAll,
    /// A lock's release does not publish what was written under it.
    UnlockRelaxed,

    /// A wake reads the state and then stores the next one.
    WakeStores,
    /// A wake that changes nothing does not write.
    WakeOnlyReads,
    /// A wake while the task is polled is not remembered.
    WakeForgotten,
    /// A wake of a task that is done queues it.
    WakeRevives,
    /// The end of a poll reads the state and then stores the next one.
    PollEndStores,
    /// The end of a poll does not look at the state at all.
    PollEndBlind,
    /// The end of a poll that was woken stores the next state, which cuts off the wakes before it.
    RequeueStores,
    /// A start without a wake reads the state and then stores the next one.
    UnwokenStores,
    /// A start without a wake does not see what the poll before it has done.
    UnwokenRelaxed,
    /// A start without a wake does not look at the state at all.
    UnwokenBlind,
    /// A cancelling reads the state and then stores the next one.
    CancelStores,

    /// A push reads the last one and then stores itself.
    PushStores,
    /// A push does not publish what was written before it.
    PushRelaxed,
    /// A push that lost against another one goes on with the link that it had.
    PushKeepsLink,
    /// The consumer reads the list and then empties it.
    TakeInTwoSteps,

    /// The queue's reference is counted after the task has been queued.
    RetainLate,
    /// The count of references is read and then stored.
    ReleaseStores,
    /// The last release does not see what happened before the others.
    ReleaseRelaxed,
    /// The reference of the queue of changed tasks is counted after the task has been queued.
    ChangeRetainsLate,
    /// A task is taken off the queue of changed ones after its priority was read.
    ChangeForgotten,
    /// A raise of a priority reads it and then stores the new one.
    RaiseStores,
    /// Cancelling a task also gives up the reference of a queue that it may stand on.
    CancelReleasesTwice,

    /// A waiter checks its condition before it registers, and not after.
    WaitChecksFirst,
    /// A waiter that goes away keeps a wake that it has not used.
    WaitKeepsWake,

    /// A waiter that can't register, as someone is waking, does not come again.
    CellForgetsWaiter,
    /// A registration does not see what a wake that came meanwhile was for.
    CellRelaxed,
    /// A wake takes the waker out without saying so first.
    CellTakesUnannounced,
    /// Closing does not wake who waits.
    CellClosesSilently,
    /// Closing stores over what a waiter or a waker does meanwhile.
    CellCloseStores,

    /// Who completes looks whether it is first, and then says so.
    ClaimStores,
    /// The value is announced without being published.
    ReadyRelaxed,
    /// Who waits is woken before the value is announced.
    ReadyAfterWake,

    /// A CPU checks its queue and then publishes its urgency.
    UrgencyChecksFirst,
    /// A CPU publishes its urgency by a plain store.
    UrgencyStores,
    /// A waker reads the urgency and then pushes.
    KickBeforePush,
    /// A waker kicks without asking whether it is more urgent.
    KickAlways,
    /// A waker that kicks does not say so.
    KickUnclaimed,
    /// A timer that becomes the first one is announced by a plain store.
    TimerStores,

    /// A timer looks what time it is before it takes the lock.
    TimerChecksUnlocked,
    /// Firing notes what time it is after it has given the lock back.
    FireNotesTimeLate,
}

std::thread_local! {
    // Loom runs all threads of a model on the thread of its test.
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants `bug`, and nothing else, into what this thread explores.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether `bug` is planted.
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether any is.
pub fn any() -> bool {
    PLANTED.get().is_some()
}
