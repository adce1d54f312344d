//! The shell. What it is given stands in its line of the manifest, and each of these but the console may be missing: then some
//! commands say so.
//!
//! | name | what |
//! |---|---|
//! | `console` | the console, with the right to read |
//! | `processes`, `log`, `names`, `supervisor` | services; what it has of `names`, its programs have too |
//!
//! With `exec=a; b` among its arguments it runs these commands, without a prompt, and ends: with 0, or with 1 if one failed.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use orbital_init::shell::state::Shell;
use orbital_user::{
    Endpoint, Error, entry,
    rpc::Client,
    start::{bootstrap, exit, take_named},
};

entry!(main);

/// What begins the commands to run: they are the rest of the arguments.
const EXEC: &str = "exec=";

fn main() -> Result<(), Error> {
    let service = |name| take_named(name).map(|found| Endpoint::from_slot(found.into_slot()));
    let console = service("console").ok_or(Error::EmptySlot)?;
    let mut shell = Shell::start(console, service("processes"))?;
    shell.log = service("log").map(Client::new);
    shell.names = service("names").map(Client::new);
    shell.supervisor = service("supervisor").map(Client::new);
    match bootstrap().command_line().split_once(EXEC) {
        Some((_, commands)) => exit(u64::from(!shell.execute(commands))),
        None => shell.talk(),
    }
    // Nobody can type anything any more.
    Err(Error::PeerGone)
}
