//! Callers that wait for something, whose calls a server has kept.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use orbital_user::Reply;

/// When so many wait, those that are gone are looked for first.
const FEW: usize = 16;

/// Kept calls, each with what its caller waits for. A caller that has gone, or given up, is forgotten before there is a
/// second one in its place for each that waits still.
#[derive(Debug)]
pub struct Waiting<K> {
    calls: Vec<(K, Reply)>,
    /// How many there can be before the next search for those that are gone.
    room: usize,
}

impl<K: PartialEq> Waiting<K> {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { calls: Vec::new(), room: FEW }
    }

    /// Keeps a call.
    pub fn add(&mut self, what: K, reply: Reply) {
        if self.calls.len() >= self.room {
            let calls = core::mem::take(&mut self.calls);
            let still = calls.into_iter();
            let still = still.filter_map(|(what, reply)| Some((what, reply.if_awaited()?)));
            self.calls = still.collect();
            self.room = (2 * self.calls.len()).max(FEW);
        }
        self.calls.push((what, reply));
    }

    /// Those that wait for this: they are to be answered.
    pub fn take(&mut self, what: &K) -> impl Iterator<Item = Reply> {
        let found: Vec<_> = self.calls.extract_if(.., |(other, _)| other == what).collect();
        found.into_iter().map(|(_, reply)| reply)
    }

    /// How many are kept, those that are gone and were not noticed among them.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

impl<K: PartialEq> Default for Waiting<K> {
    fn default() -> Self {
        Self::new()
    }
}
