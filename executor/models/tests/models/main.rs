//! Loom models of the executor: every schedule of a few steps, with up to three preemptions, and
//! every value that the memory model lets a read find.
//!
//! Each model also runs with mistakes planted into the code that it is about. Loom has to find them,
//! for the reason given: otherwise the model proves nothing.

mod by_hand;
mod completion;
mod explore;
mod references;
mod task_state;
mod timer;
mod urgency;
mod wait_cell;
mod wait_queue;
mod wake_queue;
mod watch;

use libtest_mimic::Arguments;

fn main() {
    let models = [
        wake_queue::models(),
        task_state::models(),
        references::models(),
        urgency::models(),
        wait_queue::models(),
        wait_cell::models(),
        completion::models(),
        timer::models(),
    ];
    let trials = models.into_iter().flatten().map(explore::Model::into_trial).collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    explore::print_counts();
    conclusion.exit();
}
