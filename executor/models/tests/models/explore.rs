//! Runs a model and counts its schedules.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use executor_loom::planted::{self, Bug};
use libtest_mimic::{Failed, Trial};
use loom::model::Builder;

/// One model, or the same with a bug planted into the code.
#[derive(Clone)]
pub struct Model {
    name: String,
    body: fn(),
    /// The bug, and what loom has to say about it.
    must_find: Option<(Bug, &'static str)>,
}

/// A model that holds in every schedule, and the same once more with each of `bugs` planted into
/// the code: of these loom has to find one schedule where the model panics with a message that
/// contains the one that is given.
pub fn model(name: &str, body: fn(), bugs: &[(Bug, &'static str)]) -> Vec<Model> {
    assert!(!bugs.is_empty(), "{name}: nothing shows that it would find a mistake");
    let planted = bugs.iter().map(|&must_find| Model {
        name: format!("{name}, planted: {:?}", must_find.0),
        body,
        must_find: Some(must_find),
    });
    let holds = Model { name: name.into(), body, must_find: None };
    std::iter::once(holds).chain(planted).collect()
}

/// What loom says about an access that nothing orders.
pub const RACE: &str = "Causality violation";

/// How many preemptions a schedule has at most.
const PREEMPTIONS: usize = 3;

/// Name, schedules, and what was found.
type Count = (String, usize, Option<String>);

static COUNTS: Mutex<Vec<Count>> = Mutex::new(Vec::new());

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

impl Model {
    /// The test.
    pub fn into_trial(self) -> Trial {
        Trial::test(self.name.clone(), move || self.run())
    }

    fn run(self) -> Result<(), Failed> {
        let schedules = Arc::new(AtomicUsize::new(0));
        let (counting, body) = (schedules.clone(), self.body);
        let mut builder = Builder::new();
        builder.preemption_bound = Some(PREEMPTIONS);
        // Loom runs all threads of a model on this thread.
        planted::plant(self.must_find.map(|(bug, _)| bug));
        let explored = catch(self.must_find.is_some(), move || {
            builder.check(move || {
                counting.fetch_add(1, Relaxed);
                body();
            });
        });
        planted::plant(None);
        let count = schedules.load(Relaxed);
        COUNTS.lock().unwrap().push((self.name, count, explored.as_ref().err().cloned()));
        match (explored, self.must_find) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(_)) => Err(format!("not found in {count} schedules").into()),
            (Err(said), Some((_, message))) if said.contains(message) => Ok(()),
            (Err(said), _) => Err(format!("schedule {count}: {said}").into()),
        }
    }
}

/// Runs `f`; the message, if it panics. A panic that is expected is not printed.
fn catch(quiet: bool, f: impl FnOnce()) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Loom runs all threads of a model on the thread of its test.
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(quiet);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    QUIET.set(false);
    result.map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").into()
}

/// Says for each model how many schedules there were.
pub fn print_counts() {
    let mut counts = COUNTS.lock().unwrap();
    counts.sort();
    if counts.is_empty() {
        return;
    }
    println!("schedules, with up to {PREEMPTIONS} preemptions (with a planted bug: until found):");
    for (name, count, found) in counts.iter() {
        println!("{count:>9}  {name}");
        if let Some(line) = found.as_ref().and_then(|found| found.lines().next()) {
            println!("{:>9}    found: {line}", "");
        }
    }
    println!();
}

/// Runs `f` with a `'static` reference to `value`, and drops `value` after it.
///
/// # Safety
/// Nothing keeps the reference after `f` has returned.
pub unsafe fn with_static<T: 'static>(value: T, f: impl FnOnce(&'static T)) {
    let pointer = Box::into_raw(Box::new(value));
    // SAFETY: it lives until the drop below. After a panic it lives for ever.
    f(unsafe { &*pointer });
    // SAFETY: the caller says that all references are gone.
    drop(unsafe { Box::from_raw(pointer) });
}
