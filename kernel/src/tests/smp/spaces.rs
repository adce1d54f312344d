//! Address spaces that several CPUs have loaded: translations are forgotten before frames are used
//! anew, and tables before they are freed. The machine stops whoever breaks this.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{CapSlot, ExitReason, Rights, arguments::MemoryMap, layout::PAGE_SIZE};

use super::{Kernel, pinned, spin, user, with_seeds};
use crate::{
    arch::{
        Access,
        host::{OUTSIDE, idle, paging},
    },
    memory::{self, frame::Frame},
    tests::cpus::Place,
    thread::state::ThreadState,
    vm::{
        AddressSpace, MemoryObject,
        address_space::{Mapping, change::Progress},
    },
};

const AT: u64 = 0x4000_0000;

/// Notes that something was done.
type Done = Rc<Cell<bool>>;

/// Maps new memory, and touches all of it, of which nothing remains but the mapping.
async fn map_alone(address: u64, pages: u64) {
    let memory = user::memory(pages * PAGE_SIZE).await.unwrap();
    let mapping = MemoryMap {
        memory,
        offset: 0,
        bytes: pages * PAGE_SIZE,
        address,
        rights: Rights::READ | Rights::WRITE,
        process: CapSlot::NULL,
    };
    user::map(mapping).await.unwrap();
    user::touch(address, pages).await;
    user::close(memory).await.unwrap();
}

