//! The log, the counters and the machine's end.
#![forbid(unsafe_code)]

use orbital_abi::{
    arguments::{LOG_BYTES, SystemLog},
    statistics::Statistic,
};

use super::{
    CapSlot, Error, ExitReason, Kernel, MemoryMap, Registers, Rights, Syscall, run_in, system, user,
};
use crate::{
    arch::{
        direct_map,
        host::{Stop, serial},
        power,
    },
    boot::CommandLine,
    log, shutdown,
};

const AT: u64 = 0x4000_0000;
const PAGE: u64 = 4096;

async fn say(system: CapSlot, text: u64, bytes: u64) -> Result<Registers, Error> {
    let arguments = SystemLog { system, text, bytes };
    user::syscall(Syscall::SystemLog as u64, arguments.encode()).await
}

#[test]
fn a_line_of_a_program_carries_its_name_and_forges_nothing() {
    let mut kernel = Kernel::boot();
    log::init(&CommandLine::new("log=info"));
    let process = kernel.process("talker");
    let slot = system(&process, Rights::LOG);
    let space = process.clone();
    run_in(&mut kernel, &process, async move {
        let memory = user::memory(2 * PAGE).await.unwrap();
        let (rights, offset) = (Rights::READ | Rights::WRITE, 0);
        let process = CapSlot::NULL;
        let mapping = MemoryMap { process, memory, address: AT, offset, bytes: 2 * PAGE, rights };
        user::map(mapping).await.unwrap();
        user::touch(AT, 2).await;
        let write = |offset: u64, bytes: &[u8]| {
            let page = space.space.translate(AT + offset).unwrap();
            direct_map::write(page.frame, (offset % PAGE) as usize, bytes);
        };
        write(0, "grüße\n\x1b[2J\x7fend".as_bytes());
        serial::take();
        say(slot, AT, 16).await.unwrap();
        let said = serial::take();
        assert!(said.ends_with(".talker: grüße??[2J?end\n"), "{said:?}");
        // Over the border of two pages.
        write(PAGE - 2, b"ab");
        write(PAGE, b"cd");
        say(slot, AT + PAGE - 2, 4).await.unwrap();
        assert!(serial::take().ends_with(".talker: abcd\n"));
        say(slot, AT, 0).await.unwrap();
        assert!(serial::take().ends_with(".talker: \n"));
        // Half a letter is no text.
        assert_eq!(say(slot, AT, 3).await, Err(Error::InvalidArgument));
        let long = say(slot, AT, LOG_BYTES as u64 + 1).await;
        assert_eq!(long, Err(Error::InvalidArgument));
        say(slot, AT + PAGE, LOG_BYTES as u64).await.unwrap();
        serial::take();
        // Pages that are not there, or not the program's.
        for text in [AT + 2 * PAGE - 1, AT - 1, 0, u64::MAX, 0xffff_8000_0000_0000] {
            assert_eq!(say(slot, text, 2).await, Err(Error::InvalidAddress), "{text:#x}");
        }
        assert_eq!(say(memory, AT, 1).await, Err(Error::WrongKind));
        assert_eq!(serial::take(), "", "what was refused is not logged");
    });
}

#[test]
fn a_capability_allows_only_its_own() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let slots = [Rights::LOG, Rights::SHUTDOWN, Rights::STATISTICS].map(|r| system(&process, r));
    run_in(&mut kernel, &process, async move {
        let [log, shutdown, statistics] = slots;
        for slot in [shutdown, statistics] {
            assert_eq!(say(slot, AT, 0).await, Err(Error::MissingRights));
        }
        for slot in [log, statistics] {
            let refused = user::control(Syscall::SystemShutdown, [slot.bits(), 0, 0, 0]).await;
            assert_eq!(refused, Err(Error::MissingRights));
        }
        for slot in [log, shutdown] {
            let refused = user::control(Syscall::SystemStatistics, [slot.bits(), 0, 0, 0]).await;
            assert_eq!(refused, Err(Error::MissingRights));
        }
    });
}

#[test]
fn the_counters_say_what_there_is() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let slot = system(&process, Rights::STATISTICS);
    run_in(&mut kernel, &process, async move {
        let read = async |statistic: Statistic| {
            let words = [slot.bits(), statistic as u64, 0, 0];
            user::control(Syscall::SystemStatistics, words).await.unwrap()[0]
        };
        let before = (
            read(Statistic::FreeFrames).await,
            read(Statistic::MemoryObjects).await,
            read(Statistic::Endpoints).await,
        );
        let memory = user::memory(3 * PAGE).await.unwrap();
        let (rights, offset) = (Rights::READ | Rights::WRITE, 0);
        let process = CapSlot::NULL;
        let mapping = MemoryMap { process, memory, address: AT, offset, bytes: 3 * PAGE, rights };
        user::map(mapping).await.unwrap();
        user::touch(AT, 3).await;
        let endpoint = user::control(Syscall::EndpointCreate, [0; 4]).await.unwrap()[0];
        let taken = 3 + 3 + 2;
        assert_eq!(read(Statistic::FreeFrames).await, before.0 - taken, "pages, tables, slabs");
        assert_eq!(read(Statistic::MemoryObjects).await, before.1 + 1);
        assert_eq!(read(Statistic::Endpoints).await, before.2 + 1);
        user::close(memory).await.unwrap();
        user::unmap(process, AT, 3 * PAGE).await.unwrap();
        user::close(CapSlot::from_bits(endpoint)).await.unwrap();
        assert_eq!(read(Statistic::FreeFrames).await, before.0);
        assert_eq!(read(Statistic::MemoryObjects).await, before.1);
        assert_eq!(read(Statistic::Endpoints).await, before.2);
        assert!(read(Statistic::TotalFrames).await > before.0);
        assert!(read(Statistic::Processes).await >= 2 && read(Statistic::Threads).await >= 1);
        for statistic in Statistic::ALL {
            read(statistic).await;
        }
        for number in [1000, u64::MAX] {
            let refused = user::control(Syscall::SystemStatistics, [slot.bits(), number, 0, 0]);
            assert_eq!(refused.await, Err(Error::InvalidArgument), "{number}");
        }
    });
}

#[test]
fn the_machine_ends_with_the_verdict_that_its_owner_gave() {
    for (code, verdict) in [
        (0, power::VERDICT_SUCCESS),
        (1, power::VERDICT_FAILURE),
        (u64::MAX, power::VERDICT_FAILURE),
    ] {
        let mut kernel = Kernel::boot();
        let process = kernel.process("p");
        let slot = system(&process, Rights::SHUTDOWN);
        kernel.spawn(&process, 7, async move {
            let _ = user::control(Syscall::SystemShutdown, [slot.bits(), code, 0, 0]).await;
        });
        assert_eq!(kernel.run(), Stop::Off(verdict), "{code}");
    }
}

#[test]
fn the_machine_ends_when_init_does() {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };
    let mut kernel = Kernel::boot();
    let init = kernel.process("init");
    let mut watch = pin!(shutdown::watch(init.clone()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(watch.as_mut().poll(&mut context).is_pending());
    init.end(ExitReason::Exited(0));
    kernel.run_until_idle();
    let off = crate::arch::host::run(|| {
        let _ = watch.as_mut().poll(&mut context);
        unreachable!("it powers off")
    });
    assert_eq!(off, Err(Stop::Off(power::VERDICT_FAILURE)), "even with code 0");
}
