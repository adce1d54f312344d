//! Processes: quota, address space and capability table, and how a process comes to its end.
//!
//! ```text
//!          1            2                    3
//!  Alive ─────► Ending ─────► (reaped) ────► Ended
//! ```
//! 1. Its own exit, a kill, its last thread's end, its parent's end, or the last capability gone:
//!    [`Process::end`], once, with the reason. It only wakes the process's reaper.
//! 2. The reaper, a kernel task that each process has from its making on ([`reap`](crate::reap)), ends
//!    its threads and children, empties the table and the address space, in steps. It is as urgent as
//!    whoever brought the end about, or the most urgent one that waits for it.
//! 3. All it had is given back: those who wait for it are told.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arrayvec::ArrayString;
use intrusive_collections::RBTreeAtomicLink;
use orbital_abi::{Error, ExitReason, ObjectKind, arguments::NAME_BYTES, trace::EventKind};
use orbital_executor::{executor::TaskRef, wait_queue::WaitQueue};
use spin::Mutex;

use crate::{
    capability::Table,
    cause,
    object::{AnyRef, Charge, Header, Object, Quota, Ref},
    trace::{self, Who},
    vm::AddressSpace,
};

mod accounting;
pub mod all;
mod ended;
mod members;
mod table;

#[cfg(test)]
mod tests;

use members::Members;
pub use members::{Belongs, Member};

/// A process's name, for the log.
pub type Name = ArrayString<NAME_BYTES>;

/// A process.
#[repr(C)]
pub struct Process {
    header: Header,
    /// For the log and dumps.
    pub id: u64,
    /// For the log.
    pub name: Name,
    is_first: bool,
    /// Pays for all that is made on its behalf.
    pub quota: Ref<Quota>,
    /// What it sees.
    pub space: Ref<AddressSpace>,
    /// What it may use.
    pub table: Ref<Table>,
    life: Mutex<Life>,
    /// Woken when it has ended and everything is given back.
    ended: WaitQueue,
    /// How long its threads have run, those included that have ended, in ticks of the clock.
    time: AtomicU64,
    /// Its place among its parent's children.
    member: Member,
    /// Its place among [all](all).
    registered: RBTreeAtomicLink,
    /// Whoever made it, until it has ended. Init has none.
    parent: Mutex<Option<Ref<Process>>>,
    /// For the address space, which lies on the heap.
    _charge: Option<Charge>,
}

struct Life {
    state: State,
    /// Its threads, started or not, until they have ended.
    threads: Members,
    /// Its children, until they have ended.
    children: Members,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    Ending(ExitReason),
    Ended(ExitReason),
}

unsafe extern "Rust" {
    /// Makes the task that cleans up after a process, asleep, paid by `payer` or nobody. In `reap`.
    safe fn orbital_process_made(
        process: &Ref<Process>,
        payer: Option<&Ref<Quota>>,
    ) -> Result<TaskRef, Error>;
}

impl Process {
    /// An empty process, a child of `parent`, with a quota of so many frames and bytes of kernel
    /// memory out of its.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]; [`Error::Ended`] when the parent is ending.
    pub fn new(
        parent: &Ref<Process>,
        name: Name,
        frames: u64,
        kernel_bytes: u64,
    ) -> Result<Ref<Self>, Error> {
        let charge = Charge::new(&parent.quota, 0, size_of::<AddressSpace>() as u64)?;
        let quota = Quota::carve(&parent.quota, frames, kernel_bytes)?;
        let table = Table::new(Some(&parent.quota))?;
        let process = Self::build(Some(parent.clone()), name, (quota, table), Some(charge))?;
        let process = Ref::new_in(&parent.quota, process)?;
        {
            let mut life = parent.life.lock();
            if life.state != State::Alive {
                return Err(Error::Ended);
            }
            // SAFETY: it is new, and has this one parent.
            unsafe { life.children.add(process.clone()) };
        }
        all::add(&process);
        if let Err(error) = Self::get_reaper(&process, Some(&parent.quota)) {
            all::remove(&process);
            parent.child_ended(&process);
            return Err(error);
        }
        process.trace_start();
        Ok(process)
    }

