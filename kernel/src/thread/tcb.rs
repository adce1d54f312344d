//! The thread control block: everything of a thread, blocked or not. A blocked one holds no stack
//! in the kernel, only the future in its slot.

use core::{
    mem::offset_of,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

use orbital_abi::{Error, ObjectKind, trace::EventKind};
use orbital_executor::{
    task::{TaskHeader, TaskVtable},
    wait_queue::WaitUntil,
};
use spin::Mutex;

use super::{
    BlockReason, ThreadId,
    control::Control,
    home::HomeCell,
    owed::OwedCell,
    page::PageCell,
    queued_at::QueuedAt,
    ready_queue::Link,
    registers::RegisterCell,
    state::ThreadState,
    ties::Life,
    wait::Wait,
    waiting_queue::{Level, Place},
};
use crate::{
    arch::{self, SavedRegisters},
    object::{Header, Object, Ref},
    percpu::MAX_CPUS,
    process::{Belongs, Member, Process},
    trace,
};

/// Above it stand the states; below, in the place of [`ThreadState::Blocked`], the number of a CPU: see
/// [`Tcb::set_blocked_plain`].
const STATES: u8 = 0x80;
const _: () = assert!(MAX_CPUS <= STATES as usize);
/// In the place of [`ThreadState::Preempted`]: see [`Tcb::set_yielded`].
const YIELDED: u8 = STATES | 6;
/// The same: see [`Tcb::set_answered`].
const ANSWERED: u8 = STATES | 7;

/// How a state is stored.
const fn stored(state: ThreadState) -> u8 {
    STATES | state as u8
}

const INACTIVE: u8 = stored(ThreadState::Inactive);
const WOKEN: u8 = stored(ThreadState::Woken);
const PREEMPTED: u8 = stored(ThreadState::Preempted);
const RUNNING: u8 = stored(ThreadState::Running);
const ENDED: u8 = stored(ThreadState::Ended);

/// A thread.
#[repr(C)]
pub struct Tcb {
    header: Header,
    /// What wakers point to.
    task: TaskHeader,
    pub(super) registers: RegisterCell,
    pub(super) wait: Wait,
    /// Where it stands while it is ready, and while it waits for others.
    pub(super) link: Link,
    pub(super) place: Place,
    pub(super) level: Level,
    state: AtomicU8,
    /// A notification is among its ties.
    pub(super) has_notification: AtomicBool,
    /// It has floating point, or had segment registers that were not null when it left a CPU last. Its CPU's; here,
    /// where there is room.
    pub(super) has_own_registers: AtomicBool,
    /// The CPU that has it: there alone it runs and its operation is polled. That CPU gives it away
    /// while it is ready.
    home: AtomicU8,
    /// How long it has run, in ticks of the clock. Its CPU's to change.
    pub(super) time: AtomicU64,
    /// What others ask its CPU to do with it.
    pub(super) control: Control,
    /// By this it stands on its CPU's queue of threads with requests.
    request: TaskHeader,
    /// Names it in the log and in dumps.
    pub id: ThreadId,
    /// Whose it is.
    pub process: Ref<Process>,
    /// Its place among that process's threads.
    member: Member,
    /// The call that it has taken and not answered.
    pub(super) owed: OwedCell,
    /// Its message page.
    pub(super) page: PageCell,
    /// What it waits for: a [`BlockReason`].
    pub(super) reason: AtomicU64,
    /// Since when, by the raw counter.
    pub(super) since: AtomicU64,
    /// What it is tied to, or why it ended.
    pub(super) life: Mutex<Life>,
    /// What it waits for until its call is taken.
    pub(super) queued_at: QueuedAt,
    /// Touched only by the CPU that has the thread.
    pub(super) local: HomeCell,
}

// SAFETY: `home` is touched only through `Current`, which proves that this CPU has the thread;
// everything else is `Sync` by itself. Futures are dropped and polled on the home CPU alone.
unsafe impl Sync for Tcb {}
// SAFETY: as above; the last reference can be dropped anywhere because an ended thread's slot is
// empty.
unsafe impl Send for Tcb {}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Tcb {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Thread);

    fn orphaned(&self) {
        self.kill();
    }
}

// SAFETY: it is the field.
unsafe impl Belongs for Tcb {
    fn member(&self) -> &Member {
        &self.member
    }
}

static VTABLE: TaskVtable =
    TaskVtable { schedule: queue_woken, retain: retain_task, release: release_task };

static REQUEST_VTABLE: TaskVtable =
    TaskVtable { schedule: queue_request, retain: keep_request, release: drop_request };

unsafe extern "Rust" {
    /// Puts a woken thread on the wake queue of its CPU. In `sched`.
    safe fn orbital_thread_woken(thread: Ref<Tcb>);
    /// Puts a thread with a request on its CPU's queue. In `sched`.
    safe fn orbital_thread_requested(thread: Ref<Tcb>);
}

