//! Everything at once, on two to four CPUs, in an order that a seed decides.
#![forbid(unsafe_code)]

use std::{cell::RefCell, rc::Rc};

use orbital_abi::{
    CapSlot, Deadline::Never, ExitReason, Rights, Syscall, arguments::MemoryMap, layout::PAGE_SIZE,
};

use super::{Kernel, Random, choices, user, with_seeds};
use crate::{
    arch::host::clock,
    object::Ref,
    process::Process,
    tests::kernel::{endpoint, grant},
    thread::{
        Tcb,
        budget::{Budget, Share},
    },
};

/// What the programs of one run share.
struct World {
    random: Random,
    threads: RefCell<Vec<Ref<Tcb>>>,
    processes: RefCell<Vec<Ref<Process>>>,
    cpus: usize,
}

impl World {
    /// Some thread; `None` at the end of the run.
    fn thread(&self) -> Option<Ref<Tcb>> {
        let threads = self.threads.borrow();
        (!threads.is_empty()).then(|| threads[self.random.below(threads.len())].clone())
    }

    /// Some process.
    fn process(&self) -> Option<Ref<Process>> {
        let processes = self.processes.borrow();
        (!processes.is_empty()).then(|| processes[self.random.below(processes.len())].clone())
    }
}

/// A process's endpoints, its threads' capabilities, and itself.
#[derive(Clone)]
struct Slots {
    endpoints: [CapSlot; 2],
}

async fn map_something(world: &World, number: u64) {
    let pages = 1 + world.random.below(50) as u64;
    let Ok(memory) = user::memory(pages * PAGE_SIZE).await else { return };
    let bytes = pages * PAGE_SIZE;
    let address = 0x4000_0000 * (number + 1);
    let rights = Rights::READ | Rights::WRITE;
    let process = CapSlot::NULL;
    let mapping = MemoryMap { memory, offset: 0, bytes, address, rights, process };
    let mapped = user::map(mapping).await.is_ok();
    let _ = user::close(memory).await;
    if mapped {
        user::touch(address, 1 + world.random.below(pages as usize) as u64).await;
        user::work(20_000).await;
        user::unmap(process, address, bytes).await.unwrap();
    }
}

/// Asks something of a thread, as another CPU's system call would.
fn disturb_a_thread(world: &World) {
    let Some(thread) = world.thread() else { return };
    match world.random.below(14) {
        12 => drop(thread.ask_budget(None)),
        13 => {
            let share = Share::new(200_000, 1_000_000).unwrap();
            if let Ok(budget) = Budget::new(share, clock::nanoseconds(), &thread.process.quota) {
                thread.ask_budget(Some(budget));
            }
        }
        0 => drop(thread.kill()),
        1..4 => drop(thread.suspend()),
        4..7 => drop(thread.ask_priority(world.random.below(10) as u8)),
        7..9 => drop(thread.ask_affinity(1 << world.random.below(world.cpus))),
        9 => drop(thread.ask_affinity(u64::MAX)),
        _ => drop(thread.resume()),
    }
}

async fn deeds(world: Rc<World>, slots: Slots, number: u64) {
    for _ in 0..12 {
        let slot = slots.endpoints[world.random.below(2)];
        let message = user::message(1, &[number]);
        match world.random.below(12) {
            0 => drop(user::send(slot, message, Never).await),
            1 => drop(user::call(slot, message, Never).await),
            2 | 3 => {
                let mut received = user::receive(slot, Never).await;
                while received.is_ok_and(|received| received.is_call) && world.random.one_in(2) {
                    received = match world.random.one_in(3) {
                        true => user::reply_receive(slot, message, Never).await,
                        false => {
                            let _ = user::reply(message).await;
                            break;
                        }
                    };
                }
            }
            4 => user::give_way().await,
            5 | 6 => user::work(world.random.below(2_000_000) as u64).await,
            7 | 8 => map_something(&world, number).await,
            9 => {
                let until = clock::nanoseconds() + world.random.below(3_000_000) as u64;
                let _ = user::control(Syscall::ThreadSleep, [until, 0, 0, 0]).await;
            }
            10 => disturb_a_thread(&world),
            _ if world.random.one_in(10) => {
                if let Some(process) = world.process() {
                    process.end(ExitReason::Killed);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn whatever_happens_on_all_cpus_everything_comes_back() {
    with_seeds(1000, |seed| {
        let cpus = 2 + seed as usize % 3;
        let mut kernel = Kernel::boot_with(cpus, seed);
        kernel.cpus().disturb(1 + seed as usize % 9, seed as usize % 5);
        let processes: Vec<_> = (0..3).map(|_| kernel.process("p")).collect();
        let world = Rc::new(World {
            random: choices(seed),
            threads: RefCell::default(),
            processes: RefCell::new(processes.clone()),
            cpus,
        });
        let ends = [endpoint(&kernel.init).0, endpoint(&kernel.init).0];
        let rights = Rights::SEND | Rights::RECEIVE;
        for process in &processes {
            let slots = Slots {
                endpoints: [0, 1].map(|index: usize| grant(process, &ends[index], rights, 0)),
            };
            for number in 0..3 {
                let priority = 5 + world.random.below(5) as u8;
                let program = deeds(world.clone(), slots.clone(), number);
                let thread = kernel.thread(process, priority, async {
                    program.await;
                    0
                });
                world.threads.borrow_mut().push(thread);
            }
        }
        for thread in world.threads.borrow().iter() {
            thread.start().unwrap();
        }
        kernel.run_until_idle();
        // Who was suspended goes on.
        for thread in world.threads.borrow().iter() {
            thread.resume();
        }
        kernel.run_until_idle();
        world.threads.take();
        world.processes.take();
    });
}
