//! Memory objects and mappings.
#![forbid(unsafe_code)]

use core::cell::Cell;
use std::rc::Rc;

use super::{CapSlot, Error, Kernel, MemoryMap, Rights, Syscall, grant, run, run_in, user};
use crate::{
    arch::{Access, Trap, direct_map, host::clock},
    memory,
    object::Charge,
    tests::kernel::{CHILD_FRAMES, Counts, endpoint},
    vm::address_space::{Resolution, Wanted},
};

const PAGE: u64 = 4096;
const AT: u64 = 0x4000_0000;
/// Longer than a slice, in nanoseconds.
const LONG: u64 = 10_000_000;

/// A mapping of `pages` of `memory` at [`AT`] of the caller.
fn mapping(memory: CapSlot, pages: u64, rights: Rights) -> MemoryMap {
    let (process, offset, bytes) = (CapSlot::NULL, 0, pages * PAGE);
    MemoryMap { process, memory, address: AT, offset, bytes, rights }
}

const READ_WRITE: Rights = Rights::READ.union(Rights::WRITE);

#[test]
fn no_page_is_both_writable_and_executable() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = process.clone();
    run_in(&mut kernel, &process, async move {
        let memory = user::memory(PAGE).await.unwrap();
        let map = |rights| user::map(mapping(memory, 1, rights));
        let all = READ_WRITE | Rights::EXECUTE;
        assert_eq!(map(all).await, Err(Error::WriteAndExecute));
        for rights in [Rights::WRITE, Rights::EXECUTE, Rights::WRITE | Rights::EXECUTE] {
            assert_eq!(map(rights).await, Err(Error::InvalidArgument), "{rights:?}");
        }
        assert_eq!(map(Rights::READ | Rights::SEND).await, Err(Error::InvalidArgument));
        let mut odd = mapping(memory, 1, Rights::READ).encode();
        for rights in [1 << 31 | 1, 1 << 32 | 1, u64::MAX] {
            odd.words[1] = rights;
            let answer = user::syscall(Syscall::MemoryMap as u64, odd).await;
            assert_eq!(answer, Err(Error::InvalidArgument), "{rights:#x}");
        }
        let expected = [
            (Rights::READ, Access::Read),
            (READ_WRITE, Access::ReadWrite),
            (Rights::READ | Rights::EXECUTE, Access::ReadExecute),
        ];
        for (rights, access) in expected {
            map(rights).await.unwrap();
            user::fault(AT).await;
            assert_eq!(space.space.translate(AT).map(|found| found.access), Some(access));
            user::unmap(CapSlot::NULL, AT, PAGE).await.unwrap();
        }
    });
}

#[test]
fn a_mapping_has_no_more_rights_than_the_capability() {
    run(async {
        let memory = user::memory(PAGE).await.unwrap();
        let copy = |rights| user::copy(memory, CapSlot::NULL, rights, 0);
        let readable = copy(Rights::READ).await.unwrap();
        let executable = copy(Rights::READ | Rights::EXECUTE).await.unwrap();
        let grantable = copy(Rights::GRANT).await.unwrap();
        for (slot, rights) in [
            (readable, READ_WRITE),
            (readable, Rights::READ | Rights::EXECUTE),
            (executable, READ_WRITE),
            (grantable, Rights::READ),
        ] {
            let refused = user::map(mapping(slot, 1, rights)).await;
            assert_eq!(refused, Err(Error::MissingRights), "{slot:?} {rights:?}");
        }
        user::map(mapping(readable, 1, Rights::READ)).await.unwrap();
    });
}

#[test]
fn ranges_that_are_not_aligned_empty_or_elsewhere_are_refused() {
    run(async {
        let memory = user::memory(4 * PAGE).await.unwrap();
        let good = mapping(memory, 4, Rights::READ);
        for (address, offset, bytes, error) in [
            (AT + 1, 0, PAGE, Error::InvalidArgument),
            (AT, 1, PAGE, Error::InvalidArgument),
            (AT, 0, PAGE + 1, Error::InvalidArgument),
            (AT, 0, 0, Error::InvalidArgument),
            (AT, PAGE, 4 * PAGE, Error::InvalidArgument),
            (AT, 4 * PAGE, PAGE, Error::InvalidArgument),
            (AT, u64::MAX - 4095, PAGE, Error::InvalidArgument),
            (AT, 0, u64::MAX - 4095, Error::InvalidArgument),
            (0, 0, PAGE, Error::InvalidAddress),
            (u64::MAX - 4095, 0, PAGE, Error::InvalidAddress),
            (0xffff_8000_0000_0000, 0, PAGE, Error::InvalidAddress),
        ] {
            let refused = user::map(MemoryMap { address, offset, bytes, ..good }).await;
            assert_eq!(refused, Err(error), "{address:#x} {offset:#x} {bytes:#x}");
        }
        for bytes in [0, 1, PAGE - 1, u64::MAX, 1 << 40] {
            assert_eq!(user::memory(bytes).await, Err(Error::InvalidArgument), "{bytes:#x}");
        }
        assert_eq!(user::unmap(CapSlot::NULL, AT, 1).await, Err(Error::InvalidArgument));
        let refused = user::unmap(CapSlot::NULL, u64::MAX - 4095, 4096).await;
        assert_eq!(refused, Err(Error::InvalidAddress));
        user::map(MemoryMap { address: AT, ..good }).await.unwrap();
        assert_eq!(user::map(good).await, Err(Error::AddressInUse));
        user::unmap(CapSlot::NULL, AT, PAGE).await.unwrap();
        user::map(MemoryMap { bytes: PAGE, ..good }).await.unwrap();
    });
}

