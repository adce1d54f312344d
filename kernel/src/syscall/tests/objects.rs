//! Capabilities, processes and endpoints.
#![forbid(unsafe_code)]

use super::{
    CapSlot, Error, ExitReason, Kernel, Never, Now, ObjectKind, ProcessCreate, Rights, Syscall,
    endpoint, grant, own, run, run_in, system, user,
};
use crate::object::registry;

async fn inspect(slot: CapSlot) -> Result<[u64; 3], Error> {
    let told = user::control(Syscall::CapabilityInspect, [slot.bits(), 0, 0, 0]).await;
    told.map(|[kind, rights, badge, _]| [kind, rights, badge])
}

async fn create_endpoint() -> Result<CapSlot, Error> {
    let answer = user::control(Syscall::EndpointCreate, [0; 4]).await?;
    Ok(CapSlot::from_bits(answer[0]))
}

async fn create_process(name: &[u8], frames: u64, kernel_bytes: u64) -> Result<CapSlot, Error> {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name);
    let arguments = ProcessCreate { name: padded, frames, kernel_bytes };
    let answer = user::syscall(Syscall::ProcessCreate as u64, arguments.encode()).await?;
    Ok(CapSlot::from_bits(answer.control[0]))
}

async fn kill(slot: CapSlot) -> Result<(), Error> {
    user::control(Syscall::ProcessKill, [slot.bits(), 0, 0, 0]).await.map(|_| ())
}

#[test]
fn a_copy_has_the_rights_that_both_have_and_its_badge() {
    run(async {
        let all = create_endpoint().await.unwrap();
        let rights = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
        assert_eq!(inspect(all).await, Ok([3, rights.bits().into(), 0]));
        let copy = user::copy(all, CapSlot::NULL, Rights::SEND | Rights::READ, 7).await.unwrap();
        assert_eq!(inspect(copy).await, Ok([3, Rights::SEND.bits().into(), 7]));
        let refused = user::copy(copy, CapSlot::NULL, Rights::all(), 0).await;
        assert_eq!(refused, Err(Error::MissingRights), "without GRANT");
        let badged = user::copy(all, CapSlot::NULL, Rights::all(), u64::MAX).await.unwrap();
        let again = user::copy(badged, CapSlot::NULL, Rights::all(), 1).await;
        assert_eq!(again, Err(Error::AlreadyBadged));
        let kept = user::copy(badged, CapSlot::NULL, Rights::SEND, 0).await.unwrap();
        assert_eq!(inspect(kept).await, Ok([3, Rights::SEND.bits().into(), u64::MAX]));
        let memory = user::memory(4096).await.unwrap();
        let refused = user::copy(memory, CapSlot::NULL, Rights::all(), 1).await;
        assert_eq!(refused, Err(Error::AlreadyBadged), "it can't have one");
        let odd = [all.bits(), 0, 1 << 40, 0];
        let refused = user::control(Syscall::CapabilityCopy, odd).await;
        assert_eq!(refused, Err(Error::InvalidArgument), "rights that do not exist");
    });
}

#[test]
fn a_capability_can_be_given_to_a_process_that_one_manages() {
    let mut kernel = Kernel::boot();
    let (giver, taker) = (kernel.process("giver"), kernel.process("taker"));
    let managed = grant(&giver, &taker, Rights::MANAGE, 0);
    let waited = grant(&giver, &taker, Rights::WAIT, 0);
    // Someone must name it when the giver has ended.
    grant(&kernel.init, &taker, Rights::MANAGE, 0);
    let (_, endpoint) = endpoint(&giver);
    run_in(&mut kernel, &giver, async move {
        let refused = user::copy(endpoint, waited, Rights::SEND, 0).await;
        assert_eq!(refused, Err(Error::MissingRights));
        let refused = user::copy(endpoint, endpoint, Rights::SEND, 0).await;
        assert_eq!(refused, Err(Error::WrongKind));
        user::copy(endpoint, managed, Rights::SEND, 5).await.unwrap();
    });
    let found = taker.capability(CapSlot::new(0, 1)).unwrap();
    assert_eq!((found.rights, found.badge), (Rights::SEND, 5));
}

