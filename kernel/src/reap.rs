//! The end of processes, as a task of the kernel's own: first threads and children, whose ends
//! queue the process again, then capabilities, mappings and tables, in steps between which others
//! run. And what killed threads left undone in processes that live on.
#![forbid(unsafe_code)]

use orbital_abi::ExitReason;
use orbital_executor::yield_now;

use crate::{
    object::Ref,
    process::{Process, next_to_reap},
    thread::Tcb,
    vm,
};

/// How many things one step ends.
const STEP: usize = 16;

/// Reaps for ever.
pub async fn reap() {
    loop {
        let process = next_to_reap().await;
        if !process.is_ending() {
            while let Some(claim) = process.space.take_abandoned() {
                vm::unmap(&process.space, &claim).await;
            }
            continue;
        }
        end_threads(&process).await;
        end_children(&process).await;
        // The last thread or child that ends queues the process again.
        if process.is_alone() && process.exit_reason().is_none() {
            give_back(&process).await;
            process.finish();
        }
    }
}

async fn end_threads(process: &Process) {
    // From the last to the first: one that ends meanwhile is replaced by the last.
    for index in (0..process.threads()).rev() {
        if let Some(Ok(thread)) = process.thread(index).map(|thread| thread.downcast::<Tcb>()) {
            thread.kill();
        }
        if index % STEP == 0 {
            yield_now().await;
        }
    }
}

async fn end_children(process: &Process) {
    for index in (0..process.children()).rev() {
        if let Some(child) = process.child(index) {
            child.end(ExitReason::Killed);
        }
        if index % STEP == 0 {
            yield_now().await;
        }
    }
}

async fn give_back(process: &Ref<Process>) {
    let mut closed = 0;
    while let Some(entry) = process.close_one() {
        drop(entry);
        closed += 1;
        if closed % STEP == 0 {
            yield_now().await;
        }
    }
    // A CPU that ran its last thread forgets it when it runs another's or sleeps.
    while process.space.loaded() != 0 {
        yield_now().await;
    }
    while !process.space.close_step() {
        yield_now().await;
    }
}
