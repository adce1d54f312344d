//! The way into the kernel and out, and from one process to another.
#![forbid(unsafe_code)]

use orbital_user::abi::Syscall;

use crate::{
    measure::{MANY, Samples, measure},
    roles, stub,
};

/// The cheapest call.
pub fn null() -> Samples {
    measure(MANY, || stub::bare(Syscall::Null))
}

/// A yield to another process and its yield back: two switches.
pub fn yield_switch() -> Samples {
    let other = roles::start("yielder", |spawn| spawn);
    let samples = measure(MANY, || stub::bare(Syscall::ThreadYield)).per(2);
    roles::end(&other);
    samples
}

/// The other process: yields whenever it is its turn.
pub fn yielder() {
    loop {
        stub::bare(Syscall::ThreadYield);
    }
}
