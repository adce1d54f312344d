//! The name service: [`protocol::names`](crate::protocol::names).
//!
//! What it keeps of an endpoint is a copy to send to: what came may allow to receive, too, and then the endpoint would not end
//! with its server. Once nobody can receive there, or the copy was revoked, the name is nobody's.
//!
//! | module | what |
//! |---|---|
//! | [`client`] | the side that asks |
#![forbid(unsafe_code)]

pub mod client;

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use orbital_user::{
    CapSlot, Endpoint, Error, Reply, Rights,
    abi::ObjectKind,
    capability::{Capability, copy_to, inspect},
    rpc::{self, Call},
};

use crate::{
    protocol::{
        RIGHT_BITS, may,
        names::{Answer, LOOK_UP, Question, REGISTER},
    },
    waiting::Waiting,
};

/// How many names a client can have.
const MOST: usize = 64;
/// How many calls of [`Question::Wait`] are kept, of all clients.
const MOST_WAITING: usize = 1024;
/// How long a name can be in bytes.
const NAME_BYTES: usize = 64;
/// What its client must have of an endpoint, and what the service keeps and others get.
const RIGHTS: Rights = Rights::SEND.union(Rights::GRANT);

/// All names, and who waits for one.
#[derive(Debug, Default)]
pub struct Names {
    names: BTreeMap<String, Name>,
    waiting: Waiting<String>,
}

/// What a name stands for.
#[derive(Debug)]
struct Name {
    /// Whose it is.
    client: u64,
    endpoint: Endpoint,
}

impl Name {
    /// Whether nobody can serve the endpoint any more, as that of a program that has ended, or be asked there.
    fn is_gone(&self) -> bool {
        inspect(self.endpoint.slot()).map_or(true, |seen| seen.is_over)
    }

    /// A capability to hand out, or what to answer in its place.
    fn copy(&self) -> Result<Capability, Answer> {
        match copy_to(self.endpoint.slot(), CapSlot::NULL, RIGHTS, 0) {
            Ok(slot) => Ok(Capability::from_slot(slot)),
            Err(Error::QuotaExceeded | Error::TableFull) => Err(Answer::Full),
            // It was revoked.
            Err(_) => Err(Answer::Unknown),
        }
    }
}

impl Names {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a question.
    pub fn answer(&mut self, call: Call<Question>) -> rpc::Answer<Answer> {
        let right = match call.question {
            Question::Register(_) | Question::Remove(_) => REGISTER,
            Question::LookUp(_) | Question::Wait(_) | Question::List => LOOK_UP,
        };
        if !may(call.badge, right) {
            return rpc::Answer::Reply(Answer::NotAllowed);
        }
        let client = call.badge >> RIGHT_BITS;
        match call.question {
            Question::Register(name) => {
                rpc::Answer::Reply(self.register(client, name, call.capabilities))
            }
            Question::Remove(name) => rpc::Answer::Reply(self.remove(client, &name)),
            Question::LookUp(name) => match self.find(&name) {
                Ok(endpoint) => rpc::Answer::ReplyWith(Answer::Found, [endpoint].into()),
                Err(answer) => rpc::Answer::Reply(answer),
            },
            Question::Wait(name) => self.wait(name),
            Question::List => {
                self.names.retain(|_, name| !name.is_gone());
                rpc::Answer::Reply(Answer::Names(self.names.keys().cloned().collect()))
            }
        }
    }

    fn register(&mut self, client: u64, name: String, mut came: Vec<Capability>) -> Answer {
        let Some(capability) = came.pop().filter(|_| came.is_empty()) else {
            return Answer::Invalid;
        };
        let is_fine = inspect(capability.slot()).is_ok_and(|seen| {
            seen.kind == Some(ObjectKind::Endpoint) && seen.rights.contains(RIGHTS)
        });
        if !is_fine || !is_name(&name) {
            return Answer::Invalid;
        }
        let is_own = match self.names.get(&name) {
            Some(other) if other.client == client => true,
            Some(other) if !other.is_gone() => return Answer::Taken,
            _ => false,
        };
        if !is_own && !self.has_room(client) {
            return Answer::Full;
        }
        let endpoint = match Endpoint::from_slot(capability.into_slot()).copy(RIGHTS, 0) {
            Ok(kept) => kept,
            Err(Error::QuotaExceeded | Error::TableFull) => return Answer::Full,
            Err(_) => return Answer::Invalid,
        };
        let new = Name { client, endpoint };
        for reply in self.waiting.take(&name) {
            // A caller that is gone, or accepts none, has its own affairs.
            let _ = match new.copy() {
                Ok(endpoint) => rpc::answer_with(reply, &Answer::Found, [endpoint].into()),
                Err(answer) => rpc::answer(reply, &answer),
            };
        }
        self.names.insert(name, new);
        Answer::Done
    }

    /// Whether a client can have one more name. If not, those are forgotten first whose endpoints are gone.
    fn has_room(&mut self, client: u64) -> bool {
        if self.names_of(client) >= MOST {
            self.names.retain(|_, name| name.client != client || !name.is_gone());
        }
        self.names_of(client) < MOST
    }

    /// How many names a client has.
    fn names_of(&self, client: u64) -> usize {
        self.names.values().filter(|name| name.client == client).count()
    }

    fn remove(&mut self, client: u64, name: &str) -> Answer {
        match self.names.get(name) {
            None => Answer::Unknown,
            Some(other) if other.client != client => Answer::Taken,
            Some(_) => {
                self.names.remove(name);
                Answer::Done
            }
        }
    }

    /// The capability of this name to hand out, or what to answer in its place. A name that is nobody's is forgotten.
    fn find(&mut self, name: &str) -> Result<Capability, Answer> {
        let found = self.names.get(name).ok_or(Answer::Unknown)?;
        if found.is_gone() {
            self.names.remove(name);
            return Err(Answer::Unknown);
        }
        found.copy()
    }

    fn wait(&mut self, name: String) -> rpc::Answer<Answer> {
        match self.find(&name) {
            Ok(endpoint) => return rpc::Answer::ReplyWith(Answer::Found, [endpoint].into()),
            Err(Answer::Unknown) => {}
            Err(answer) => return rpc::Answer::Reply(answer),
        }
        if !is_name(&name) {
            return rpc::Answer::Reply(Answer::Invalid);
        }
        if self.waiting.len() >= MOST_WAITING {
            return rpc::Answer::Reply(Answer::Full);
        }
        if let Ok(reply) = Reply::keep() {
            self.waiting.add(name.to_string(), reply);
        }
        rpc::Answer::Later
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES).contains(&name.len())
}
