//! What was mapped through a capability that is revoked is unmapped when the revoke returns, whatever became of the
//! capability; what was mapped through others stays.
#![forbid(unsafe_code)]

use super::{CapSlot, Error, Kernel, MemoryMap, Process, Rights, grant, own, run_in, user};

mod halfway;

const PAGE: u64 = 4096;
const AT: u64 = 0x4000_0000;

async fn map(memory: CapSlot, process: CapSlot, address: u64, pages: u64) -> Result<(), Error> {
    let (offset, bytes, rights) = (0, pages * PAGE, Rights::READ | Rights::WRITE);
    user::map(MemoryMap { process, memory, address, offset, bytes, rights }).await
}

async fn copy(source: CapSlot) -> CapSlot {
    user::copy(source, CapSlot::NULL, Rights::all(), 0).await.unwrap()
}

/// Which of these addresses `process` has mapped.
fn mapped(process: &Process, addresses: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let is_there = |address: &u64| {
        let found = process.space.query(*address).ok();
        let is_there = found.is_some_and(|found| found.start <= *address);
        assert!(is_there || process.space.translate(*address).is_none());
        is_there
    };
    addresses.into_iter().filter(is_there).collect()
}

#[test]
fn mappings_go_with_the_capability_by_which_they_were_made() {
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("p"), kernel.process("other"));
    let other_slot = grant(&process, &other, Rights::MANAGE | Rights::GRANT, 0);
    let own_slot = own(&process);
    let (looked, there) = (process.clone(), other.clone());
    run_in(&mut kernel, &process, async move {
        let root = user::memory(4 * PAGE).await.unwrap();
        let at = |number: u64| AT + number * 16 * PAGE;
        map(root, CapSlot::NULL, at(0), 4).await.unwrap();
        // Of each other it becomes something else until it is revoked.
        let kept = copy(root).await;
        let further = copy(kept).await;
        let beside = copy(root).await;
        for (number, slot) in [(1, kept), (2, further), (3, beside)] {
            map(slot, CapSlot::NULL, at(number), 4).await.unwrap();
            user::touch(at(number), 4).await;
        }
        let closed = copy(kept).await;
        let beneath = copy(closed).await;
        map(beneath, CapSlot::NULL, at(4), 4).await.unwrap();
        user::close(beneath).await.unwrap();
        user::close(closed).await.unwrap();
        let moved = copy(kept).await;
        map(moved, CapSlot::NULL, at(5), 4).await.unwrap();
        let moved = user::relocate(moved).await.unwrap();
        map(moved, own_slot, at(6), 4).await.unwrap();
        // Divided: both parts go.
        map(moved, CapSlot::NULL, at(7), 4).await.unwrap();
        user::touch(at(7), 4).await;
        user::unmap(CapSlot::NULL, at(7) + PAGE, PAGE).await.unwrap();
        user::protect(CapSlot::NULL, at(7) + 2 * PAGE, PAGE, Rights::READ).await.unwrap();
        // In another process, by one that is closed afterwards.
        let abroad = copy(kept).await;
        map(abroad, other_slot, AT, 4).await.unwrap();
        map(root, other_slot, AT + 4 * PAGE, 4).await.unwrap();
        user::close(abroad).await.unwrap();
        user::touch(at(0), 4).await;

        let all = || (0..8).map(at).chain([at(7) + 2 * PAGE, at(7) + 3 * PAGE]);
        assert_eq!(mapped(&looked, all()).len(), 10);
        user::revoke(further).await.unwrap();
        assert_eq!(mapped(&looked, all()).len(), 10, "nothing was derived from it");
        user::revoke(kept).await.unwrap();
        assert_eq!(mapped(&looked, all()), [0, 1, 3].map(at));
        assert_eq!(mapped(&there, [AT, AT + 4 * PAGE]), [AT + 4 * PAGE]);
        // Closing it leaves its own mapping, until what it was derived from is revoked.
        user::close(kept).await.unwrap();
        user::revoke(root).await.unwrap();
        assert_eq!(mapped(&looked, all()), [at(0)]);
        assert_eq!(map(beside, CapSlot::NULL, at(1), 1).await, Err(Error::StaleCapability));
        user::close(root).await.unwrap();
        assert_eq!(mapped(&looked, all()), [at(0)]);
        user::unmap(CapSlot::NULL, at(0), 4 * PAGE).await.unwrap();
    });
}

#[test]
fn a_mapping_through_a_copy_whose_parent_is_gone_is_nobody_s_to_take() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let looked = process.clone();
    run_in(&mut kernel, &process, async move {
        let root = user::memory(2 * PAGE).await.unwrap();
        let kept = copy(root).await;
        let second = copy(kept).await;
        user::close(root).await.unwrap();
        map(kept, CapSlot::NULL, AT, 2).await.unwrap();
        map(second, CapSlot::NULL, AT + 2 * PAGE, 2).await.unwrap();
        user::unmap(CapSlot::NULL, AT, PAGE).await.unwrap();
        user::revoke(kept).await.unwrap();
        assert_eq!(mapped(&looked, (0..4).map(|page| AT + page * PAGE)), [AT + PAGE]);
        user::unmap(CapSlot::NULL, AT, 4 * PAGE).await.unwrap();
    });
}
