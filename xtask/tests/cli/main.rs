//! The command as its users see it.
#![forbid(unsafe_code)]

mod bench;
mod book;
mod boot;
mod build;
mod c;
mod commands;
mod cpus;
mod fuzz;
mod keyboard;
mod screen;
mod services;
mod shell;
mod support;
mod trace;
