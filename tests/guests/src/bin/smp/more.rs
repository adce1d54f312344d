//! The rest of the cases.
#![forbid(unsafe_code)]

use super::*;

pub(super) fn receives_and_notes_where(own: &Own) {
    endpoint(own.slot()).receive().expect("a message");
    notes_where(own);
}

/// A thread that waits for a message on one CPU gets it on the one where it is sent meanwhile.
pub(super) fn a_blocked_thread_is_moved() {
    be_equal();
    learn();
    let endpoint = Endpoint::create().unwrap();
    for (from, to) in pairs() {
        let slot = endpoint.slot().bits();
        let blocked = Worker::on(bit(from), MIDDLE, receives_and_notes_where, slot);
        until(|| blocked.inspect().unwrap().state == BLOCKED);
        assert_eq!(blocked.inspect().unwrap().cpu, from);
        blocked.set_affinity(bit(to)).unwrap();
        (0..10).for_each(|_| yield_now());
        assert_eq!(blocked.inspect().unwrap().state, BLOCKED, "it was woken");
        endpoint.send(&label(0)).unwrap();
        blocked.wait().unwrap();
        assert_eq!(SEEN.load(SeqCst), to, "from {from}");
    }
}

/// A thread starts on the CPU that was named before its start.
pub(super) fn a_thread_not_started_is_moved() {
    be_equal();
    learn();
    for (from, to) in pairs() {
        own_thread().set_affinity(bit(from)).unwrap();
        let thread = Worker::new(MIDDLE, notes_where, 0);
        assert_eq!(thread.inspect().map(|i| (i.cpu, i.affinity)), Ok((from, bit(from))));
        thread.set_affinity(bit(to)).unwrap();
        thread.start().unwrap();
        thread.wait().unwrap();
        assert_eq!(SEEN.load(SeqCst), to, "from {from}");
    }
}

/// A thread that was stopped on one CPU goes on on another.
pub(super) fn a_suspended_thread_is_moved() {
    be_equal();
    learn();
    let runner = Worker::start(MIDDLE, shows_where, 0);
    for (from, to) in pairs() {
        runner.set_affinity(bit(from)).unwrap();
        assert_eq!(shown(), from);
        runner.suspend().unwrap();
        let count = COUNT.load(SeqCst);
        runner.set_affinity(bit(to)).unwrap();
        (0..10).for_each(|_| yield_now());
        assert_eq!(COUNT.load(SeqCst), count, "it goes on while it is suspended");
        runner.resume().unwrap();
        assert_eq!(shown(), to, "from {from}");
    }
}

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

/// Sixteen threads on all CPUs take memory, fill it and give it back; nobody finds another's words.
pub(super) fn sixteen_threads_use_the_heap() {
    be_equal();
    let rounds = scaled(1000);
    let threads: Vec<_> = (0..16)
        .map(|me| {
            spawn(move || {
                let mut random = Random::new(me);
                let mut kept: [Vec<u64>; 4] = Default::default();
                for round in 0..rounds {
                    let place = random.below(4) as usize;
                    let tag = me << 32 | round;
                    let old = core::mem::take(&mut kept[place]);
                    assert!(old.iter().all(|word| *word == old[0] && word >> 32 == me));
                    drop(old);
                    kept[place] = alloc::vec![tag; 1 + random.below(200) as usize];
                }
            })
            .unwrap()
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join(), Ok(()));
    }
}

/// Sixteen threads add to a number that a mutex guards; no addition is lost, no two are in at once.
pub(super) fn sixteen_threads_share_a_mutex() {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    be_equal();
    let rounds = scaled(1000);
    let number = Arc::new(Mutex::new(0u64));
    let adds = |_| {
        let number = number.clone();
        at(MIDDLE, move || {
            for round in 0..rounds {
                let mut guard = number.lock();
                assert!(!INSIDE.swap(true, SeqCst));
                let old = *guard;
                if round % 16 == 0 {
                    yield_now();
                }
                *guard = old + 1;
                assert!(INSIDE.swap(false, SeqCst));
            }
        })
    };
    let threads: Vec<_> = (0..16).map(adds).collect();
    for thread in threads {
        assert_eq!(thread.join(), Ok(()));
    }
    assert_eq!(*number.lock(), 16 * rounds);
}

pub(super) static DATA: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

pub(super) fn passes_on(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    for round in 1..=TURNS.load(SeqCst) as usize {
        let wanted = ((round - 1) * all + me) as u64;
        // Release and acquire alone order the word and the number of its round.
        until(|| COUNT.load(Acquire) == wanted);
        let before = DATA[(me + all - 1) % all].load(Relaxed);
        assert_eq!(before, wanted.wrapping_mul(0x9e37_79b9_7f4a_7c15), "round {round}");
        DATA[me].store((wanted + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), Relaxed);
        COUNT.store(wanted + 1, Release);
    }
}

/// One thread a CPU: each finds in shared memory what the one before it has written, round after round.
pub(super) fn memory_is_shared_across_cpus() {
    be_equal();
    TURNS.store(scaled(1000), SeqCst);
    let all = cpus::count();
    let start = |cpu| Worker::on(bit(cpu), MIDDLE, passes_on, parts(&[cpu, all]));
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in &threads {
        thread.wait().expect("its end");
    }
    assert_eq!(COUNT.load(SeqCst), TURNS.load(SeqCst) * all as u64);
}
