//! The calls that take capabilities, one a line.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use guests::bare::{CODE, DATA, PAGE, STACK_TOP};
use orbital_user::{
    Error, Rights,
    abi::{Syscall, statistics::Statistic},
};

/// What a capability names, of all that there is in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    /// An endpoint where someone waits to receive.
    Awaited,
    /// One where someone waits to be received.
    Calling,
    /// A call that is kept.
    Kept,
    /// A process that goes on, its thread, one that was not started, and one that waits for its fault handler.
    Process,
    Thread,
    New,
    Stopped,
    /// Memory, the first page of which the process has mapped.
    Memory,
    /// A notification that someone waits for.
    Waited,
    /// One with a signal that nobody has taken.
    Signalled,
    /// A timer that is armed.
    Timer,
    System,
    /// Ports that do nothing.
    Port,
    /// A line that is taken and not bound.
    Line,
}

/// A capability in a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// In which control word.
    pub(super) word: usize,
    pub(super) thing: Thing,
    /// The rights that it must have.
    pub(super) needed: Rights,
}

/// What a permitted call gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes well, and that can be seen.
    Well,
    /// It goes well, and nothing of that can be seen.
    Silent,
    /// It goes well. Where its second capability can be revoked, it takes memory for what a revoke finds it by; else
    /// nothing of it can be seen.
    Remembered,
    /// It is refused for what the object is.
    Refused(Error),
    /// It would end the case.
    Untried,
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) syscall: Syscall,
    pub(super) takes: &'static [Taken],
    /// The control words, where no capability stands, and the first two message words.
    pub(super) control: [u64; 4],
    pub(super) words: [u64; 2],
    pub(super) outcome: Outcome,
}

const fn takes(word: usize, thing: Thing, needed: Rights) -> Taken {
    Taken { word, thing, needed }
}

/// One that goes well.
const fn well(syscall: Syscall, takes: &'static [Taken], control: [u64; 4]) -> Operation {
    Operation { syscall, takes, control, words: [0; 2], outcome: Outcome::Well }
}

/// One that has another outcome.
const fn other(
    syscall: Syscall,
    takes: &'static [Taken],
    control: [u64; 4],
    outcome: Outcome,
) -> Operation {
    Operation { syscall, takes, control, words: [0; 2], outcome }
}

/// One that has message words too.
const fn words(
    syscall: Syscall,
    takes: &'static [Taken],
    control: [u64; 4],
    words: [u64; 2],
) -> Operation {
    Operation { syscall, takes, control, words, outcome: Outcome::Well }
}

const NONE: Rights = Rights::empty();
const GRANT: Rights = Rights::GRANT;
const MANAGE: Rights = Rights::MANAGE;
const RECEIVE: Rights = Rights::RECEIVE;
const SEND: Rights = Rights::SEND;
const WAIT: Rights = Rights::WAIT;
const READ: Rights = Rights::READ;
const DEVICES: Rights = Rights::DEVICES;
const READ_BITS: u64 = READ.bits() as u64;

/// The line that is taken, by which no device interrupts.
pub(super) const LINE: u64 = 11;
/// Where nothing is mapped.
const FREE: u64 = DATA + 16 * PAGE;

const MANAGED: &[Taken] = &[takes(0, Thing::Thread, MANAGE)];

