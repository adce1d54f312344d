//! What a program does with its message page, through its own mapping.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error, Message, Syscall, Tag, message::REGISTER_WORDS};

use super::user;
use crate::{arch::direct_map, sched};

/// How many words a page has.
pub const ENTRIES: usize = 512;

/// The page of the thread that uses it.
#[derive(Clone, Copy)]
pub struct Page(pub u64);

/// Gives the thread in `slot` a page, the calling one where that is null.
pub async fn give(slot: CapSlot, address: u64) -> Result<u64, Error> {
    let answer = user::control(Syscall::ThreadMessagePage, [slot.bits(), address, 0, 0]).await?;
    assert_eq!(answer[1..], [0; 3]);
    Ok(answer[0])
}

/// The calling thread's page.
pub async fn own() -> Page {
    Page(give(CapSlot::NULL, 0).await.unwrap())
}

impl Page {
    /// All words, as its program sees them.
    pub fn read(self) -> Vec<u64> {
        let mut bytes = [0; ENTRIES * 8];
        let mapped = sched::current().process.space.translate(self.0);
        direct_map::read(mapped.expect("it is mapped").frame, 0, &mut bytes);
        bytes.as_chunks().0.iter().copied().map(u64::from_le_bytes).collect()
    }

    /// Writes all words.
    pub fn write(self, words: impl IntoIterator<Item = u64>) {
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        let mapped = sched::current().process.space.translate(self.0);
        direct_map::write(mapped.expect("it is mapped").frame, 0, &bytes);
    }

    /// A message of `length` words that all tell `seed`; those in the page too, and nothing else there.
    pub fn message(self, seed: u64, length: usize) -> Message {
        self.write((0..ENTRIES).map(|entry| word(seed, entry)));
        let words = core::array::from_fn(|number| word(seed, number));
        Message { tag: Tag::new(seed as u32, length).unwrap(), words }
    }
}

/// Word `number` of what tells `seed`: none of them zero, and all different.
pub fn word(seed: u64, number: usize) -> u64 {
    (seed + 1) << 32 | 0x8000_0000 | number as u64
}

/// What the registers of a message of `length` words bring.
pub fn in_registers(seed: u64, length: usize) -> [u64; REGISTER_WORDS] {
    core::array::from_fn(|number| if number < length { word(seed, number) } else { 0 })
}

/// What a page of [`Page::message`]`(own, _)` holds once one of `seed` and `length` has arrived in it.
pub fn after(own: u64, seed: u64, length: usize) -> Vec<u64> {
    let arrived = |entry| (REGISTER_WORDS..length).contains(&entry);
    (0..ENTRIES).map(|entry| word(if arrived(entry) { seed } else { own }, entry)).collect()
}
