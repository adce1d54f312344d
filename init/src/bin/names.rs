//! Endpoints by name ([`protocol::names`](orbital_init::protocol::names)).
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use orbital_init::{names::Names, own_service};
use orbital_user::{Error, entry, rpc};

entry!(main);

fn main() -> Result<(), Error> {
    let mut names = Names::new();
    Ok(rpc::serve(&own_service()?, |call| names.answer(call))?)
}