#[test]
fn frames_come_back_after_every_cpu_has_forgotten_them() {
    let mut kernel = Kernel::boot_with(3, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    let done = Done::default();
    let is_done = done.clone();
    let mapper = pinned(&mut kernel, &process, 0, 7, async move {
        map_alone(AT, 2).await;
        is_done.set(true);
        spin().await;
    });
    mapper.start().unwrap();
    let is_mapped = || process.space.translate(AT);
    cpus.run_until(0, || done.get());
    let frame = is_mapped().unwrap().frame;
    for cpu in [1, 2] {
        // CPU 2 runs somebody else.
        let process = if cpu == 1 { process.clone() } else { kernel.init.clone() };
        pinned(&mut kernel, &process, cpu, 7, spin()).start().unwrap();
        cpus.run_until(cpu, || cpus.place(cpu) == Place::User);
    }
    let unmapper = pinned(&mut kernel, &process, 0, 9, async {
        user::unmap(CapSlot::NULL, AT, 2 * PAGE_SIZE).await.unwrap();
    });
    let free = memory::free_frames();
    unmapper.start().unwrap();
    let other = idle::kicks(2);
    for _ in 0..50 {
        cpus.step(0);
    }
    assert!(!unmapper.is_ended(), "CPU 1 has not answered");
    assert_eq!(is_mapped(), None);
    assert_eq!((paging::stale_on(frame), memory::free_frames()), (vec![1], free));
    assert_eq!(idle::kicks(2), other, "it does not have the space");
    assert!(cpus.can_go_on(1), "it was asked");
    cpus.step(1);
    assert_eq!(paging::stale_on(frame), vec![]);
    cpus.run_until(0, || unmapper.is_ended());
    assert_eq!(memory::free_frames(), free + 2 + 3 + 2, "tables and slabs too");
}

#[test]
fn who_waits_for_other_cpus_keeps_nobody_from_running() {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    let equal = pinned(&mut kernel, &process, 0, 7, spin());
    let unmapper = pinned(&mut kernel, &process, 0, 7, async {
        map_alone(AT, 1).await;
        user::unmap(CapSlot::NULL, AT, PAGE_SIZE).await.unwrap();
    });
    pinned(&mut kernel, &process, 1, 7, spin()).start().unwrap();
    cpus.run_until(1, || cpus.place(1) == Place::User);
    let kicks = idle::kicks(1);
    unmapper.start().unwrap();
    equal.start().unwrap();
    cpus.run_until(0, || idle::kicks(1) > kicks);
    for _ in 0..1000 {
        cpus.step(0);
    }
    assert!(!unmapper.is_ended());
    cpus.run_until(0, || equal.state() == ThreadState::Running);
    cpus.step(1);
    cpus.run_until(0, || unmapper.is_ended());
}

#[test]
fn an_unmapping_whose_thread_moves_forgets_on_its_new_cpu_too() {
    for point in 0.. {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        pinned(&mut kernel, &process, 1, 7, spin()).start().unwrap();
        cpus.run_until(1, || cpus.place(1) == Place::User);
        let done = Done::default();
        let is_done = done.clone();
        let unmapper = pinned(&mut kernel, &process, 0, 7, async move {
            map_alone(AT, 70).await;
            is_done.set(true);
            user::work(1).await;
            user::unmap(CapSlot::NULL, AT, 70 * PAGE_SIZE).await.unwrap();
        });
        unmapper.start().unwrap();
        cpus.run_until(0, || done.get());
        cpus.step(0);
        let frames = (0..70).filter_map(|page| process.space.translate(AT + page * PAGE_SIZE));
        let frames: Vec<_> = frames.map(|found| found.frame).collect();
        let free = memory::free_frames();
        // There the same space is loaded, and stays so.
        let moved = unmapper.clone();
        cpus.at_point(point, move || {
            moved.ask_affinity(0b10);
        });
        cpus.step(0);
        if cpus.has_not_come() {
            assert!(point > 10, "{point} points");
            return;
        }
        while !unmapper.is_ended() {
            cpus.step_if(0, || true);
            cpus.step(1);
            if memory::free_frames() > free {
                let stale = |frame: &Frame| !paging::stale_on(*frame).is_empty();
                assert!(!frames.iter().any(stale), "point {point}");
            }
        }
    }
}

#[test]
fn who_helps_hears_of_the_end_when_all_is_given_back() {
    for point in 0.. {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        let unmapper = pinned(&mut kernel, &process, 0, 7, async {
            user::unmap(CapSlot::NULL, AT, 70 * PAGE_SIZE).await.unwrap();
        });
        let before = process.quota.usage();
        // Another pays, so that this process is owed the mapping and its tables alone.
        let object = MemoryObject::new(70 * PAGE_SIZE, &kernel.init.quota).unwrap();
        AddressSpace::map(&process.space, Mapping::whole(&object, AT, Access::Read)).unwrap();
        drop(object);
        unmapper.start().unwrap();
        let helped = process.clone();
        cpus.at_point(point, move || {
            let space = &helped.space;
            let mut steps = (0..20).map(|_| space.advance(u64::MAX, OUTSIDE));
            let is_over = steps.any(|progress| matches!(progress, Progress::Over));
            if is_over && space.query(AT).is_err() {
                let usage = helped.quota.usage();
                assert!(usage.frames_used <= before.frames_used, "point {point}: {usage:?}");
                assert!(usage.kernel_bytes_used <= before.kernel_bytes_used, "point {point}");
            }
        });
        cpus.run_until(0, || unmapper.is_ended());
        if cpus.has_not_come() {
            assert!(point > 10, "{point} points");
            return;
        }
    }
}

#[test]
fn an_unmapping_whose_thread_is_killed_is_finished_all_the_same() {
    for point in 0.. {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        let neighbour = pinned(&mut kernel, &process, 1, 7, spin());
        neighbour.start().unwrap();
        cpus.run_until(1, || cpus.place(1) == Place::User);
        let before = memory::free_frames();
        let done = Done::default();
        let is_done = done.clone();
        let unmapper = pinned(&mut kernel, &process, 0, 7, async move {
            map_alone(AT, 70).await;
            is_done.set(true);
            user::work(1).await;
            user::unmap(CapSlot::NULL, AT, 70 * PAGE_SIZE).await.unwrap();
            spin().await;
        });
        unmapper.start().unwrap();
        cpus.run_until(0, || done.get());
        cpus.step(0);
        let killed = unmapper.clone();
        cpus.at_point(point, move || {
            killed.kill();
        });
        cpus.step(0);
        if cpus.has_not_come() {
            assert!(point > 10, "{point} points");
            return;
        }
        for _ in 0..50 {
            if cpus.can_go_on(0) {
                cpus.step(0);
            }
            cpus.step(1);
        }
        assert_eq!(unmapper.exit_reason(), Some(ExitReason::Killed));
        let mapped = process.space.translate(AT).is_some();
        // The slab of its capabilities; the pages, a frame of entries for them, and three tables.
        let kept = 1 + if mapped { 70 + 1 + 3 } else { 0 };
        assert_eq!(memory::free_frames() + kept, before, "point {point}");
        // Before its system call has begun it may end without having changed anything.
        assert!(!mapped || point < 3, "point {point}");
    }
}

#[test]
fn a_process_ends_while_other_cpus_have_it_loaded() {
    with_seeds(100, |seed| {
        let mut kernel = Kernel::boot_with(2 + seed as usize % 3, seed);
        let cpus = kernel.cpus();
        cpus.disturb(seed as usize % 5, seed as usize % 3);
        let process = kernel.process("p");
        for cpu in 0..2 + seed as usize % 3 {
            let program = async move {
                map_alone(AT * (cpu as u64 + 1), 3).await;
                spin().await;
            };
            pinned(&mut kernel, &process, cpu, 7, program).start().unwrap();
            cpus.run_until(cpu, || {
                cpus.place(cpu) == Place::User
                    && process.space.translate(AT * (cpu as u64 + 1)).is_some()
            });
        }
        assert!(process.end(ExitReason::Killed));
        kernel.run_until_idle();
        assert_eq!(process.exit_reason(), Some(ExitReason::Killed));
    });
}

#[test]
fn threads_of_one_process_map_and_unmap_on_all_cpus() {
    with_seeds(150, |seed| {
        let mut kernel = Kernel::boot_with(2 + seed as usize % 3, seed);
        kernel.cpus().disturb(1 + seed as usize % 6, seed as usize % 4);
        let process = kernel.process("p");
        let threads: Vec<_> = (1..5_u64)
            .map(|number| {
                kernel.spawn(&process, 7 + number as u8 % 2, async move {
                    for round in 0..4 {
                        map_alone(AT * number, 1 + round * 12).await;
                        user::work(300_000).await;
                        let bytes = (1 + round * 12) * PAGE_SIZE;
                        user::unmap(CapSlot::NULL, AT * number, bytes).await.unwrap();
                    }
                })
            })
            .collect();
        kernel.run_until_idle();
        assert!(threads.iter().all(|it| it.exit_reason() == Some(ExitReason::Exited(0))));
    });
}
