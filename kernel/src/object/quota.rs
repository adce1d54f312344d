//! Who pays: a limit on frames and on kernel memory, carved out of a parent's.
//!
//! What a quota promises is backed: carving charges the parent at once, and the first quota has
//! what the machine has. Everything that is made for a process is charged before it is made, and
//! the [`Charge`] refunds on drop.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use orbital_abi::{Error, ObjectKind};

use super::{Header, Object, Ref};

/// A limit and how much of it is used.
#[derive(Debug)]
#[repr(C)]
pub struct Quota {
    header: Header,
    frames: Account,
    kernel_bytes: Account,
    /// What this quota was carved out of, and so is refunded with it.
    _carved: Option<Charge>,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Quota {
    const KIND: Option<ObjectKind> = None;
}

#[derive(Debug)]
struct Account {
    limit: u64,
    used: AtomicU64,
}

impl Account {
    const fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    fn charge(&self, amount: u64) -> Result<(), Error> {
        let within = |used: u64| used.checked_add(amount).filter(|sum| *sum <= self.limit);
        self.used.try_update(Relaxed, Relaxed, within).map_err(|_| Error::QuotaExceeded)?;
        Ok(())
    }

    fn refund(&self, amount: u64) {
        let before = self.used.fetch_sub(amount, Relaxed);
        debug_assert!(before >= amount, "more was refunded than charged");
    }
}

impl Quota {
    /// The first quota: all that the machine has.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory for it.
    pub fn root(frames: u64, kernel_bytes: u64) -> Result<Ref<Self>, Error> {
        Self::with(frames, kernel_bytes, None)
    }

    /// A quota of `frames` and `kernel_bytes` out of `parent`, to which they return when the last
    /// reference to it, and so the last thing that it paid for, is gone.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] when `parent` has not that much left.
    pub fn carve(parent: &Ref<Self>, frames: u64, kernel_bytes: u64) -> Result<Ref<Self>, Error> {
        let charge = Charge::new(parent, frames, kernel_bytes)?;
        Self::with(frames, kernel_bytes, Some(charge))
    }

    fn with(frames: u64, kernel_bytes: u64, carved: Option<Charge>) -> Result<Ref<Self>, Error> {
        Ref::new(Self {
            header: Header::new::<Self>(),
            frames: Account::new(frames),
            kernel_bytes: Account::new(kernel_bytes),
            _carved: carved,
        })
    }

    /// Charges one frame; give it back by [`Quota::refund_frames`].
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn charge_frames(&self, frames: u64) -> Result<(), Error> {
        self.frames.charge(frames)
    }

    /// Gives back what [`Quota::charge_frames`] took.
    pub fn refund_frames(&self, frames: u64) {
        self.frames.refund(frames);
    }
}

/// Something that a quota has paid for. Refunds on drop.
#[derive(Debug)]
pub struct Charge {
    quota: Ref<Quota>,
    frames: u64,
    kernel_bytes: u64,
}

impl Charge {
    /// Charges both to `quota`, or neither.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(quota: &Ref<Quota>, frames: u64, kernel_bytes: u64) -> Result<Self, Error> {
        quota.frames.charge(frames)?;
        if let Err(error) = quota.kernel_bytes.charge(kernel_bytes) {
            quota.frames.refund(frames);
            return Err(error);
        }
        Ok(Self { quota: quota.clone(), frames, kernel_bytes })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.quota.frames.refund(self.frames);
        self.quota.kernel_bytes.refund(self.kernel_bytes);
    }
}

impl core::fmt::Debug for Ref<Quota> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "quota of {} frames", self.frames.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carving_is_backed_and_comes_back() {
        let root = Quota::root(10, 1000).unwrap();
        let child = Quota::carve(&root, 6, 600).unwrap();
        assert_eq!(Quota::carve(&root, 5, 0).err(), Some(Error::QuotaExceeded));
        assert_eq!(Quota::carve(&root, 0, 401).err(), Some(Error::QuotaExceeded));
        let charge = Charge::new(&child, 6, 600).unwrap();
        assert_eq!(child.charge_frames(1), Err(Error::QuotaExceeded));
        drop(child);
        assert_eq!(Quota::carve(&root, 5, 0).err(), Some(Error::QuotaExceeded), "still charged");
        drop(charge);
        assert!(Quota::carve(&root, 10, 1000).is_ok());
    }

    #[test]
    fn a_charge_takes_both_or_neither() {
        let root = Quota::root(10, 10).unwrap();
        assert!(Charge::new(&root, 10, 11).is_err());
        assert!(Charge::new(&root, 10, 10).is_ok());
        assert!(root.charge_frames(u64::MAX).is_err(), "no overflow");
    }
}
