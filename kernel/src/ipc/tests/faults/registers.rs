//! Registers of threads that wait for their handler, and of those that do not.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline::Never, Error, ExitReason, Registers, Rights, Syscall, fault::RESUME,
};

use super::{super::endpoint, Kernel, grant, message, pair, take, user, waiting_reader, words};

async fn registers(call: Syscall, thread: CapSlot, bank: u64) -> Result<[u64; 10], Error> {
    let asked = Registers { control: [thread.bits(), bank, 0, 0x7654], words: [3; 8] };
    let Registers { control: [a, b, first, second], words } =
        user::syscall(call as u64, asked).await?;
    assert_eq!([a, b], [0; 2]);
    let [c, d, e, f, g, h, i, j] = words;
    Ok([first, second, c, d, e, f, g, h, i, j])
}

/// The calls that look at a thread's registers and change them, refused with `error`.
async fn refused(thread: CapSlot, bank: u64, error: Error) {
    for call in [Syscall::ThreadReadRegisters, Syscall::ThreadWriteRegisters] {
        assert_eq!(registers(call, thread, bank).await, Err(error), "{call:?}");
    }
}

#[test]
fn registers_are_shown_between_the_fault_and_its_answer_alone() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let idle = kernel.thread(&pair.client, 20, async { 0 });
    let queued = waiting_reader(&mut kernel, &pair);
    let (_, slot) = endpoint(&pair.client);
    let receiving = kernel.spawn(&pair.client, 20, async move {
        let _ = user::receive(slot, Never).await;
    });
    let (_, slot) = endpoint(&pair.client);
    let calling = kernel.spawn(&pair.client, 20, async move {
        let _ = user::call(slot, words(), Never).await;
    });
    let ended = kernel.spawn(&pair.client, 20, async {});
    kernel.run_until_idle();
    let all = Rights::all();
    let slots = [&idle, &receiving, &calling].map(|it| grant(&pair.server, it, all, 0));
    let ended = grant(&pair.server, &ended, all, 0);
    let faulting = grant(&pair.server, &queued, all, 0);
    let weak = grant(&pair.server, &queued, Rights::WAIT, 0);
    let server = kernel.spawn(&pair.server, 10, async move {
        for slot in slots {
            refused(slot, 0, Error::NotStopped).await;
        }
        refused(faulting, 0, Error::NotStopped).await;
        take(receiver).await;
        let read = registers(Syscall::ThreadReadRegisters, faulting, 0).await.unwrap();
        assert_eq!(read[1], 0x7000_0000, "its stack");
        assert_eq!(registers(Syscall::ThreadReadRegisters, faulting, 1).await, Ok([0; 10]));
        refused(weak, 0, Error::MissingRights).await;
        refused(receiver, 0, Error::WrongKind).await;
        refused(CapSlot::NULL, 0, Error::EmptySlot).await;
        for bank in [2, u64::MAX] {
            refused(faulting, bank, Error::InvalidArgument).await;
        }
        // It would go on at 0.
        let written = registers(Syscall::ThreadWriteRegisters, faulting, 0).await;
        assert_eq!(written, Err(Error::InvalidAddress));
        let again = registers(Syscall::ThreadReadRegisters, faulting, 0).await;
        assert_eq!(again, Ok(read), "nothing has changed");
        let changed =
            Registers { control: [faulting.bits(), 0, read[0], 0x1234_0000], words: [0; 8] };
        user::syscall(Syscall::ThreadWriteRegisters as u64, changed).await.unwrap();
        let [_, stack, ..] = registers(Syscall::ThreadReadRegisters, faulting, 0).await.unwrap();
        assert_eq!(stack, 0x1234_0000);
        user::reply(message(RESUME, &[])).await.unwrap();
        refused(ended, 0, Error::Ended).await;
        let end = user::wait(Syscall::ThreadWait, faulting, Never).await;
        assert_eq!(end, Ok(ExitReason::Exited(0)));
        refused(faulting, 0, Error::Ended).await;
    });
    kernel.run_until_idle();
    assert_eq!(server.exit_reason(), Some(ExitReason::Exited(0)));
}
