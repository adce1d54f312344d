//! Runs of the whole kernel in a host process, over the simulated machine of `arch/host`. What a
//! single module does is tested beside it; both use the same fixture.
//!
//! | module | what |
//! |---|---|
//! | [`kernel`] | the fixture: a booted kernel with init, which must give everything back |
//! | [`programs`], [`cpus`] | what runs its programs: one CPU, or several in turns |
//! | [`seeds`] | runs that a seed decides |
//! | `smp` | runs on several CPUs |
//! | [`user`] | what its programs can do: they are futures that await their own system calls |
//! | [`devices`] | the same with ports and interrupts |
//! | [`page`] | what they do with their message pages |
#![forbid(unsafe_code)]

pub mod cpus;
pub mod devices;
pub mod kernel;
pub mod page;
pub mod programs;
pub mod seeds;
mod smp;
pub mod user;
