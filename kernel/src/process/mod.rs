//! Processes: quota, address space and capability table, and how a process comes to its end.
//!
//! ```text
//!          1            2                    3
//!  Alive ─────► Ending ─────► (reaped) ────► Ended
//! ```
//! 1. Its own exit, a kill, its last thread's end, its parent's end, or the last capability gone:
//!    [`Process::end`], once, with the reason. It only queues the process for the reaper.
//! 2. [`reap`](crate::reap) ends its threads and children, empties the table and the address space,
//!    in steps.
//! 3. All it had is given back: those who wait for it are told.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arrayvec::ArrayString;
use orbital_abi::{CapSlot, Error, ExitReason, ObjectKind, arguments::NAME_BYTES};
use orbital_executor::wait_queue::WaitQueue;
use spin::Mutex;

use crate::{
    capability::{Capability, EntryGuard, Table},
    object::{AnyRef, Charge, Header, Object, Quota, Ref},
    vm::AddressSpace,
};

mod reap_queue;

#[cfg(test)]
mod tests;

pub use reap_queue::next_to_reap;

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
    pub space: AddressSpace,
    table: Mutex<Table>,
    life: Mutex<Life>,
    /// Woken when it has ended and everything is given back.
    ended: WaitQueue,
    reap_link: reap_queue::Link,
    /// Whoever made it, until it has ended. Init has none.
    parent: Mutex<Option<Ref<Process>>>,
    _charge: Option<Charge>,
}

