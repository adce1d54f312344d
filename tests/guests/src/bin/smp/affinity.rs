//! Which affinities there are, and who inherits them.
#![forbid(unsafe_code)]

use guests::{
    children,
    cpus::{self, ALL, be_equal, bit, here, learn},
    own_thread,
    threads::{MIDDLE, granted},
    workers::Worker,
};
use orbital_user::{
    Endpoint, Error, Message, Rights,
    thread::{Inspection, spawn},
};

use super::{notes_where, shown, shows_where};

/// No CPU at all, and none that is there: refused, whatever the thread does, and nothing has changed.
pub(super) fn an_affinity_without_a_cpu_is_refused() {
    be_equal();
    learn();
    let absent = [0, bit(cpus::count()), 1 << 63, ALL << cpus::count()];
    let (own, last) = (own_thread(), cpus::count() - 1);
    own.set_affinity(bit(last)).unwrap();
    let runner = Worker::on(bit(0), MIDDLE, shows_where, 0);
    let unstarted = Worker::new(MIDDLE, notes_where, 0);
    for affinity in absent {
        for thread in [&*own, &runner, &unstarted] {
            let before = thread.inspect().map(|i| i.affinity);
            assert_eq!(thread.set_affinity(affinity), Err(Error::InvalidArgument), "{affinity:#x}");
            assert_eq!(thread.inspect().map(|i| i.affinity), before);
        }
        assert_eq!((here(), shown()), (last, 0));
    }
    unstarted.start().unwrap();
    unstarted.wait().unwrap();
}

/// An affinity may name CPUs that are not there beside one that is: the thread runs on that.
pub(super) fn an_affinity_with_absent_cpus_too_is_kept() {
    be_equal();
    learn();
    let runner = Worker::start(MIDDLE, shows_where, 0);
    for cpu in 0..cpus::count() {
        let affinity = ALL << cpus::count() | bit(cpu);
        runner.set_affinity(affinity).unwrap();
        assert_eq!(runner.inspect().map(|i| i.affinity), Ok(affinity));
        assert_eq!(shown(), cpu);
    }
}

pub(super) fn tells_where_it_is() {
    let inspect = || own_thread().inspect().expect("itself");
    let Inspection { cpu, affinity, .. } = inspect();
    let grandchild = spawn(move || own_thread().inspect().map(|i| i.affinity)).unwrap();
    let grandchild = grandchild.join().unwrap().unwrap();
    let message = Message::new(0, &[cpu as u64, affinity, grandchild]).unwrap();
    granted(0).send(&message).unwrap();
}

/// A new thread may run where its maker may, and so may a new process's first and all that come of it.
pub(super) fn threads_and_children_inherit_the_affinity() {
    be_equal();
    learn();
    let own = own_thread();
    let first = |cpu| Worker::new(MIDDLE, notes_where, cpu).inspect().unwrap().affinity;
    assert_eq!(first(0), ALL);
    for cpu in 0..cpus::count() {
        for affinity in [bit(cpu), bit(cpu) | 1 << 40] {
            own.set_affinity(affinity).unwrap();
            assert_eq!(first(0), affinity);
            assert_eq!(spawn(here).unwrap().join(), Ok(cpu));
            let endpoint = Endpoint::create().unwrap();
            let child =
                children::start("tells_where_it_is", |s| s.grant(endpoint.slot(), Rights::SEND, 0));
            let message = endpoint.receive().unwrap().message;
            assert_eq!(message.words(), [cpu as u64, affinity, affinity]);
            children::succeed(&child);
        }
    }
}
