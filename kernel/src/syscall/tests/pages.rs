//! Message pages: who gets one, what it is, and how it goes.
#![forbid(unsafe_code)]

use orbital_abi::layout::{MESSAGE_PAGES, PAGE_SIZE, USER_END};

use super::{
    CapSlot, Error, ExitReason, Kernel, MemoryMap, Rights, Syscall, grant, run, run_in, user,
};
use crate::{
    arch::Access,
    object::Charge,
    sched,
    tests::{
        kernel::{CHILD_BYTES, CHILD_FRAMES},
        page::{self, ENTRIES, Page},
    },
};

const AT: u64 = 0x4000_0000;
const NULL: CapSlot = CapSlot::NULL;

/// What is mapped at an address, or next: where, and the rights.
async fn query(address: u64) -> Result<[u64; 4], Error> {
    user::control(Syscall::MemoryQuery, [0, address, 0, 0]).await
}

#[test]
fn a_page_is_zero_writable_and_one_for_each_thread() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = process.clone();
    run_in(&mut kernel, &process, async move {
        let Page(address) = page::own().await;
        assert!(MESSAGE_PAGES.contains(&address));
        assert_eq!(Page(address).read(), [0; ENTRIES]);
        let access = space.space.translate(address).map(|found| found.access);
        assert_eq!(access, Some(Access::ReadWrite));
        let rights = u64::from((Rights::READ | Rights::WRITE).bits());
        assert_eq!(query(address).await, Ok([address, PAGE_SIZE, 0, rights << 32 | rights]));
        // It stays the one, whatever is asked for, and keeps what stands in it.
        Page(address).message(1, 0);
        for other in [0, 1, address, AT, u64::MAX] {
            assert_eq!(page::give(NULL, other).await, Ok(address));
        }
        assert_eq!(Page(address).read()[5], page::word(1, 5));
    });
}

#[test]
fn a_page_goes_where_it_is_asked_for_or_nowhere() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    run_in(&mut kernel, &process, async move {
        let memory = user::memory(PAGE_SIZE).await.unwrap();
        let (process, bytes) = (NULL, PAGE_SIZE);
        let mapping =
            MemoryMap { process, memory, address: AT, offset: 0, bytes, rights: Rights::READ };
        user::map(mapping).await.unwrap();
        for (address, error) in [
            (AT + 1, Error::InvalidArgument),
            (u64::MAX, Error::InvalidArgument),
            (USER_END, Error::InvalidAddress),
            (0u64.wrapping_sub(PAGE_SIZE), Error::InvalidAddress),
            (AT, Error::AddressInUse),
        ] {
            assert_eq!(page::give(NULL, address).await, Err(error), "{address:#x}");
        }
        assert_eq!(query(AT + PAGE_SIZE).await, Err(Error::InvalidAddress), "nothing is left");
        assert_eq!(page::give(NULL, AT + PAGE_SIZE).await, Ok(AT + PAGE_SIZE));
    });
}

/// A program that maps where the kernel chooses from is passed over, a few times.
#[test]
fn what_a_program_has_mapped_is_passed_over() {
    for (taken, fits) in [(1, true), (7, true), (8, false)] {
        run(async move {
            let bytes = taken * PAGE_SIZE;
            let memory = user::memory(bytes).await.unwrap();
            let address = MESSAGE_PAGES.start;
            let (process, rights) = (NULL, Rights::READ);
            let mapping = MemoryMap { process, memory, address, offset: 0, bytes, rights };
            user::map(mapping).await.unwrap();
            let expected = if fits { Ok(address + bytes) } else { Err(Error::AddressInUse) };
            assert_eq!(page::give(NULL, 0).await, expected);
        });
    }
}

#[test]
fn giving_a_page_needs_the_right_to_manage() {
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("p"), kernel.process("other"));
    let thread = kernel.thread(&other, 10, async { 0 });
    let [managed, waited] =
        [Rights::MANAGE, Rights::WAIT].map(|rights| grant(&process, &thread, rights, 0));
    let wrong = grant(&process, &other, Rights::MANAGE, 0);
    let theirs = other.clone();
    run_in(&mut kernel, &process, async move {
        assert_eq!(page::give(waited, 0).await, Err(Error::MissingRights));
        assert_eq!(page::give(wrong, 0).await, Err(Error::WrongKind));
        assert_eq!(page::give(CapSlot::new(999, 1), 0).await, Err(Error::EmptySlot));
        assert!(!thread.has_message_page());
        // Before it was started, in its own process.
        assert_eq!(page::give(managed, AT).await, Ok(AT));
        assert!(theirs.space.translate(AT).is_some());
        assert_eq!(query(0x1000).await, Err(Error::InvalidAddress), "not in the giver's");
        thread.start().unwrap();
        assert_eq!(
            user::wait(Syscall::ThreadWait, waited, super::Never).await,
            Ok(ExitReason::Exited(0))
        );
        assert_eq!(page::give(managed, 0).await, Err(Error::Ended));
    });
    assert!(other.exit_reason().is_some());
}