#[test]
fn a_capability_of_another_kind_is_no_memory() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, endpoint) = endpoint(&process);
    run_in(&mut kernel, &process, async move {
        let map = |slot| user::map(mapping(slot, 1, Rights::READ));
        assert_eq!(map(endpoint).await, Err(Error::WrongKind));
        assert_eq!(map(CapSlot::NULL).await, Err(Error::EmptySlot));
        let memory = user::memory(PAGE).await.unwrap();
        let mut elsewhere = mapping(memory, 1, Rights::READ);
        elsewhere.process = memory;
        assert_eq!(user::map(elsewhere).await, Err(Error::WrongKind), "it is no process");
        user::close(memory).await.unwrap();
        assert_eq!(map(memory).await, Err(Error::StaleCapability));
    });
}

#[test]
fn memory_beyond_the_quota_is_refused_and_nothing_stays_charged() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let quota = process.quota.clone();
    run_in(&mut kernel, &process, async move {
        // The table's first chunk comes with the first capability.
        let (_, before) = (user::memory(PAGE).await.unwrap(), memory::free_frames());
        let refused = user::memory(CHILD_FRAMES * PAGE).await;
        assert_eq!(refused, Err(Error::QuotaExceeded));
        assert_eq!(memory::free_frames(), before);
        // The root of the page tables, the first object and a frame of entries are paid already.
        let rest = CHILD_FRAMES - 3;
        assert!(Charge::new(&quota, rest + 1, 0).is_ok());
        let all = user::memory(rest * PAGE).await.unwrap();
        assert_eq!(user::memory(PAGE).await, Err(Error::QuotaExceeded));
        let refused = user::map(mapping(all, rest, Rights::READ)).await;
        assert_eq!(refused, Err(Error::QuotaExceeded), "no frame for a table");
        user::close(all).await.unwrap();
        let all = user::memory((rest - 3) * PAGE).await.unwrap();
        user::map(mapping(all, rest - 3, Rights::READ)).await.unwrap();
    });
}

#[test]
fn a_table_without_room_keeps_no_object() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    run_in(&mut kernel, &process, async {
        let mut slots = Vec::new();
        loop {
            let before = memory::free_frames();
            match user::memory(PAGE).await {
                Ok(slot) => slots.push(slot),
                Err(error) => {
                    assert_eq!(error, Error::QuotaExceeded);
                    assert_eq!(memory::free_frames(), before);
                    break;
                }
            }
        }
        assert!(slots.len() > 60, "{}", slots.len());
    });
}

/// How many turns an equal thread has while one unmaps much, whose steps take so long each.
fn turns_while_unmapping(pace: u64) -> u64 {
    let mut kernel = Kernel::boot();
    clock::set_pace(pace);
    let process = kernel.process("p");
    let (steps, turns) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (counted, seen, result) = (steps.clone(), steps, turns.clone());
    let worker = kernel.spawn(&process, 7, async move {
        let memory = user::memory(10 * PAGE).await.unwrap();
        for part in 0..40 {
            let address = AT + (part << 20);
            user::map(MemoryMap { address, ..mapping(memory, 10, READ_WRITE) }).await.unwrap();
            user::touch(address, 10).await;
        }
        let before = counted.get();
        user::unmap(CapSlot::NULL, AT, 40 << 20).await.unwrap();
        result.set(counted.get() - before);
    });
    let watched = worker.clone();
    kernel.spawn(&process, 7, async move {
        while watched.exit_reason().is_none() {
            seen.set(seen.get() + 1);
            user::give_way().await;
        }
    });
    kernel.run_until_idle();
    assert!(worker.exit_reason().is_some());
    turns.get()
}

#[test]
fn long_work_lets_equal_threads_run_in_between() {
    assert!(turns_while_unmapping(LONG) > 2);
}

#[test]
fn work_goes_on_in_the_slice_of_its_thread() {
    assert_eq!(turns_while_unmapping(0), 0);
}

