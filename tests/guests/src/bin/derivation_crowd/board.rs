//! What the users of a crowd write, and the first process reads: a page that all of them map.
#![forbid(unsafe_code)]

use core::mem::ManuallyDrop;

use guests::{
    bare::PAGE,
    mapped::{read, write},
};
use orbital_user::MemoryObject;

/// How many users there are in a long run; a tenth else.
pub const USERS: u64 = 100;

/// What stands in a user's row of the board, a word each.
#[derive(Clone, Copy)]
pub enum Word {
    /// How often it has used something of all that it has derived.
    Uses,
    /// How many of its capabilities have failed.
    Failed,
    /// How often it had used something when the first one failed.
    First,
    /// How many uses began after the end, and were none that failed.
    Late,
}

/// What all of them share: a row for each, and the word that says that all is over. It is mapped for good.
#[derive(Clone, Copy)]
pub struct Board {
    address: u64,
    users: u64,
}

impl Board {
    const ROW: u64 = 64;
    /// How large it is.
    pub const BYTES: u64 = ((USERS + 1) * Self::ROW).next_multiple_of(PAGE);

    /// The one in `memory`, with rows for so many.
    pub fn new(memory: &MemoryObject, users: u64) -> Self {
        assert!(users <= USERS);
        let mapping = ManuallyDrop::new(memory.map_write(Self::BYTES).unwrap());
        Self { address: mapping.address(), users }
    }

    /// Nothing that was derived is there any more: the call that has done that has returned.
    pub fn set_over(self) {
        write(self.address, 1);
    }

    pub fn is_over(self) -> bool {
        read(self.address) == 1
    }

    fn place(self, user: u64, word: Word) -> u64 {
        self.address + (user + 1) * Self::ROW + 8 * word as u64
    }

    pub fn get(self, user: u64, word: Word) -> u64 {
        read(self.place(user, word))
    }

    pub fn set(self, user: u64, word: Word, value: u64) {
        write(self.place(user, word), value);
    }

    pub fn add(self, user: u64, word: Word) {
        self.set(user, word, self.get(user, word) + 1);
    }

    /// A word of each user.
    pub fn each(self, word: Word) -> impl Iterator<Item = u64> {
        (0..self.users).map(move |user| self.get(user, word))
    }

    /// That of all of them.
    pub fn sum(self, word: Word) -> u64 {
        self.each(word).sum()
    }

    /// Whether half of them have lost something.
    pub fn is_half_gone(self) -> bool {
        self.each(Word::Failed).filter(|failed| *failed > 0).count() as u64 * 2 >= self.users
    }
}