#[test]
fn a_page_can_never_be_executable() {
    run(async {
        let Page(address) = page::own().await;
        let protect = |rights| user::protect(NULL, address, PAGE_SIZE, rights);
        let refused = protect(Rights::READ | Rights::EXECUTE).await;
        assert_eq!(refused, Err(Error::MissingRights));
        let all = Rights::READ | Rights::WRITE | Rights::EXECUTE;
        assert_eq!(protect(all).await, Err(Error::WriteAndExecute));
        for rights in [Rights::READ, Rights::empty(), Rights::READ | Rights::WRITE] {
            assert_eq!(protect(rights).await, Ok(()));
        }
    });
}

/// The page goes with its thread, whatever it is mapped as by then; what else is mapped there stays.
#[test]
fn a_page_goes_with_its_thread() {
    for unmapped in [false, true] {
        for replaced in [false, true] {
            if replaced && !unmapped {
                continue;
            }
            let mut kernel = Kernel::boot();
            let process = kernel.process("p");
            let keeper = kernel.spawn(&process, 10, async {
                user::control(Syscall::ThreadSleep, [u64::MAX, 0, 0, 0]).await.unwrap();
            });
            kernel.run_until_idle();
            let with_keeper = process.quota.usage();
            run_in(&mut kernel, &process, async move {
                let Page(address) = page::own().await;
                if unmapped {
                    user::unmap(NULL, address, PAGE_SIZE).await.unwrap();
                }
                if replaced {
                    let memory = user::memory(PAGE_SIZE).await.unwrap();
                    let (process, rights, bytes) = (NULL, Rights::READ, PAGE_SIZE);
                    let mapping = MemoryMap { process, memory, address, offset: 0, bytes, rights };
                    user::map(mapping).await.unwrap();
                    user::close(memory).await.unwrap();
                }
            });
            let is_mapped = process.space.query(MESSAGE_PAGES.start).is_ok();
            assert_eq!(is_mapped, replaced, "unmapped: {unmapped}");
            if !replaced {
                assert_eq!(process.quota.usage(), with_keeper);
            }
            keeper.kill();
            kernel.run_until_idle();
        }
    }
}

/// Threads that come and go have pages at different addresses, and leave nothing.
#[test]
fn pages_of_many_threads_come_back() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let keeper = kernel.spawn(&process, 10, async {
        user::control(Syscall::ThreadSleep, [u64::MAX, 0, 0, 0]).await.unwrap();
    });
    kernel.run_until_idle();
    let before = process.quota.usage();
    for round in 0..3 {
        for _ in 0..20 {
            kernel.spawn(&process, 20, async {
                page::own().await.message(1, 0);
                user::give_way().await;
            });
        }
        kernel.run_until_idle();
        assert_eq!(process.quota.usage(), before, "round {round}");
    }
    keeper.kill();
    kernel.run_until_idle();
}

/// Without means there is no page and nothing is lost; whatever it is that there is too little of.
#[test]
fn without_means_there_is_no_page() {
    for frames in 0..6 {
        let mut kernel = Kernel::boot();
        let process = kernel.process("p");
        let thread = kernel.spawn(&process, 10, async move {
            let own = sched::current().process.clone();
            let usage = own.quota.usage();
            let kept =
                Charge::new(&own.quota, CHILD_FRAMES - usage.frames_used - frames, 0).unwrap();
            let before = own.quota.usage();
            match page::give(NULL, 0).await {
                Ok(_) => assert!(frames >= 4, "a page and three tables"),
                Err(error) => {
                    assert_eq!((error, frames < 4), (Error::QuotaExceeded, true));
                    assert_eq!(own.quota.usage(), before);
                }
            }
            drop(kept);
            page::own().await;
        });
        kernel.run_until_idle();
        assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
    }
    let mut refused = 0;
    for bytes in (0..20_000).step_by(512) {
        let mut kernel = Kernel::boot();
        let process = kernel.process("p");
        let thread = kernel.spawn(&process, 10, async move {
            let own = sched::current().process.clone();
            let usage = own.quota.usage();
            let kept =
                Charge::new(&own.quota, 0, CHILD_BYTES - usage.kernel_bytes_used - bytes).unwrap();
            let before = own.quota.usage();
            let given = page::give(NULL, 0).await;
            if given.is_err() {
                assert_eq!(given, Err(Error::QuotaExceeded));
                assert_eq!(own.quota.usage(), before);
            }
            drop(kept);
            page::own().await;
            user::exit(given.is_err().into()).await;
        });
        kernel.run_until_idle();
        match thread.exit_reason() {
            Some(ExitReason::Exited(code)) => refused += code,
            other => panic!("{other:?}"),
        }
    }
    assert!((1..39).contains(&refused), "{refused}");
}
