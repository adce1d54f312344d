//! Cases that fail, each in another way, and some that tell what they were given: the harness is
//! tested with them. They are in no other run.
#![cfg_attr(target_os = "none", no_std, no_main)]

use guests::{
    cpus::{scaled, seed, spin},
    suite,
};
use orbital_user::{Endpoint, println, system};

suite! {
    cases: [passes, fails, faults, hangs, spins, says_fail, powers_off_early, exits_early],
    on "cpus=2,3 memory=192M": [tells_its_machine],
    on "icount": [spins_a_while],
    roles: [],
}

fn passes() {}

fn tells_its_machine() {
    scaled(10);
    seed();
}

fn spins_a_while() {
    spin(1000);
}

fn fails() {
    assert_eq!(1 + 1, 3, "as it should be");
}

fn faults() {
    let nowhere = core::ptr::without_provenance::<u8>(0x10_0000);
    // SAFETY: not sound, on purpose: the machine refuses the read.
    unsafe { nowhere.read_volatile() };
}

fn hangs() {
    let endpoint = Endpoint::create().unwrap();
    let _ = endpoint.receive();
}

fn spins() {
    loop {
        core::hint::spin_loop();
    }
}

fn says_fail() {
    println!("test says_fail: fail: for a reason of its own");
    system::shutdown(1);
}

fn powers_off_early() {
    system::shutdown(0);
}

fn exits_early() {
    orbital_user::start::exit(0);
}
