//! The system's latest log lines ([`protocol::log`](orbital_init::protocol::log)).
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use orbital_init::{log::Log, own_service};
use orbital_user::{Error, entry, rpc};

entry!(main);

fn main() -> Result<(), Error> {
    let mut log = Log::open()?;
    Ok(rpc::serve_with(&own_service()?, &mut log)?)
}
