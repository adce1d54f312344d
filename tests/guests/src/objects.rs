//! One object of each kind, and every use of a capability: for sweeps over both.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use orbital_user::{
    CapSlot, Endpoint, Error, Interrupt, IoPort, IpcError, MemoryObject, Message, Notification,
    Reply, Rights, Timer,
    abi::{ObjectKind, Registers, Syscall, layout::PAGE_SIZE, statistics::Statistic},
    spawn::Child,
    start::bootstrap,
    thread::JoinHandle,
};

use crate::{children, raw, threads::caller};

/// A port that does nothing: firmware shows there how far it has come.
const PORT: u16 = 0x80;
/// A line without a device.
const LINE: u64 = 11;

/// An object of each kind. Process and thread have ended, so that nothing that is tried on them has
/// consequences.
pub struct Objects {
    ended: Child,
    endpoint: Endpoint,
    memory: MemoryObject,
    notification: Notification,
    timer: Timer,
    reply: Reply,
    port: IoPort,
    interrupt: Interrupt,
    /// Gets no answer.
    _caller: JoinHandle<Result<Message, IpcError>>,
}

/// The kinds of which there are copies.
pub fn copied() -> impl Iterator<Item = ObjectKind> {
    ObjectKind::ALL.into_iter().filter(|kind| *kind != ObjectKind::Reply)
}

/// A call that takes a capability in a control word.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// The call.
    pub syscall: Syscall,
    /// Which control word.
    pub word: usize,
    /// The kind that it must be of; `None` for any.
    pub kind: Option<ObjectKind>,
    /// The rights that it must have.
    pub needed: Rights,
    /// What it gives on [`Objects`], when both are right.
    pub outcome: Outcome,
}

/// What a permitted call gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes well.
    Well,
    /// It is refused for what the object is.
    Refused(Error),
    /// It would end the case.
    Untried,
}

impl Objects {
    /// One of each.
    pub fn new(role: &str) -> Self {
        let ended = children::start(role, |spawn| spawn);
        ended.process.kill().expect("a process that runs");
        ended.wait().expect("its end");
        let endpoint = Endpoint::create().expect("an endpoint");
        let memory = MemoryObject::create(PAGE_SIZE).expect("a page");
        let notification = Notification::create().expect("a notification");
        let timer = Timer::create(&notification, 1).expect("a timer");
        let _caller = caller(endpoint.slot(), 1);
        assert!(endpoint.try_receive().expect("a call").is_call);
        let reply = Reply::keep().expect("a call that is owed");
        let port = IoPort::create(PORT..=PORT).expect("a port");
        let interrupt = Interrupt::create(LINE).expect("a line");
        Self { ended, endpoint, memory, notification, timer, reply, port, interrupt, _caller }
    }

    /// The capability to the one of this kind, as its maker got it.
    pub fn slot(&self, kind: ObjectKind) -> CapSlot {
        match kind {
            ObjectKind::Process => self.ended.process.slot(),
            ObjectKind::Thread => self.ended.thread.slot(),
            ObjectKind::Endpoint => self.endpoint.slot(),
            ObjectKind::MemoryObject => self.memory.slot(),
            ObjectKind::System => bootstrap().system,
            ObjectKind::Notification => self.notification.slot(),
            ObjectKind::Timer => self.timer.slot(),
            ObjectKind::Reply => self.reply.slot(),
            ObjectKind::IoPort => self.port.slot(),
            ObjectKind::Interrupt => self.interrupt.slot(),
        }
    }