    /// The first process. `quota` pays for what it has, and nobody for itself.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn first(name: Name, quota: Ref<Quota>) -> Result<Ref<Self>, Error> {
        let process = Ref::new(Self::build(None, name, (quota, Table::new(None)?), None)?)?;
        all::add(&process);
        Self::get_reaper(&process, None).inspect_err(|_| all::remove(&process))?;
        process.trace_start();
        Ok(process)
    }

    /// It, for a trace.
    fn who(&self) -> Who {
        Who { thread: 0, process: self.id }
    }

    fn trace_start(&self) {
        trace::note(EventKind::ProcessStart, self.who(), trace::dump::name_arguments(&self.name));
    }

    fn get_reaper(process: &Ref<Self>, payer: Option<&Ref<Quota>>) -> Result<(), Error> {
        let reaper = orbital_process_made(process, payer)?;
        process.space.cleaner.set(reaper);
        // Its parent may have come to its end meanwhile, and have found no reaper to wake.
        if process.is_ending() {
            process.reap_at(cause::priority());
        }
        Ok(())
    }

    fn build(
        parent: Option<Ref<Process>>,
        name: Name,
        (quota, table): (Ref<Quota>, Ref<Table>),
        charge: Option<Charge>,
    ) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Relaxed);
        table.set_owner(id);
        Ok(Self {
            header: Header::new::<Self>(),
            id,
            name,
            is_first: parent.is_none(),
            space: AddressSpace::new(&quota)?,
            quota,
            table,
            life: Mutex::new(Life {
                state: State::Alive,
                threads: Members::new(),
                children: Members::new(),
            }),
            ended: WaitQueue::new(),
            time: AtomicU64::new(0),
            member: Member::new(),
            registered: RBTreeAtomicLink::new(),
            parent: Mutex::new(parent),
            _charge: charge,
        })
    }

    /// Whether this is the first process.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Adds a thread, which was made for this process, and is numbered by `number`: so a process's threads stand in
    /// the order of their numbers, until it ends.
    ///
    /// # Errors
    /// [`Error::Ended`] when it is ending.
    ///
    /// # Safety
    /// It was in no process's list before.
    pub unsafe fn add_thread(
        &self,
        thread: Ref<impl Belongs>,
        number: impl FnOnce(),
    ) -> Result<(), Error> {
        let mut life = self.life.lock();
        if life.state != State::Alive {
            return Err(Error::Ended);
        }
        number();
        // SAFETY: the caller's.
        unsafe { life.threads.add(thread) };
        Ok(())
    }

    /// Takes a thread off the list; how many are left.
    fn forget_thread(&self, thread: &impl Belongs) -> usize {
        let mut life = self.life.lock();
        // SAFETY: a thread is in its own process's list or in none.
        let forgotten = unsafe { life.threads.remove(thread) };
        let left = life.threads.len();
        drop(life);
        drop(forgotten);
        left
    }

    /// Forgets a thread that was added and will never run: as if it had not been.
    pub fn take_back_thread(&self, thread: &impl Belongs) {
        if self.forget_thread(thread) == 0 && self.is_ending() {
            self.wake_reaper();
        }
    }

    /// Forgets a thread, which ended for `reason`. The last one ends the process.
    pub fn thread_ended(&self, thread: &impl Belongs, reason: ExitReason) {
        if self.forget_thread(thread) == 0 && !self.end(reason) {
            // It was ending already, and the reaper waits for this.
            self.wake_reaper();
        }
    }

    /// Begins its end, unless that has begun. Whether it had not. What is to be done for it is as
    /// urgent as whoever this CPU works for.
    pub fn end(&self, reason: ExitReason) -> bool {
        {
            let mut life = self.life.lock();
            if life.state != State::Alive {
                return false;
            }
            life.state = State::Ending(reason);
        }
        self.reap_at(cause::priority());
        true
    }

    /// Whether its end has begun.
    pub fn is_ending(&self) -> bool {
        self.life.lock().state != State::Alive
    }

    /// Lets its reaper look at it, at least so urgently: there is something to clean up.
    pub fn reap_at(&self, priority: u8) {
        self.hurry(priority);
        self.wake_reaper();
    }

    /// Someone of this priority waits for its end: its reaper is at least as urgent from now on.
    pub fn hurry(&self, priority: u8) {
        self.space.cleaner.hurry(priority);
    }

    fn wake_reaper(&self) {
        self.space.cleaner.wake();
    }

    /// Whether its reaper was woken since this was last asked.
    pub fn take_reaper_wake(&self) -> bool {
        self.space.cleaner.take_wake()
    }

    /// How many threads are left.
    pub fn threads(&self) -> usize {
        self.life.lock().threads.len()
    }

    /// How many children are left.
    pub fn children(&self) -> usize {
        self.life.lock().children.len()
    }

    /// A thread to be ended; the next call gives the next.
    pub fn next_thread(&self) -> Option<AnyRef> {
        self.life.lock().threads.rotate()
    }

    /// A child to be ended; the next call gives the next.
    pub fn next_child(&self) -> Option<AnyRef> {
        self.life.lock().children.rotate()
    }

    /// Whether threads and children are gone.
    pub fn is_alone(&self) -> bool {
        let life = self.life.lock();
        life.threads.len() + life.children.len() == 0
    }

    /// The end of the end: everything is given back.
    pub fn finish(&self) {
        // Before anybody is told: who knows of this process keeps a little of its quota, and no more.
        self.quota.return_unused();
        {
            let mut life = self.life.lock();
            let State::Ending(reason) = life.state else { return };
            life.state = State::Ended(reason);
        }
        trace::note(EventKind::ProcessEnd, self.who(), [0; 3]);
        all::remove(self);
        self.ended.wake_all();
        let parent = self.parent.lock().take();
        if let Some(parent) = parent {
            parent.child_ended(self);
        }
    }

    fn child_ended(&self, child: &Process) {
        let mut life = self.life.lock();
        // SAFETY: a child is in its parent's list or in none.
        let forgotten = unsafe { life.children.remove(child) };
        let waits = life.children.len() == 0 && life.state != State::Alive;
        drop(life);
        drop(forgotten);
        if waits {
            self.wake_reaper();
        }
    }
}

// SAFETY: it is the field.
unsafe impl Belongs for Process {
    fn member(&self) -> &Member {
        &self.member
    }
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Process {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Process);

    fn orphaned(&self) {
        // Nobody can do anything with it any more, not even itself.
        self.end(ExitReason::Killed);
    }
}