/// All of them. What is copied may be of any kind; here it is one.
pub(super) fn table() -> Vec<Operation> {
    use Outcome::{Refused, Remembered, Silent, Untried};
    use Syscall as S;
    const BLOCKS: Outcome = Refused(Error::WouldBlock);
    static TABLE: &[Operation] = &[
        well(S::Send, &[takes(0, Thing::Awaited, SEND)], [0; 4]),
        well(S::Call, &[takes(0, Thing::Awaited, SEND)], [0; 4]),
        well(S::Receive, &[takes(0, Thing::Calling, RECEIVE)], [0; 4]),
        well(S::ReplyReceive, &[takes(0, Thing::Calling, RECEIVE)], [0; 4]),
        well(
            S::ReplyReceive,
            &[takes(0, Thing::Calling, RECEIVE), takes(3, Thing::Kept, NONE)],
            [0; 4],
        ),
        well(S::Reply, &[takes(0, Thing::Kept, NONE)], [0; 4]),
        well(
            S::EndpointBind,
            &[takes(0, Thing::Calling, RECEIVE), takes(1, Thing::New, MANAGE)],
            [0; 4],
        ),
        well(
            S::NotificationBind,
            &[takes(0, Thing::Signalled, RECEIVE), takes(1, Thing::New, MANAGE)],
            [0; 4],
        ),
        words(
            S::ThreadCreate,
            &[takes(0, Thing::Process, MANAGE)],
            [0, CODE, STACK_TOP, 0],
            [1, 0],
        ),
        well(S::ThreadStart, &[takes(0, Thing::New, MANAGE)], [0; 4]),
        other(S::ThreadWait, &[takes(0, Thing::Thread, WAIT)], [0; 4], BLOCKS),
        other(S::ThreadSuspend, MANAGED, [0; 4], Silent),
        other(S::ThreadResume, MANAGED, [0; 4], Silent),
        well(S::ThreadKill, MANAGED, [0; 4]),
        well(S::ThreadSetPriority, MANAGED, [0, 1, 0, 0]),
        well(S::ThreadSetAffinity, MANAGED, [0, u64::MAX, 0, 0]),
        well(S::ThreadSetBudget, MANAGED, [0, 1_000_000, 1_000_000, 0]),
        other(S::ThreadInspect, &[takes(0, Thing::Thread, NONE)], [0; 4], Silent),
        other(
            S::ThreadSetFaultHandler,
            &[takes(0, Thing::Thread, MANAGE), takes(1, Thing::Awaited, SEND)],
            [0; 4],
            Remembered,
        ),
        other(S::ThreadReadRegisters, &[takes(0, Thing::Stopped, MANAGE)], [0; 4], Silent),
        well(S::ThreadWriteRegisters, &[takes(0, Thing::Stopped, MANAGE)], [0, 1, 0, 0]),
        well(S::ProcessKill, &[takes(0, Thing::Process, MANAGE)], [0; 4]),
        other(S::ProcessWait, &[takes(0, Thing::Process, WAIT)], [0; 4], BLOCKS),
        other(S::ProcessUsage, &[takes(0, Thing::Process, WAIT)], [0; 4], Silent),
        well(
            S::CapabilityCopy,
            &[takes(0, Thing::Awaited, GRANT), takes(1, Thing::Process, MANAGE)],
            [0; 4],
        ),
        other(S::CapabilityClose, &[takes(0, Thing::Memory, NONE)], [0; 4], Silent),
        well(
            S::CapabilityMove,
            &[takes(0, Thing::Awaited, GRANT), takes(1, Thing::Process, MANAGE)],
            [0; 4],
        ),
        other(S::CapabilityRevoke, &[takes(0, Thing::Memory, NONE)], [0; 4], Silent),
        well(S::ThreadMessagePage, MANAGED, [0; 4]),
        other(S::CapabilityInspect, &[takes(0, Thing::Memory, NONE)], [0; 4], Silent),
        words(
            S::MemoryMap,
            &[takes(0, Thing::Process, MANAGE), takes(1, Thing::Memory, READ)],
            [0, 0, FREE, 0],
            [PAGE, READ_BITS],
        ),
        well(S::MemoryUnmap, &[takes(0, Thing::Process, MANAGE)], [0, DATA, PAGE, 0]),
        well(S::MemoryProtect, &[takes(0, Thing::Process, MANAGE)], [0, DATA, PAGE, READ_BITS]),
        well(S::MemoryClone, &[takes(0, Thing::Memory, READ)], [0; 4]),
        other(S::MemoryQuery, &[takes(0, Thing::Process, MANAGE)], [0, DATA, 0, 0], Silent),
        well(S::NotificationSignal, &[takes(0, Thing::Waited, SEND)], [0, 2, 0, 0]),
        well(S::NotificationWait, &[takes(0, Thing::Signalled, RECEIVE)], [0; 4]),
        well(S::TimerCreate, &[takes(0, Thing::Waited, SEND)], [0, 1, 0, 0]),
        well(S::TimerSet, &[takes(0, Thing::Timer, MANAGE)], [0, u64::MAX, 0, 0]),
        other(
            S::SystemStatistics,
            &[takes(0, Thing::System, Rights::STATISTICS)],
            [0, Statistic::Threads as u64, 0, 0],
            Silent,
        ),
        other(S::SystemWaits, &[takes(0, Thing::System, Rights::STATISTICS)], [0; 4], Silent),
        other(S::SystemProcesses, &[takes(0, Thing::System, Rights::STATISTICS)], [0; 4], Silent),
        other(S::SystemThreads, &[takes(0, Thing::System, Rights::STATISTICS)], [0; 4], Silent),
        other(
            S::SystemCapabilities,
            &[takes(0, Thing::System, Rights::STATISTICS)],
            [0, 1, 0, 0],
            Silent,
        ),
        other(
            S::SystemInterruptsOff,
            &[takes(0, Thing::System, Rights::STATISTICS)],
            [0; 4],
            Silent,
        ),
        other(S::SystemTrace, &[takes(0, Thing::System, Rights::STATISTICS)], [0; 4], Silent),
        // The caller has no message page.
        other(
            S::SystemLogRead,
            &[takes(0, Thing::System, Rights::LOG_READ)],
            [0; 4],
            Refused(Error::NoRoom),
        ),
        other(
            S::SystemLogBind,
            &[takes(0, Thing::System, Rights::LOG_READ), takes(1, Thing::Waited, SEND)],
            [0, 0, 1, 0],
            Remembered,
        ),
        // Nothing was set up to be drawn on.
        other(
            S::SystemFramebuffer,
            &[takes(0, Thing::System, DEVICES)],
            [0; 4],
            Refused(Error::InvalidAddress),
        ),
        other(S::SystemShutdown, &[takes(0, Thing::System, Rights::SHUTDOWN)], [0; 4], Untried),
        well(S::IoPortCreate, &[takes(0, Thing::System, DEVICES)], [0, 0x80, 1, 0]),
        other(S::IoPortNarrow, &[takes(0, Thing::Port, GRANT)], [0, 0x80, 1, 0], Silent),
        other(S::IoPortRead, &[takes(0, Thing::Port, READ)], [0, 0x80, 1, 0], Silent),
        other(S::IoPortWrite, &[takes(0, Thing::Port, Rights::WRITE)], [0, 0x80, 1, 0], Silent),
        // It is the world's.
        other(
            S::InterruptCreate,
            &[takes(0, Thing::System, DEVICES)],
            [0, LINE, 0, 0],
            Refused(Error::AlreadyBound),
        ),
        other(
            S::InterruptBind,
            &[takes(0, Thing::Line, MANAGE), takes(1, Thing::Waited, SEND)],
            [0, 0, 1, 0],
            Remembered,
        ),
        other(
            S::InterruptAcknowledge,
            &[takes(0, Thing::Line, MANAGE)],
            [0; 4],
            Refused(Error::NotificationGone),
        ),
        // No device is there.
        other(
            S::MemoryDevice,
            &[takes(0, Thing::System, DEVICES)],
            [0, 0, PAGE, 0],
            Refused(Error::InvalidAddress),
        ),
    ];
    const LOG: &[Taken] = &[takes(0, Thing::System, Rights::LOG)];
    static TEXT: &str = "a line of a test";
    // An address is no constant.
    let text = [0, TEXT.as_ptr() as u64, TEXT.len() as u64, 0];
    TABLE.iter().copied().chain([other(S::SystemLog, LOG, text, Silent)]).collect()
}