    /// The registers of a use that is right but for the capability, which is `slot`.
    pub fn registers(&self, used: Use, slot: CapSlot) -> Registers {
        let process = self.slot(ObjectKind::Process).bits();
        let mut registers = match used.syscall {
            Syscall::ReplyReceive => {
                raw::operation(self.slot(ObjectKind::Endpoint), 0, 0, raw::NOISE.words)
            }
            Syscall::ThreadCreate => {
                let mut registers = raw::control([0, 0x40_0000, 0x50_0000, 0]);
                registers.words[0] = 1;
                registers
            }
            Syscall::CapabilityCopy | Syscall::CapabilityMove => {
                raw::control([self.slot(ObjectKind::Endpoint).bits(), process, 0, 0])
            }
            Syscall::MemoryMap => {
                let memory = self.slot(ObjectKind::MemoryObject).bits();
                let mut registers = raw::control([process, memory, 0x40_0000, 0]);
                registers.words[0] = PAGE_SIZE;
                registers.words[1] = Rights::READ.bits().into();
                registers
            }
            Syscall::EndpointBind => raw::control([self.slot(ObjectKind::Endpoint).bits(), 0]),
            Syscall::NotificationBind => {
                raw::control([self.slot(ObjectKind::Notification).bits(), 0])
            }
            Syscall::MemoryUnmap => raw::control([0, 0x40_0000, PAGE_SIZE]),
            Syscall::MemoryProtect | Syscall::MemoryDevice => {
                raw::control([0, 0x40_0000, PAGE_SIZE, 0])
            }
            Syscall::SystemLog => {
                static TEXT: &str = "a line of a test";
                raw::control([0, TEXT.as_ptr() as u64, TEXT.len() as u64])
            }
            Syscall::SystemStatistics => raw::control([0, Statistic::FreeFrames as u64]),
            Syscall::NotificationSignal | Syscall::TimerCreate => raw::control([0, 1]),
            Syscall::TimerSet => raw::control([0, u64::MAX, 0]),
            Syscall::IoPortCreate | Syscall::IoPortNarrow => raw::control([0, PORT.into(), 1]),
            Syscall::IoPortRead | Syscall::IoPortWrite => raw::control([0, PORT.into(), 1, 0]),
            // One that is taken.
            Syscall::InterruptCreate => raw::control([0, LINE]),
            Syscall::InterruptBind => {
                let [interrupt, notification] =
                    [ObjectKind::Interrupt, ObjectKind::Notification].map(|kind| self.slot(kind));
                raw::control([interrupt.bits(), notification.bits(), 1])
            }
            Syscall::SystemLogBind => {
                let notification = self.slot(ObjectKind::Notification).bits();
                raw::control([bootstrap().system.bits(), notification, 1])
            }
            // Tag or deadline 0, deadline 0.
            _ => raw::control([0, 0, 0]),
        };
        registers.control[used.word] = slot.bits();
        registers
    }
}

