//! The end of a process, and what killed threads left undone in one that lives on: a kernel task for
//! each process, which sleeps as long as there is nothing to clean up.
//!
//! ```text
//!          1             2                 3                  4              5
//!   sleep ───► threads ─────► children ─────► wait for them ─────► give back ───► done
//!    ▲  │                                          │  ▲
//!    └──┘ 0                                        └──┘ woken by the last of either
//! ```
//! 0. what a killed thread has begun to unmap, to protect or to revoke is finished, message pages of ended ones are
//! unmapped, and entries of the table that many others were derived from leave it; 1. the process is ending: its
//! threads are asked to end, 2. then its children; 3. their ends wake the task; 4. without any, capabilities,
//! mappings and tables go; 5. the process tells those who wait for it. All of it in steps, between
//! which more urgent threads and tasks run.

use core::{future::poll_fn, task::Poll};

use orbital_abi::{
    Error, ExitReason,
    layout::{USER_END, USER_START},
};
use orbital_executor::{executor::TaskRef, yield_now};

use crate::{
    arch,
    capability::{
        revoke::Revoking,
        table::{Closed, leaving::Tidied},
    },
    object::{AnyRef, Quota, Ref},
    process::Process,
    revoke, sched,
    thread::Tcb,
    vm::{self, AddressSpace, reclaim},
};

#[cfg(test)]
mod tests;

/// How many things one step ends.
const STEP: usize = 4;

/// Makes a process's reaper: see [`Process`]. It is asleep until the process wakes it, and runs on this
/// CPU.
#[unsafe(no_mangle)]
fn orbital_process_made(
    process: &Ref<Process>,
    payer: Option<&Ref<Quota>>,
) -> Result<TaskRef, Error> {
    let reaper = reap(process.clone());
    match payer {
        Some(payer) => sched::spawn_asleep_in(payer, reaper),
        None => sched::spawn(0, reaper),
    }
}

async fn reap(process: Ref<Process>) {
    loop {
        until_woken(&process).await;
        if process.is_ending() {
            break;
        }
        // Helping has no error.
        let _ = vm::help(&process.space).await;
        tidy(&process).await;
        unmap_left_pages(&process).await;
    }
    for_each(
        process.threads(),
        || process.next_thread(),
        |thread| {
            if let Ok(thread) = thread.downcast::<Tcb>() {
                thread.kill();
            }
        },
    )
    .await;
    for_each(
        process.children(),
        || process.next_child(),
        |child| {
            if let Ok(child) = child.downcast::<Process>() {
                child.end(ExitReason::Killed);
            }
        },
    )
    .await;
    while !process.is_alone() {
        until_woken(&process).await;
    }
    tidy(&process).await;
    unmap_left_pages(&process).await;
    give_back(&process).await;
    process.finish();
}

/// Waits until the task is woken. A wake counts that came since the last wait was over: what it was for may be
/// something that the work since has passed already, and which of its polls the wake led to says nothing.
async fn until_woken(process: &Process) {
    poll_fn(|_| match process.take_reaper_wake() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// Does `deed` to each of `count` things: to more than there are, or to some twice, where others end
/// meanwhile. An ending process gets no new ones.
async fn for_each(count: usize, next: impl Fn() -> Option<AnyRef>, deed: impl Fn(AnyRef)) {
    for done in 1..=count {
        let Some(thing) = next() else { return };
        deed(thing);
        if done % STEP == 0 {
            yield_now().await;
        }
    }
}

/// Finishes what was left undone in the table: revokes, and entries with many children.
async fn tidy(process: &Ref<Process>) {
    let mut slot = 0;
    process.table.set_lingers(false);
    loop {
        let tidied = process.table.lock().tidy(&mut slot);
        match tidied {
            Tidied::Nothing => return,
            Tidied::More | Tidied::Left(_) => {}
            Tidied::Waits(index, object) => {
                process.table.set_lingers(true);
                revoke::end_waits(&object).await;
                let closed = process.table.lock().waits_swept(index);
                drop(closed);
            }
            Tidied::Abandoned(index) => {
                if let Some(mut revoking) = Revoking::abandoned(&process.table, index) {
                    revoke::finish(&mut revoking).await;
                }
            }
        }
        yield_now().await;
    }
}

/// Unmaps the message pages of threads that have ended.
async fn unmap_left_pages(process: &Ref<Process>) {
    while let Some(page) = process.space.take_left_page() {
        let begin = || AddressSpace::begin_unmap_page(&process.space, &page, arch::cpu_index());
        // All of a mapping: dividing nothing, it can't fail.
        let _ = vm::change(&process.space, begin).await;
    }
}

async fn give_back(process: &Ref<Process>) {
    let mut closed = 0;
    loop {
        let entry = process.table.lock().close_one();
        if matches!(entry, Closed::All) {
            break;
        }
        drop(entry);
        closed += 1;
        if closed % STEP == 0 {
            yield_now().await;
        }
    }
    // The last capabilities were a step, and so is the beginning of what follows.
    if closed % STEP != 0 {
        yield_now().await;
    }
    process.space.refuse_mappings();
    // Dividing nothing, it can't fail.
    let all = || {
        let bytes = USER_END - USER_START;
        AddressSpace::begin_unmap(&process.space, USER_START, bytes, arch::cpu_index())
    };
    let _ = vm::change(&process.space, all).await;
    // A CPU that ran its last thread forgets it when it runs another's, a kernel task, or sleeps.
    while process.space.loaded() != 0 {
        yield_now().await;
    }
    process.space.close();
    // What its objects had. The last tables were a step, and so is what is given back first.
    if !reclaim::is_done() {
        yield_now().await;
        reclaim::finish().await;
    }
}