/// Interrupts long work after each of its steps and kills the thread there: the fixture checks that
/// nothing is lost.
#[test]
fn a_kill_in_the_middle_of_long_work_loses_nothing() {
    for step in 0..40 {
        let mut kernel = Kernel::boot();
        clock::set_pace(LONG);
        let process = kernel.process("p");
        let keeper = kernel.thread(&process, 7, async { 0 });
        let before = Counts::now();
        let (is_ready, unmapped) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (ready, is_unmapped) = (is_ready.clone(), unmapped.clone());
        let victim = kernel.spawn(&process, 7, async move {
            let memory = user::memory(100 * PAGE).await.unwrap();
            user::map(mapping(memory, 100, READ_WRITE)).await.unwrap();
            user::touch(AT, 100).await;
            ready.set(true);
            let _ = user::protect(CapSlot::NULL, AT, 50 * PAGE, Rights::READ).await;
            user::unmap(CapSlot::NULL, AT, 100 * PAGE).await.unwrap();
            is_unmapped.set(true);
        });
        let killed = victim.clone();
        // Each turn of this one comes after a step of the other's work.
        kernel.spawn(&process, 7, async move {
            while !is_ready.get() {
                user::give_way().await;
            }
            for _ in 0..step {
                user::give_way().await;
            }
            killed.kill();
        });
        kernel.run_until_idle();
        assert!(victim.exit_reason().is_some());
        // What has begun is finished.
        assert!(!process.space.is_changing(), "step {step}");
        let left = (0..100).filter(|page| process.space.translate(AT + page * PAGE).is_some());
        assert!(matches!(left.count(), 0 | 50 | 100), "step {step}");
        assert!(!unmapped.get() || process.space.query(0).is_err(), "step {step}");
        drop((keeper, before));
    }
}

#[test]
fn a_process_that_ends_while_others_map_into_it_is_gone_all_the_same() {
    for step in 0..12 {
        let mut kernel = Kernel::boot();
        clock::set_pace(LONG);
        let (parent, child) = (kernel.process("parent"), kernel.process("child"));
        let slot = grant(&parent, &child, Rights::MANAGE, 0);
        let mapper = kernel.spawn(&parent, 7, async move {
            let memory = user::memory(150 * PAGE).await.unwrap();
            let mapped = user::map(MemoryMap { process: slot, ..mapping(memory, 150, READ_WRITE) });
            let mapped = mapped.await;
            user::give_way().await;
            assert!(matches!(mapped, Ok(()) | Err(Error::Ended)), "{mapped:?}");
            let refused = user::unmap(slot, AT, 150 * PAGE).await;
            assert_eq!(refused, Ok(()), "nothing is mapped any more, or it is unmapped");
        });
        let killer = child.clone();
        kernel.spawn(&parent, 7, async move {
            for _ in 0..step {
                user::give_way().await;
            }
            killer.end(orbital_abi::ExitReason::Killed);
        });
        kernel.run_until_idle();
        assert_eq!(mapper.exit_reason(), Some(orbital_abi::ExitReason::Exited(0)), "step {step}");
        assert!(child.exit_reason().is_some());
        let usage = child.quota.usage();
        assert_eq!((usage.frames_used, usage.kernel_bytes_used), (0, 0), "step {step}");
    }
}

#[test]
fn memory_is_shared_by_all_who_map_it() {
    let mut kernel = Kernel::boot();
    let (one, other) = (kernel.process("one"), kernel.process("other"));
    let to_other = grant(&one, &other, Rights::MANAGE, 0);
    // Someone must name it when the one has ended.
    grant(&kernel.init, &other, Rights::MANAGE, 0);
    let (space, seen) = (one.clone(), other.clone());
    run_in(&mut kernel, &one, async move {
        let memory = user::memory(2 * PAGE).await.unwrap();
        user::map(mapping(memory, 2, READ_WRITE)).await.unwrap();
        let there = MemoryMap { process: to_other, ..mapping(memory, 2, Rights::READ) };
        user::map(there).await.unwrap();
        user::close(memory).await.unwrap();
        user::touch(AT + PAGE, 1).await;
        assert!(matches!(seen.space.touch(AT + PAGE, Wanted::Read, 0), Resolution::Mapped));
        let here = space.space.translate(AT + PAGE).unwrap();
        let there = seen.space.translate(AT + PAGE).unwrap();
        assert_eq!(here.frame, there.frame);
        assert_eq!((here.access, there.access), (Access::ReadWrite, Access::Read));
        direct_map::write(here.frame, 5, b"written");
        let mut read = [0; 7];
        direct_map::read(there.frame, 5, &mut read);
        assert_eq!(&read, b"written");
        user::trap(Trap::Spurious).await;
    });
    // The one that made it has ended; the other still sees it.
    assert!(one.exit_reason().is_some());
    assert!(other.space.translate(AT + PAGE).is_some());
}