struct Life {
    state: State,
    /// Its threads, started or not, until they have ended.
    threads: Vec<AnyRef>,
    /// Its children, until they have ended.
    children: Vec<Ref<Process>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    Ending(ExitReason),
    Ended(ExitReason),
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
        // Its place in the parent's list is paid for too: that grows by doubling.
        let bytes = size_of::<Self>() + 2 * size_of::<Ref<Self>>();
        let charge = Charge::new(&parent.quota, 0, bytes as u64)?;
        let quota = Quota::carve(&parent.quota, frames, kernel_bytes)?;
        let process = Self::build(Some(parent.clone()), name, quota, Some(charge))?;
        let mut life = parent.life.lock();
        if life.state != State::Alive {
            return Err(Error::Ended);
        }
        life.children.try_reserve(1).map_err(|_| Error::QuotaExceeded)?;
        life.children.push(process.clone());
        Ok(process)
    }

    /// The first process, paid by `quota`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn first(name: Name, quota: Ref<Quota>) -> Result<Ref<Self>, Error> {
        Self::build(None, name, quota, None)
    }

    fn build(
        parent: Option<Ref<Process>>,
        name: Name,
        quota: Ref<Quota>,
        charge: Option<Charge>,
    ) -> Result<Ref<Self>, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Ref::new(Self {
            header: Header::new::<Self>(),
            id: NEXT.fetch_add(1, Relaxed),
            name,
            is_first: parent.is_none(),
            space: AddressSpace::new(&quota)?,
            quota,
            table: Mutex::new(Table::new()),
            life: Mutex::new(Life {
                state: State::Alive,
                threads: Vec::new(),
                children: Vec::new(),
            }),
            ended: WaitQueue::new(),
            reap_link: reap_queue::Link::new(),
            parent: Mutex::new(parent),
            _charge: charge,
        })
    }

    /// Whether this is the first process.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// What `slot` of its table holds.
    ///
    /// # Errors
    /// Those of [`Table::lookup`].
    pub fn capability(&self, slot: CapSlot) -> Result<Capability, Error> {
        self.table.lock().lookup(slot).cloned()
    }

    /// Puts a capability into its table.
    ///
    /// # Errors
    /// Those of [`Table::insert`].
    pub fn install(&self, capability: Capability) -> Result<CapSlot, Error> {
        self.table.lock().insert(capability, &self.quota)
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// Those of [`Table::lookup`].
    pub fn close(&self, slot: CapSlot) -> Result<(), Error> {
        let removed = self.table.lock().remove(slot)?;
        // The end of the object may need this lock again.
        drop(removed);
        Ok(())
    }

    /// Takes any capability out of its table, at its end.
    pub fn close_one(&self) -> Option<EntryGuard> {
        self.table.lock().close_one()
    }

    /// Adds a thread.
    ///
    /// # Errors
    /// [`Error::Ended`] when it is ending; [`Error::QuotaExceeded`].
    pub fn add_thread(&self, thread: AnyRef) -> Result<(), Error> {
        let mut life = self.life.lock();
        if life.state != State::Alive {
            return Err(Error::Ended);
        }
        life.threads.try_reserve(1).map_err(|_| Error::QuotaExceeded)?;
        life.threads.push(thread);
        Ok(())
    }

    /// Forgets a thread that was added and will never run: as if it had not been.
    pub fn take_back_thread(&self, thread: &impl Object) {
        let mut life = self.life.lock();
        let place = life.threads.iter().position(|other| other.is(thread));
        let forgotten = place.map(|place| life.threads.swap_remove(place));
        let waiting = matches!(life.state, State::Ending(_)) && life.threads.is_empty();
        drop(life);
        drop(forgotten);
        if waiting {
            reap_queue::push(Ref::from_object(self));
        }
    }

    /// Forgets a thread, which ended for `reason`. The last one ends the process.
    pub fn thread_ended(&self, thread: &impl Object, reason: ExitReason) {
        let mut life = self.life.lock();
        let place = life.threads.iter().position(|other| other.is(thread));
        let forgotten = place.map(|place| life.threads.swap_remove(place));
        let was_last = life.threads.is_empty();
        drop(life);
        drop(forgotten);
        if was_last && !self.end(reason) {
            // It was ending already, and the reaper waits for this.
            reap_queue::push(Ref::from_object(self));
        }
    }

    /// Begins its end, unless that has begun. Whether it had not.
    pub fn end(&self, reason: ExitReason) -> bool {
        {
            let mut life = self.life.lock();
            if life.state != State::Alive {
                return false;
            }
            life.state = State::Ending(reason);
        }
        reap_queue::push(Ref::from_object(self));
        true
    }

    /// Whether its end has begun.
    pub fn is_ending(&self) -> bool {
        self.life.lock().state != State::Alive
    }

    /// Lets the reaper look at it: there is something to clean up.
    pub fn reap_later(&self) {
        reap_queue::push(Ref::from_object(self));
    }

    /// How many threads are left.
    pub fn threads(&self) -> usize {
        self.life.lock().threads.len()
    }

    /// How many children are left.
    pub fn children(&self) -> usize {
        self.life.lock().children.len()
    }

    /// A thread to be ended: number `index` of those that are left.
    pub fn thread(&self, index: usize) -> Option<AnyRef> {
        self.life.lock().threads.get(index).cloned()
    }

    /// A child to be ended: number `index` of those that are left.
    pub fn child(&self, index: usize) -> Option<Ref<Process>> {
        self.life.lock().children.get(index).cloned()
    }

    /// Whether threads and children are gone.
    pub fn is_alone(&self) -> bool {
        let life = self.life.lock();
        life.threads.is_empty() && life.children.is_empty()
    }

    /// The end of the end: everything is given back.
    pub fn finish(&self) {
        {
            let mut life = self.life.lock();
            let State::Ending(reason) = life.state else { return };
            life.state = State::Ended(reason);
        }
        self.ended.wake_all();
        let parent = self.parent.lock().take();
        if let Some(parent) = parent {
            parent.child_ended(self);
        }
    }

    fn child_ended(&self, child: &Process) {
        let mut life = self.life.lock();
        let place = life.children.iter().position(|other| other.is(child));
        let forgotten = place.map(|place| life.children.swap_remove(place));
        let waiting = matches!(life.state, State::Ending(_)) && life.children.is_empty();
        drop(life);
        drop(forgotten);
        if waiting {
            reap_queue::push(Ref::from_object(self));
        }
    }

    /// Why it ended, once it has and everything is given back.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        match self.life.lock().state {
            State::Ended(reason) => Some(reason),
            _ => None,
        }
    }

    /// Waits until it has ended and everything is given back.
    pub async fn wait(&self) -> ExitReason {
        let mut reason = None;
        self.ended
            .wait_until(|| {
                reason = self.exit_reason();
                reason.is_some()
            })
            .await;
        reason.unwrap_or(ExitReason::Killed)
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
