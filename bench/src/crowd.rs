//! A crowd of processes that have derived much from one capability.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use orbital_user::{Endpoint, Message, Rights, spawn::Child, start::take_granted};

use crate::roles;

/// How many processes.
const PROCESSES: usize = 100;
/// How many capabilities each of them has.
const COPIES: usize = 1000;
/// How many of these are each derived from the one before.
const DEPTH: usize = 60;
/// What each of them may have: frames, and kernel memory for its capabilities.
const QUOTA: (u64, u64) = (96, 128 * 1024);

/// Processes that try to send to `endpoint` by all that they have derived from it, in turns.
pub fn gather(endpoint: &Endpoint) -> Vec<Child> {
    let [told, go] = [(); 2].map(|()| Endpoint::create().expect("an endpoint"));
    let start = |_| {
        roles::start("member", |spawn| {
            let spawn = spawn.quota(QUOTA.0, QUOTA.1).grant(told.slot(), Rights::SEND, 0);
            let spawn = spawn.grant(go.slot(), Rights::RECEIVE, 0);
            spawn.grant(endpoint.slot(), Rights::SEND | Rights::GRANT, 0)
        })
    };
    let members: Vec<_> = (0..PROCESSES).map(start).collect();
    for _ in &members {
        told.receive().expect("one that has all that it wants");
    }
    for _ in &members {
        go.send(&Message::default()).expect("one that waits");
    }
    members
}

/// One of them.
pub fn member() {
    let [told, go, given] = [0, 1, 2]
        .map(|place| Endpoint::from_slot(take_granted(place).expect("an endpoint").into_slot()));
    let mut all = Vec::from([given]);
    for number in 1..COPIES {
        // The last of a long line has most of them.
        let parent = &all[(number - 1).min(DEPTH)];
        all.push(parent.copy(Rights::SEND | Rights::GRANT, 0).expect("a copy"));
    }
    told.send(&Message::default()).expect("the first process");
    go.receive().expect("the first process");
    loop {
        for one in &all {
            // Nobody receives, and in the end it is gone.
            let _ = one.try_send(&Message::default());
        }
    }
}