/// All uses.
pub fn uses() -> Vec<Use> {
    use ObjectKind::{
        Endpoint, Interrupt, IoPort, MemoryObject, Notification, Process, Reply, System, Thread,
        Timer,
    };
    use Outcome::{Refused, Untried, Well};
    const NONE: Rights = Rights::empty();
    const MANAGE: Rights = Rights::MANAGE;
    const RECEIVE: Rights = Rights::RECEIVE;
    const WAIT: Rights = Rights::WAIT;
    const DEVICES: Rights = Rights::DEVICES;
    [
        (Syscall::Send, 0, Some(Endpoint), Rights::SEND, Refused(Error::WouldBlock)),
        (Syscall::Call, 0, Some(Endpoint), Rights::SEND, Refused(Error::WouldBlock)),
        (Syscall::Receive, 0, Some(Endpoint), Rights::RECEIVE, Refused(Error::WouldBlock)),
        (Syscall::ReplyReceive, 0, Some(Endpoint), Rights::RECEIVE, Refused(Error::NoReplyOwed)),
        (Syscall::Reply, 0, Some(Reply), NONE, Untried),
        (Syscall::ReplyReceive, 3, Some(Reply), NONE, Untried),
        (Syscall::EndpointBind, 0, Some(Endpoint), Rights::RECEIVE, Well),
        (Syscall::EndpointBind, 1, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::NotificationBind, 0, Some(Notification), RECEIVE, Well),
        (Syscall::NotificationBind, 1, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadCreate, 0, Some(Process), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadStart, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadWait, 0, Some(Thread), WAIT, Well),
        (Syscall::ThreadSuspend, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadResume, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadKill, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadSetPriority, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadSetAffinity, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadSetBudget, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadInspect, 0, Some(Thread), NONE, Well),
        (Syscall::ThreadSetFaultHandler, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadReadRegisters, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ThreadWriteRegisters, 0, Some(Thread), MANAGE, Refused(Error::Ended)),
        (Syscall::ProcessKill, 0, Some(Process), MANAGE, Refused(Error::Ended)),
        (Syscall::ProcessWait, 0, Some(Process), WAIT, Well),
        (Syscall::ProcessUsage, 0, Some(Process), WAIT, Well),
        (Syscall::CapabilityCopy, 0, None, Rights::GRANT, Refused(Error::Ended)),
        (Syscall::CapabilityCopy, 1, Some(Process), MANAGE, Refused(Error::Ended)),
        (Syscall::CapabilityMove, 0, None, Rights::GRANT, Refused(Error::Ended)),
        (Syscall::CapabilityMove, 1, Some(Process), MANAGE, Refused(Error::Ended)),
        (Syscall::CapabilityRevoke, 0, None, NONE, Well),
        (Syscall::CapabilityClose, 0, None, NONE, Well),
        (Syscall::CapabilityInspect, 0, None, NONE, Well),
        (Syscall::MemoryMap, 0, Some(Process), MANAGE, Refused(Error::Ended)),
        (Syscall::MemoryMap, 1, Some(MemoryObject), Rights::READ, Refused(Error::Ended)),
        (Syscall::MemoryUnmap, 0, Some(Process), MANAGE, Untried),
        (Syscall::MemoryProtect, 0, Some(Process), MANAGE, Refused(Error::InvalidAddress)),
        (Syscall::MemoryClone, 0, Some(MemoryObject), Rights::READ, Well),
        (Syscall::MemoryQuery, 0, Some(Process), MANAGE, Refused(Error::InvalidAddress)),
        // Before the signal there is nothing to wait for.
        (Syscall::NotificationWait, 0, Some(Notification), RECEIVE, Refused(Error::WouldBlock)),
        (Syscall::NotificationSignal, 0, Some(Notification), Rights::SEND, Well),
        (Syscall::TimerCreate, 0, Some(Notification), Rights::SEND, Well),
        (Syscall::TimerSet, 0, Some(Timer), MANAGE, Well),
        (Syscall::IoPortCreate, 0, Some(System), Rights::DEVICES, Well),
        (Syscall::IoPortNarrow, 0, Some(IoPort), Rights::GRANT, Well),
        (Syscall::IoPortRead, 0, Some(IoPort), Rights::READ, Well),
        (Syscall::IoPortWrite, 0, Some(IoPort), Rights::WRITE, Well),
        (Syscall::InterruptCreate, 0, Some(System), Rights::DEVICES, Refused(Error::AlreadyBound)),
        (Syscall::InterruptBind, 0, Some(Interrupt), MANAGE, Well),
        (Syscall::InterruptBind, 1, Some(Notification), Rights::SEND, Well),
        // It is bound by now.
        (Syscall::InterruptAcknowledge, 0, Some(Interrupt), MANAGE, Well),
        (Syscall::SystemLog, 0, Some(System), Rights::LOG, Well),
        (Syscall::SystemShutdown, 0, Some(System), Rights::SHUTDOWN, Untried),
        (Syscall::MemoryDevice, 0, Some(System), Rights::DEVICES, Refused(Error::InvalidAddress)),
        (Syscall::SystemStatistics, 0, Some(System), Rights::STATISTICS, Well),
        (Syscall::SystemWaits, 0, Some(System), Rights::STATISTICS, Well),
        (Syscall::SystemInterruptsOff, 0, Some(System), Rights::STATISTICS, Well),
        (Syscall::SystemTrace, 0, Some(System), Rights::STATISTICS, Well),
        // The caller has no message page; no loader has set up anything to be drawn on.
        (Syscall::SystemLogRead, 0, Some(System), Rights::LOG_READ, Refused(Error::NoRoom)),
        (Syscall::SystemLogBind, 0, Some(System), Rights::LOG_READ, Well),
        (Syscall::SystemLogBind, 1, Some(Notification), Rights::SEND, Well),
        (Syscall::SystemFramebuffer, 0, Some(System), DEVICES, Refused(Error::InvalidAddress)),
        (Syscall::SystemProcesses, 0, Some(System), Rights::STATISTICS, Well),
        (Syscall::SystemThreads, 0, Some(System), Rights::STATISTICS, Well),
        (Syscall::SystemCapabilities, 0, Some(System), Rights::STATISTICS, Well),
    ]
    .map(|(syscall, word, kind, needed, outcome)| Use { syscall, word, kind, needed, outcome })
    .into()
}
