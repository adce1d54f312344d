//! What init is asked about its services ([`protocol::supervisor`](orbital_init::protocol::supervisor)).
#![forbid(unsafe_code)]

use alloc::{rc::Rc, vec::Vec};

use orbital_init::number::number;
use orbital_init::protocol::{
    RIGHT_BITS, may,
    supervisor::{Answer, CONTROL, LIST, Question, Service},
};
use orbital_user::{
    Notification, Rights,
    abi::ObjectKind,
    capability::{Capability, inspect},
    println,
    rpc::{Call, answer},
    task,
};

use super::state::{Running, State};

/// Answers, as a task.
pub async fn serve(state: Rc<State>) {
    loop {
        match task::question(&state.own).await {
            Ok((call, reply)) => {
                let value = handle(&state, call);
                // A caller that is gone, or accepts no capabilities for a long list, has its own affairs.
                let _ = answer(reply, &value);
            }
            // It has no means to receive, and may have some later.
            Err(error) => {
                println!("{error}");
                task::sleep(1_000_000_000).await;
            }
        }
    }
}

fn handle(state: &State, call: Call<Question>) -> Answer {
    let right = match call.question {
        Question::List | Question::Watch(_) => LIST,
        Question::Kill(_) | Question::Shutdown(_) => CONTROL,
    };
    if !may(call.badge, right) {
        return Answer::NotAllowed;
    }
    match call.question {
        Question::List => Answer::Services(list(state)),
        Question::Watch(name) => {
            let client = call.badge >> RIGHT_BITS;
            done(find(state, &name).and_then(|found| watch(found, client, call.capabilities)))
        }
        Question::Kill(name) => done(find(state, &name).and_then(kill)),
        Question::Shutdown(code) => {
            state.end(code);
            Answer::Done
        }
    }
}

fn done(done: Option<()>) -> Answer {
    done.map_or(Answer::Unknown, |()| Answer::Done)
}

fn find<'a>(state: &'a State, name: &str) -> Option<&'a Running> {
    let place = state.manifest.services.iter().position(|service| service.name == name)?;
    state.services.get(place)
}

fn list(state: &State) -> Vec<Service> {
    let services = state.manifest.services.iter().zip(&state.services);
    let entry = |(service, running): (&orbital_init::manifest::Service, &Running)| Service {
        name: service.name.clone(),
        process: running.child.borrow().as_ref().map(|child| number(&child.process)),
        restarts: running.restarts.get(),
        ended: running.ended.get(),
    };
    services.map(entry).collect()
}

/// One notification for each client: a later one replaces it, so no client has more of init's memory than that.
fn watch(running: &Running, client: u64, mut came: Vec<Capability>) -> Option<()> {
    let capability = came.pop().filter(|_| came.is_empty())?;
    let seen = inspect(capability.slot()).ok()?;
    if seen.kind != Some(ObjectKind::Notification) || !seen.rights.contains(Rights::SEND) {
        return None;
    }
    let notification = Notification::from_slot(capability.into_slot());
    running.watchers.borrow_mut().insert(client, notification);
    Some(())
}

fn kill(running: &Running) -> Option<()> {
    running.child.borrow().as_ref()?.process.kill().ok()
}