#[test]
fn what_was_closed_is_stale_and_never_names_the_next() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let counters = system(&process, Rights::STATISTICS);
    run_in(&mut kernel, &process, async move {
        let stale = || user::control(Syscall::SystemStatistics, [counters.bits(), 9, 0, 0]);
        let before = stale().await.unwrap()[0];
        let first = create_endpoint().await.unwrap();
        user::close(first).await.unwrap();
        assert_eq!(user::close(first).await, Err(Error::StaleCapability));
        let second = create_endpoint().await.unwrap();
        assert_eq!(second.index(), first.index(), "the slot is used again");
        assert_eq!(inspect(first).await, Err(Error::StaleCapability));
        assert!(inspect(second).await.is_ok());
        assert_eq!(user::close(CapSlot::NULL).await, Err(Error::EmptySlot));
        assert_eq!(user::close(CapSlot::from_bits(u64::MAX)).await, Err(Error::EmptySlot));
        assert!(stale().await.unwrap()[0] >= before + 2, "they are counted");
    });
}

#[test]
fn a_full_quota_makes_no_endpoint_and_loses_none() {
    run(async {
        let mut slots = Vec::new();
        let error = loop {
            match create_endpoint().await {
                Ok(slot) => slots.push(slot),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
        let live = registry::live(ObjectKind::Endpoint);
        for _ in 0..5 {
            assert_eq!(create_endpoint().await, Err(Error::QuotaExceeded));
        }
        assert_eq!(registry::live(ObjectKind::Endpoint), live);
        user::close(slots[7]).await.unwrap();
        assert!(create_endpoint().await.is_ok(), "one is free again");
    });
}

#[test]
fn a_process_is_made_killed_and_waited_for() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    run_in(&mut kernel, &process, async {
        let child = create_process("kind ä".as_bytes(), 50, 20_000).await.unwrap();
        let rights = Rights::MANAGE | Rights::WAIT | Rights::GRANT;
        assert_eq!(inspect(child).await, Ok([1, rights.bits().into(), 0]));
        let early = user::wait(Syscall::ProcessWait, child, Now).await;
        assert_eq!(early, Err(Error::WouldBlock));
        kill(child).await.unwrap();
        let reason = user::wait(Syscall::ProcessWait, child, Never).await;
        assert_eq!(reason, Ok(ExitReason::Killed));
        assert_eq!(kill(child).await, Err(Error::Ended));
        user::close(child).await.unwrap();
        // Its share has come back.
        let child = create_process(b"next", 190, 20_000).await.unwrap();
        user::close(child).await.unwrap();
    });
}

#[test]
fn names_that_are_no_text_and_shares_that_are_too_large_are_refused() {
    run(async {
        for name in [&b"a\nb"[..], b"\x1b[2J", b"a\0b", b"\xff", b"\xc3"] {
            let refused = create_process(name, 10, 1000).await;
            assert_eq!(refused, Err(Error::InvalidArgument), "{name:?}");
        }
        for (frames, bytes) in [(1000, 1000), (10, 1 << 40), (u64::MAX, u64::MAX), (0, 1000)] {
            let refused = create_process(b"p", frames, bytes).await;
            assert_eq!(refused, Err(Error::QuotaExceeded), "{frames} {bytes}");
        }
        assert!(create_process(b"sixteen letters!", 10, 1000).await.is_ok());
        assert!(create_process(b"", 10, 1000).await.is_ok());
    });
}

#[test]
fn only_who_may_manage_a_process_ends_it() {
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("p"), kernel.process("other"));
    let waited = grant(&process, &other, Rights::WAIT | Rights::GRANT, 0);
    let managed = grant(&process, &other, Rights::MANAGE, 0);
    run_in(&mut kernel, &process, async move {
        assert_eq!(kill(waited).await, Err(Error::MissingRights));
        let refused = user::wait(Syscall::ProcessWait, managed, Now).await;
        assert_eq!(refused, Err(Error::MissingRights));
        kill(managed).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(other.exit_reason(), Some(ExitReason::Killed));
}

#[test]
fn a_process_may_end_itself_by_its_own_capability() {
    for closes in [false, true] {
        let mut kernel = Kernel::boot();
        let process = kernel.process("p");
        let slot = own(&process);
        kernel.spawn(&process, 7, async move {
            if closes {
                let _ = user::close(slot).await;
            } else {
                let _ = kill(slot).await;
            }
            unreachable!("it has ended");
        });
        kernel.run_until_idle();
        assert_eq!(process.exit_reason(), Some(ExitReason::Killed));
    }
}