fn from_request(request: NonNull<TaskHeader>) -> NonNull<Tcb> {
    // SAFETY: the vtable belongs to the request nodes of TCBs alone.
    unsafe { request.byte_sub(offset_of!(Tcb, request)).cast() }
}

unsafe fn queue_request(request: NonNull<TaskHeader>) {
    // SAFETY: whoever asks holds a reference.
    orbital_thread_requested(Ref::from_object(unsafe { from_request(request).as_ref() }));
}

unsafe fn keep_request(request: NonNull<TaskHeader>) {
    // SAFETY: as above.
    core::mem::forget(Ref::from_object(unsafe { from_request(request).as_ref() }));
}

unsafe fn drop_request(request: NonNull<TaskHeader>) {
    // SAFETY: takes back what `keep_request` forgot.
    drop(unsafe { Ref::from_raw(from_request(request)) });
}

fn from_task(task: NonNull<TaskHeader>) -> NonNull<Tcb> {
    // SAFETY: the vtable belongs to the task headers of TCBs alone.
    unsafe { task.byte_sub(offset_of!(Tcb, task)).cast() }
}

unsafe fn queue_woken(task: NonNull<TaskHeader>) {
    // SAFETY: whoever woke it holds a reference.
    orbital_thread_woken(Ref::from_object(unsafe { from_task(task).as_ref() }));
}

unsafe fn retain_task(task: NonNull<TaskHeader>) {
    // SAFETY: whoever clones a waker holds one, and so a reference.
    core::mem::forget(Ref::from_object(unsafe { from_task(task).as_ref() }));
}

unsafe fn release_task(task: NonNull<TaskHeader>) {
    // SAFETY: takes back what `retain_task` forgot.
    drop(unsafe { Ref::from_raw(from_task(task)) });
}

impl Tcb {
    /// Where its registers are.
    pub(super) const REGISTERS: usize = offset_of!(Self, registers);

