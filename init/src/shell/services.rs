//! Services that the shell uses: init tells when one of them was started anew.
#![forbid(unsafe_code)]

use alloc::{sync::Arc, vec::Vec};

use orbital_user::{Error, Notification, Rights, rpc::Client, thread};

use super::events::{Event, Events};
use crate::protocol::supervisor::{Answer, Question};

/// Has an [`Event::StartedAnew`] tell of each of `services`, up to 64, whenever it was started anew: as far as there are such
/// and the supervisor allows it.
///
/// # Errors
/// Those of a notification and a thread; then nothing is told.
pub fn watch(
    supervisor: &Client<Question, Answer>,
    services: Vec<&'static str>,
    events: Arc<Events>,
) -> Result<(), Error> {
    let word = Notification::create()?;
    let mut watched = Vec::new();
    for (service, bit) in services.into_iter().zip((0..u64::BITS).map(|place| 1 << place)) {
        let told = word.copy(Rights::SEND | Rights::GRANT, bit)?;
        let asked = supervisor.call_with(&Question::Watch(service.into()), &[told.slot()]);
        if matches!(asked, Ok((Answer::Done, _))) {
            watched.push((service, bit));
        }
    }
    if watched.is_empty() {
        return Ok(());
    }
    let wait = move || {
        while let Ok(signals) = word.wait() {
            for (service, _) in watched.iter().filter(|(_, bit)| signals & bit != 0) {
                events.push(Event::StartedAnew(service));
            }
        }
    };
    // It ends with the shell.
    thread::spawn(wait)?.detach();
    Ok(())
}
