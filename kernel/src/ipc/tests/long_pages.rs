//! Message pages that are unmapped, and that come late.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, Rights, Syscall,
};

use super::{Kernel, pair, user};
use crate::{
    object::Ref,
    tests::page::{self, Page},
    thread::Tcb,
};

/// How it ended: well.
const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

/// The number that messages tell.
const SENDERS: u64 = 1000;

/// The kernel has its own way to the pages: it does not matter what the programs have done with theirs.
#[test]
fn pages_that_were_unmapped_still_carry_messages() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let server = kernel.spawn(&pair.server, 20, async move {
        let Page(address) = page::own().await;
        user::unmap(CapSlot::NULL, address, 4096).await.unwrap();
        let received = user::receive(receiver, Never).await.unwrap();
        assert_eq!(received.message.tag.words(), 300);
        // It came, and goes back as it is.
        user::reply(received.message).await.unwrap();
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        let page = page::own().await;
        let sent = page.message(SENDERS, 300);
        let before = page.read();
        user::protect(CapSlot::NULL, page.0, 4096, Rights::READ).await.unwrap();
        let answer = user::call(sender, sent, Never).await.unwrap();
        assert_eq!(answer.words, sent.words);
        assert!(page.read() == before);
    });
    kernel.run_until_idle();
    assert_eq!((server.exit_reason(), client.exit_reason()), (WELL, WELL));
}

/// Who gets a page while it waits has room from then on.
#[test]
fn a_page_can_come_while_its_thread_waits() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let server: Ref<Tcb> = kernel.spawn(&pair.server, 20, async move {
        let received = user::receive(receiver, Never).await.unwrap();
        assert_eq!(received.message.tag.words(), 9);
        let Page(address) = page::own().await;
        assert_eq!(Page(address).read()[8], page::word(SENDERS, 8));
    });
    kernel.run_until_idle();
    let slot = super::grant(&pair.client, &server, Rights::MANAGE, 0);
    kernel.spawn(&pair.client, 10, async move {
        let sent = page::own().await.message(SENDERS, 9);
        assert_eq!(user::send(sender, sent, Now).await, Err(Error::NoRoom));
        page::give(slot, 0).await.unwrap();
        user::send(sender, sent, Now).await.unwrap();
        let again = user::control(Syscall::ThreadMessagePage, [slot.bits(), 0, 0, 0]).await;
        assert_eq!(again, Err(Error::Ended));
    });
    kernel.run_until_idle();
    assert_eq!(server.exit_reason(), WELL);
}
