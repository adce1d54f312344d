//! The life of a service, as a task: it is started, it ends, it is started anew.
//!
//! ```text
//!          ┌──────────── back-off ◄─────────────┐
//!          ▼                                    │ the policy says so
//!       starting ──► runs ──► has ended ────────┤
//!          └──── can't be started ──────────────┤
//!                                               ▼ it does not
//!                                     over: its clients are told
//! ```
#![forbid(unsafe_code)]

use alloc::{format, rc::Rc, string::String};
use core::mem::ManuallyDrop;

use orbital_init::{backoff::Backoff, manifest::Restart};
use orbital_user::{CapSlot, ExitReason, Process, capability, clock, println, task};

use super::{
    start::start,
    state::{Running, State},
};

/// How long it takes at least until a start is tried anew that has failed, in nanoseconds: others have their turn meanwhile.
const LEAST_WAIT: u64 = 10_000_000;

/// Lives for the service at this place of the manifest.
pub async fn live(state: Rc<State>, place: usize) {
    let (service, running) = (&state.manifest.services[place], &state.services[place]);
    let mut backoff = Backoff::new(service.backoff);
    let mut is_first = true;
    loop {
        let started = clock::now();
        let ended = match start(&state, place) {
            Ok(()) => {
                println!("{}: started", service.name);
                if !core::mem::take(&mut is_first) {
                    running.restarts.set(running.restarts.get() + 1);
                    tell_watchers(running);
                }
                Ok(end(running).await)
            }
            Err(reason) => Err(reason),
        };
        let least = if ended.is_err() { LEAST_WAIT } else { 0 };
        let wait = is_wanted(service.restart, ended.as_ref().ok())
            .then(|| backoff.wait(clock::now().saturating_sub(started)).max(least));
        tell(&service.name, &ended, wait);
        let Some(wait) = wait else {
            return over(&state, place, ended.ok());
        };
        task::sleep(wait).await;
    }
}

/// Waits for the end of its process, and takes back what it had.
async fn end(running: &Running) -> ExitReason {
    let slot = running.child.borrow().as_ref().map_or(CapSlot::NULL, |child| child.process.slot());
    // It is closed below, and nowhere else.
    let process = ManuallyDrop::new(Process::from_slot(slot));
    let reason = task::ended(&process).await.unwrap_or(ExitReason::Killed);
    running.ended.set(Some(reason.encode()));
    running.child.take();
    for interrupt in &*running.interrupts.borrow() {
        // It can't fail.
        let _ = interrupt.unbind();
    }
    running.ports.take();
    reason
}

/// Whether a service is started anew that has ended so, or could not be started.
fn is_wanted(restart: Restart, ended: Option<&ExitReason>) -> bool {
    match restart {
        Restart::Always => true,
        Restart::OnFailure => ended != Some(&ExitReason::Exited(0)),
        Restart::Never => false,
    }
}

/// One line for an end.
fn tell(name: &str, ended: &Result<ExitReason, String>, wait: Option<u64>) {
    let what = match ended {
        Ok(reason) => format!("{reason}"),
        Err(reason) => format!("can't be started: {reason}"),
    };
    match wait {
        Some(wait) => println!("{name}: {what}; again in {} ms", wait / 1_000_000),
        None => println!("{name}: {what}"),
    }
}

/// Signals all who want to know that it was started anew.
fn tell_watchers(running: &Running) {
    running.watchers.borrow_mut().retain(|_, notification| {
        let mask = capability::inspect(notification.slot()).map_or(0, |seen| seen.badge);
        // One that is gone is forgotten.
        notification.signal(if mask == 0 { 1 } else { mask }).is_ok()
    });
}

/// It is not started any more.
fn over(state: &State, place: usize, ended: Option<ExitReason>) {
    if let Some(endpoint) = &state.services[place].endpoint {
        // Nobody shall wait for it: who does gets an error.
        let _ = capability::revoke(endpoint.slot());
    }
    if state.manifest.services[place].session {
        state.end(u64::from(ended != Some(ExitReason::Exited(0))));
    }
}
