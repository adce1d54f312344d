//! To be tried in the shell: takes memory until it gets no more, and says how much that was. Ends with 1.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use orbital_user::{MemoryObject, entry, memory::MappingMut, println, start::exit};

entry!(main);

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;

fn main() {
    let mut hoard: Vec<MappingMut> = Vec::new();
    let reason = loop {
        match take() {
            Ok(piece) => hoard.push(piece),
            Err(error) => break error,
        }
    };
    let kib = hoard.len() * PIECE / 1024;
    // What it says takes memory, too.
    drop(hoard);
    println!("no more memory after {kib} KiB: {reason}");
    exit(1)
}

/// A piece more, all of it used.
fn take() -> Result<MappingMut, orbital_user::Error> {
    let mut piece = MemoryObject::create(PIECE as u64)?.map_write(PIECE as u64)?;
    piece.fill(1);
    Ok(piece)
}
