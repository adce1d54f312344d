//! Values that each thread has for itself.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use guests::cpus::{bit, count, leave_nothing};
use orbital_user::{
    abi::CapSlot,
    local::LocalKey,
    thread::{spawn, yield_now},
};

static NUMBER: LocalKey<Cell<usize>> = LocalKey::new(|| Cell::new(7));
static TEXT: LocalKey<Cell<Vec<u8>>> = LocalKey::new(|| Cell::new(Vec::new()));

pub fn each_thread_has_its_own_values() {
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let thread = spawn(move || {
                assert_eq!(NUMBER.with(Cell::get), 7);
                for turn in 0..200 {
                    NUMBER.with(|own| own.set(number * 1000 + turn));
                    TEXT.with(|own| own.set([number as u8; 9].to_vec()));
                    yield_now();
                    assert_eq!(NUMBER.with(Cell::get), number * 1000 + turn);
                    assert_eq!(TEXT.with(Cell::take), [number as u8; 9]);
                }
            })
            .unwrap();
            // From CPU to CPU, with FS.
            for turn in 0..4 {
                // It may have ended.
                let _ = thread.thread().set_affinity(bit((number + turn) % count()));
            }
            thread
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(NUMBER.with(Cell::get), 7);
    assert_ne!(guests::own_thread().slot(), CapSlot::NULL);
}

/// The runtime takes no other base for its own.
pub fn a_thread_ends_with_whatever_it_has_in_fs() {
    for base in [1, 0x1000, 0x7fff_ffff_0000, 0xffff_8000_0000_0000] {
        let bases = [base, 0];
        let thread = spawn(move || assert_eq!(guests::pattern::hold_bases(bases, 1), bases));
        thread.unwrap().join().unwrap();
    }
}

pub fn values_go_with_their_threads() {
    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    static TOKEN: LocalKey<Token> = LocalKey::new(|| {
        ALIVE.fetch_add(1, Relaxed);
        Token
    });

    struct Token;
    impl Drop for Token {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Relaxed);
            // Another one's value is still there, or comes anew.
            NUMBER.with(|number| number.set(1));
        }
    }

    leave_nothing(3, || {
        spawn(|| {
            NUMBER.with(|number| number.set(2));
            TOKEN.with(|_| assert!(ALIVE.load(Relaxed) > 0));
        })
        .unwrap()
        .join()
        .unwrap();
        assert_eq!(ALIVE.load(Relaxed), 0);
    });
}