    /// A thread of `process` that starts with `registers` once it is started, on the CPUs of `affinity`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]; [`Error::Ended`] when the process is ending.
    pub fn new(
        process: &Ref<Process>,
        registers: SavedRegisters,
        priority: u8,
        affinity: u64,
    ) -> Result<Ref<Self>, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let thread = Self {
            header: Header::new::<Self>(),
            // SAFETY: the vtable is for the headers of TCBs, as this one is.
            task: unsafe { TaskHeader::new(&VTABLE) },
            registers: RegisterCell::new(registers),
            wait: Wait::new(),
            link: Link::new(),
            place: Place::new(),
            level: Level::new(),
            state: AtomicU8::new(stored(ThreadState::Inactive)),
            has_notification: AtomicBool::new(false),
            has_own_registers: AtomicBool::new(false),
            home: AtomicU8::new(arch::cpu_index() as u8),
            time: AtomicU64::new(0),
            control: Control::new(priority, affinity),
            // SAFETY: the vtable is for the request nodes of TCBs, as this one is.
            request: unsafe { TaskHeader::new(&REQUEST_VTABLE) },
            id: ThreadId(0),
            process: process.clone(),
            member: Member::new(),
            owed: OwedCell::new(),
            page: PageCell::new(),
            reason: AtomicU64::new(BlockReason::Working.to_bits()),
            since: AtomicU64::new(0),
            life: Mutex::new(Life::new()),
            queued_at: QueuedAt::new(),
            local: HomeCell::new(),
        };
        let thread = Ref::new_in(&process.quota, thread)?;
        let tcb = thread.clone().into_raw();
        // SAFETY: `into_raw` gave it; it is new, and has this one process. Nobody else knows of it when it gets its number.
        unsafe {
            process.add_thread(Ref::from_raw(tcb), || {
                let number = ThreadId(NEXT.fetch_add(1, Ordering::Relaxed));
                (&raw mut (*tcb.as_ptr()).id).write(number);
            })?;
        }
        Ok(thread)
    }

    /// What it is doing.
    #[inline]
    pub fn state(&self) -> ThreadState {
        match self.state.load(Ordering::Acquire) {
            INACTIVE => ThreadState::Inactive,
            WOKEN => ThreadState::Woken,
            PREEMPTED | YIELDED | ANSWERED => ThreadState::Preempted,
            RUNNING => ThreadState::Running,
            ENDED => ThreadState::Ended,
            _ => ThreadState::Blocked,
        }
    }

    /// It waits for its turn after a yield, its answer is written, and nothing that can be asked of a thread keeps it
    /// from going on. For its CPU, which takes this back before it does what is asked.
    #[inline(always)]
    pub fn set_yielded(&self) {
        self.state.store(YIELDED, Ordering::Release);
    }

    /// Whether it does.
    #[inline(always)]
    pub fn has_yielded(&self) -> bool {
        self.state.load(Ordering::Acquire) == YIELDED
    }

    /// The same after a leaf wait: its answer is written, and its operation stands in the slot and is over. The poll of
    /// that was started.
    #[inline(always)]
    pub fn set_answered(&self) {
        self.state.store(ANSWERED, Ordering::Release);
    }

    /// Whether it does.
    #[inline(always)]
    pub fn is_answered(&self) -> bool {
        self.state.load(Ordering::Acquire) == ANSWERED
    }

    /// It is blocked, and plain: `cpu`, which has it, may let it go on without a look at anything that can be asked
    /// of a thread. For that CPU, which takes this back before it does what is asked.
    #[inline(always)]
    pub fn set_blocked_plain(&self, cpu: usize) {
        self.state.store(cpu as u8, Ordering::Release);
    }

    /// Whether it is, and `cpu` is the one that has it.
    #[inline(always)]
    pub fn is_blocked_plain(&self, cpu: usize) -> bool {
        self.state.load(Ordering::Acquire) == cpu as u8
    }

    /// Changes what it is doing. For its CPU's dispatcher.
    pub fn set_state(&self, state: ThreadState) {
        self.state.store(stored(state), Ordering::Release);
    }

    /// Lets it run for the first time.
    ///
    /// # Errors
    /// [`Error::AlreadyStarted`]; [`Error::Ended`].
    pub fn start(&self) -> Result<(), Error> {
        match self.state.compare_exchange(INACTIVE, WOKEN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                trace::note(EventKind::ThreadStart, self.who(), [0; 3]);
                self.wake();
                Ok(())
            }
            Err(ENDED) => Err(Error::Ended),
            Err(_) => Err(Error::AlreadyStarted),
        }
    }

    /// Wakes it: from anywhere, without memory, without waiting, and never twice.
    pub fn wake(&self) {
        // SAFETY: the pointer is for the whole TCB, and the caller's reference keeps it.
        unsafe { TaskHeader::wake(self.task_pointer()) };
    }

    /// The task that its wakers point to.
    pub fn task(&self) -> &TaskHeader {
        &self.task
    }

    /// The same, as a pointer that is good for the whole TCB: what wakers and wake queues hold.
    pub fn task_pointer(&self) -> NonNull<TaskHeader> {
        // SAFETY: the header is inside of the TCB.
        unsafe { NonNull::from(self).byte_add(offset_of!(Self, task)).cast() }
    }

    /// The CPU that has it.
    #[inline]
    pub fn home(&self) -> usize {
        self.home.load(Ordering::Acquire).into()
    }

    /// Gives it to another CPU. For the CPU that has it, which has taken it out of its run queue.
    pub fn set_home(&self, cpu: usize) {
        self.home.store(cpu as u8, Ordering::Release);
    }

    /// By which it stands on a queue of threads with requests.
    pub fn request(&self) -> &TaskHeader {
        &self.request
    }

    /// The same, as a pointer that is good for the whole TCB.
    pub fn request_pointer(&self) -> NonNull<TaskHeader> {
        // SAFETY: the header is inside of the TCB.
        unsafe { NonNull::from(self).byte_add(offset_of!(Self, request)).cast() }
    }

    /// Lets its CPU look at what is asked of it.
    pub fn announce_request(&self) {
        // SAFETY: the pointer is for the whole TCB, and the caller's reference keeps it.
        unsafe { TaskHeader::wake(self.request_pointer()) };
    }

    /// Whether it is over.
    pub fn is_ended(&self) -> bool {
        self.state() == ThreadState::Ended
    }

    /// Waits until `condition` holds, which is looked at before, whenever something of what others ask of the
    /// thread is done, at its end, and when [`Tcb::wake_waiters`] is called.
    pub fn wait_until<C: FnMut() -> bool>(&self, condition: C) -> WaitUntil<'_, C> {
        self.control.changes.wait_until(condition)
    }

    /// Lets all who wait look at their condition.
    pub fn wake_waiters(&self) {
        self.control.changes.wake_all();
    }
}

impl Tcb {
    /// The thread whose task was on a wake queue, with the reference that the queue held.
    ///
    /// # Safety
    /// `task` is a thread's, was pushed with a reference given away, and is taken off once.
    pub unsafe fn from_woken(task: NonNull<TaskHeader>) -> Ref<Self> {
        // SAFETY: the caller's.
        unsafe { Ref::from_raw(from_task(task)) }
    }

    /// The thread whose request node was on a queue, with the reference that the queue held.
    ///
    /// # Safety
    /// As [`Tcb::from_woken`].
    pub unsafe fn from_requested(request: NonNull<TaskHeader>) -> Ref<Self> {
        // SAFETY: the caller's.
        unsafe { Ref::from_raw(from_request(request)) }
    }
}
