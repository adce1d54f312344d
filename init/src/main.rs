//! Orbital's first process: shows that the system holds what it promises, and starts the services.
//!
//! | on the kernel's command line | what it does |
//! |---|---|
//! | nothing | the demo, then power off |
//! | `shell=on` | the demo, then the services, until the session ends |
//! | `exec="a; b"` | the services; the session runs these commands |
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod demo;
mod supervisor;

use orbital_user::{abi::command_line, entry, println, start::bootstrap, system};

entry!(main);

fn main() -> Result<(), orbital_user::Error> {
    let line = bootstrap().command_line();
    let exec = command_line::get(line, "exec");
    let mut code = if exec.is_some() { 0 } else { demo() };
    if code == 0 && (exec.is_some() || command_line::get(line, "shell") == Some("on")) {
        code = supervisor::run(exec).unwrap_or_else(|reason| {
            println!("{reason}");
            1
        });
    }
    Err(system::shutdown(code))
}

/// Runs the demo; gives the code to end with after it.
fn demo() -> u64 {
    match demo::run() {
        Ok(()) => {
            println!("all checks passed");
            0
        }
        Err(failure) => {
            println!("{failure}");
            1
        }
    }
}
