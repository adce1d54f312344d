//! Reference counts and what hangs on them.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::Arc;

use orbital_abi::{Error, ObjectKind, Rights};

use super::{AnyRef, Header, Object, Quota, Ref, Tally, registry};
use crate::{
    capability::{Capability, Table},
    ipc::Endpoint,
    system::SystemObject,
    tests::kernel::Kernel,
};

mod quotas;
mod slabs;

/// Counts what happens to it.
#[repr(C)]
struct Probe {
    header: Header,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    deserted: AtomicU64,
    orphaned: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    fn now(&self) -> (u64, u64) {
        (self.orphaned.load(SeqCst), self.dropped.load(SeqCst))
    }
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Probe {
    const KIND: Option<ObjectKind> = Some(ObjectKind::System);

    fn orphaned(&self) {
        self.counts.orphaned.fetch_add(1, SeqCst);
    }

    fn deserted(&self) {
        self.counts.deserted.fetch_add(1, SeqCst);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, SeqCst);
    }
}

fn probe() -> (Ref<Probe>, Arc<Counts>) {
    let counts = Arc::<Counts>::default();
    let probe = Probe { header: Header::new::<Probe>(), counts: counts.clone() };
    (Ref::new(probe).unwrap(), counts)
}

#[test]
fn an_object_lives_as_long_as_someone_refers_to_it() {
    let _kernel = Kernel::boot();
    let (first, counts) = probe();
    let second = first.clone();
    let third = Ref::from_object(&*second);
    assert!(second.is(&first) && third.is(&first));
    drop(first);
    let erased = second.erase();
    let again = erased.clone();
    drop(third);
    assert!(erased.is(&*again.clone().downcast::<Probe>().unwrap()));
    drop(erased);
    assert_eq!(counts.now(), (0, 0));
    drop(again);
    assert_eq!(counts.now(), (0, 1));
}

#[test]
fn a_reference_that_was_given_away_as_a_pointer_still_counts() {
    let _kernel = Kernel::boot();
    let (probe, counts) = probe();
    let pointer = probe.into_raw();
    assert_eq!(counts.now(), (0, 0));
    // SAFETY: the pointer came from `into_raw` and is taken back once.
    drop(unsafe { Ref::<Probe>::from_raw(pointer) });
    assert_eq!(counts.now(), (0, 1));
}

#[test]
fn a_reference_of_another_kind_is_given_back() {
    let _kernel = Kernel::boot();
    let (probe, counts) = probe();
    let erased: AnyRef = probe.erase();
    assert_eq!(erased.header().kind(), Some(ObjectKind::System));
    assert_eq!(erased.clone().downcast::<Endpoint>().err(), Some(Error::WrongKind));
    assert_eq!(counts.now(), (0, 0));
    assert_eq!(erased.downcast::<Endpoint>().err(), Some(Error::WrongKind));
    assert_eq!(counts.now(), (0, 1), "the last one went with the attempt");
    // Objects that no capability names are found by nobody.
    let quota = Quota::root(1, 1).unwrap().erase();
    assert_eq!(quota.downcast::<Quota>().err(), Some(Error::WrongKind));
}

#[test]
fn the_last_capability_makes_an_orphan_and_the_last_reference_ends_it() {
    let _kernel = Kernel::boot();
    let (probe, counts) = probe();
    let quota = Quota::root(0, 1 << 20).unwrap();
    let table = Table::new(None).unwrap();
    let capability = Capability::new(probe.clone(), Rights::all());
    let slots = [(); 3].map(|()| table.lock().insert(capability.clone(), &quota).unwrap());
    // One that is only looked up is no capability.
    drop(capability);
    drop(table.lock().remove(slots[0]).unwrap());
    drop(table.lock().remove(slots[1]).unwrap());
    assert_eq!(counts.now(), (0, 0));
    let last = table.lock().remove(slots[2]).unwrap();
    assert_eq!(counts.now(), (0, 0), "not before the entry goes");
    drop(last);
    assert_eq!(counts.now(), (1, 0));
    // A new one may come, of someone who had looked it up before.
    let again = table.lock().insert(Capability::new(probe, Rights::all()), &quota).unwrap();
    drop(table.lock().remove(again).unwrap());
    assert_eq!(counts.now(), (2, 1));
}

#[test]
fn the_last_capability_to_receive_by_deserts_and_is_told_once() {
    let _kernel = Kernel::boot();
    let (probe, counts) = probe();
    let now = || (counts.deserted.load(SeqCst), counts.orphaned.load(SeqCst));
    let quota = Quota::root(0, 1 << 20).unwrap();
    let table = Table::new(None).unwrap();
    let insert =
        |rights| table.lock().insert(Capability::new(probe.clone(), rights), &quota).unwrap();
    let remove = |slot| drop(table.lock().remove(slot).unwrap());
    let [send, receive] = [Rights::SEND, Rights::RECEIVE | Rights::GRANT];
    let (one, two, three) = (insert(send), insert(receive), insert(receive));
    remove(three);
    assert_eq!(now(), (0, 0));
    remove(two);
    assert_eq!(now(), (1, 0));
    // Others come and go.
    remove(insert(send));
    assert_eq!(now(), (1, 0));
    remove(one);
    assert_eq!(now(), (1, 1));
    // The last one of all is no other's.
    remove(insert(receive));
    assert_eq!(now(), (1, 2));
}

#[test]
fn some_that_are_killed_at_once_are_counted_as_one_by_one() {
    let _kernel = Kernel::boot();
    let (probe, counts) = probe();
    let now = || (counts.deserted.load(SeqCst), counts.orphaned.load(SeqCst));
    let header = || Ref::from_object(&*probe).erase();
    let tally = |senders: usize, receivers: usize| {
        let mut tally = Tally::default();
        (0..senders).for_each(|_| tally += Tally::one(false));
        (0..receivers).for_each(|_| tally += Tally::one(true));
        tally
    };
    let add = |tally: Tally| {
        for number in 0..tally.count() {
            header().header().capability_added(number < tally.receivers());
            // Each entry has a reference.
            core::mem::forget(probe.clone());
        }
    };
    let kill = |tally| header().header().capabilities_killed(tally);
    add(tally(3, 3));
    kill(tally(0, 0));
    kill(tally(1, 2));
    assert_eq!(now(), (0, 0));
    kill(tally(1, 1));
    assert_eq!(now(), (1, 0));
    kill(tally(1, 0));
    assert_eq!(now(), (1, 1));
    add(tally(1, 1));
    kill(tally(1, 1));
    assert_eq!(now(), (1, 2));
}

#[test]
fn objects_are_counted_by_kind() {
    let kernel = Kernel::boot();
    let live = || ObjectKind::ALL.map(registry::live);
    let before = live();
    let endpoints = [(); 3].map(|()| Endpoint::new(&kernel.init.quota).unwrap());
    let system = SystemObject::new().unwrap();
    let mut expected = before;
    expected[ObjectKind::Endpoint as usize - 1] += 3;
    expected[ObjectKind::System as usize - 1] += 1;
    assert_eq!(live(), expected);
    drop((endpoints, system));
    assert_eq!(live(), before);
    // One that could not be paid was never there.
    let poor = Quota::root(0, 1).unwrap();
    assert_eq!(Endpoint::new(&poor).err(), Some(Error::QuotaExceeded));
    assert_eq!(live(), before);
}
