//! A thread's executor: runs its tasks, keeps its timers, and rests.

use alloc::{boxed::Box, sync::Arc, task::Wake};
use core::{
    cell::OnceCell,
    mem::ManuallyDrop,
    pin::pin,
    sync::atomic::{
        AtomicBool,
        Ordering::{AcqRel, Acquire},
    },
    task::{Context, Poll, Waker},
};

use orbital_abi::{Deadline, Error};
use orbital_executor::{
    executor::{Executor, Owner, Task, TaskHandle},
    timer::{Elapsed, TimerQueue, timeout_at},
    urgency::{IDLE, Urgency},
};

use super::signals::{self, WAKE};
use crate::{capability, clock, local::LocalKey, notification::Notification};

/// How many tasks are polled before the thread looks at its own future and the clock again.
const BUDGET: usize = 32;
/// How urgent the future of [`block_on`] is: as any task.
const ANY: usize = 1;

/// What a thread has that runs tasks. Never freed: wakers may be anywhere.
pub(super) struct Local {
    tasks: Executor,
    timers: TimerQueue,
    urgency: Urgency,
    /// Ends the thread's rest. Closed when the thread ends: then a wake finds nothing.
    pub(super) notification: ManuallyDrop<Notification>,
}

/// What stands in a thread's block.
struct Mine {
    local: &'static Local,
    owner: Owner,
}

impl Drop for Mine {
    fn drop(&mut self) {
        // It can't be closed yet.
        let _ = capability::close(self.local.notification.slot());
    }
}

static LOCAL: LocalKey<OnceCell<Mine>> = LocalKey::new(OnceCell::new);

/// The calling thread's executor.
///
/// # Panics
/// Where there is no memory for one.
pub(super) fn local() -> &'static Local {
    mine().0
}

fn mine() -> (&'static Local, Owner) {
    LOCAL.with(|mine| {
        let mine = mine.get_or_init(|| Local::start().expect("memory for an executor"));
        (mine.local, mine.owner)
    })
}

impl Local {
    fn start() -> Result<Mine, Error> {
        let local: &'static Self = Box::leak(Box::new(Self {
            tasks: Executor::with(Some(tell), None),
            timers: TimerQueue::new(),
            urgency: Urgency::new(),
            notification: ManuallyDrop::new(Notification::create()?),
        }));
        let owner = local.tasks.claim(core::ptr::from_ref(local) as usize).expect("it is new");
        Ok(Mine { local, owner })
    }

    /// Something of that urgency was pushed.
    fn kick(&self, urgency: usize) {
        if self.urgency.must_kick(urgency) {
            // Its thread has ended, and closed it, or there is one.
            let _ = self.notification.signal(WAKE);
        }
    }

    /// Does what is due; waits for something where nothing is.
    fn turn(&self, owner: Owner, may_rest: impl Fn() -> bool) {
        let fired = self.timers.fire(clock::now());
        let polled = owner.poll_ready(BUDGET);
        let is_idle = || may_rest() && !self.tasks.has_work();
        let rests = fired + polled == 0 && self.urgency.settle(IDLE, is_idle);
        let until =
            if rests { Deadline::from_bits(self.timers.next_deadline()) } else { Deadline::Now };
        if rests || signals::are_awaited() {
            let came = self.notification.take(until).unwrap_or(0);
            signals::came(came & !WAKE);
        }
        self.urgency.look_out();
    }
}

/// For [`Executor::with`]: the owner's number is the address of its [`Local`].
fn tell(owner: usize, urgency: usize) {
    // SAFETY: the number that it has claimed with; it is never freed.
    let local = unsafe { &*(owner as *const Local) };
    local.kick(urgency);
}

/// Wakes the future of [`block_on`].
struct Root {
    local: &'static Local,
    is_woken: AtomicBool,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, AcqRel) {
            self.local.kick(ANY);
        }
    }
}

/// Runs `future` on the calling thread until it is ready, and meanwhile the tasks that the thread has [spawned](spawn).
/// Those that are not done go on in the next call.
///
/// # Panics
/// Where there is no memory for the thread's executor.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let (local, owner) = mine();
    let root = Arc::new(Root { local, is_woken: AtomicBool::new(true) });
    let waker = Waker::from(Arc::clone(&root));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if root.is_woken.swap(false, AcqRel)
            && let Poll::Ready(output) = future.as_mut().poll(&mut context)
        {
            return output;
        }
        local.turn(owner, || !root.is_woken.load(Acquire));
    }
}

/// Runs `future` as a task of the calling thread, while that is in [`block_on`]. The handle can cancel it; dropped, it lets
/// it run on.
///
/// # Panics
/// Where there is no memory for the thread's executor or the task.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> TaskHandle {
    let (_, owner) = mine();
    owner.spawn(Box::pin(Task::new(future)))
}

/// Waits until `deadline`, in nanoseconds since boot.
pub async fn sleep_until(deadline: u64) {
    local().timers.sleep_until(deadline).await;
}

/// Waits for so many nanoseconds.
pub async fn sleep(nanoseconds: u64) {
    sleep_until(clock::now().saturating_add(nanoseconds)).await;
}

/// Waits for `future`, for so many nanoseconds at the most.
///
/// # Errors
/// [`Elapsed`]; the future is dropped then.
pub async fn timeout<F: Future>(nanoseconds: u64, future: F) -> Result<F::Output, Elapsed> {
    let deadline = clock::now().saturating_add(nanoseconds);
    timeout_at(&local().timers, deadline, future).await
}
