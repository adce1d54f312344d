//! Kinds of kernel objects.

/// What a capability names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// Address space, capability table and quota.
    Process = 1,
    /// A thread of a process.
    Thread = 2,
    /// Where messages are sent and received.
    Endpoint = 3,
    /// Pages that can be mapped.
    MemoryObject = 4,
    /// Shutdown, log and statistics.
    System = 5,
    /// A word of signals, and where they are waited for.
    Notification = 6,
    /// What signals a notification at a time.
    Timer = 7,
    /// A call that was taken, to be answered later.
    Reply = 8,
    /// I/O ports: which, stands in the capability.
    IoPort = 9,
    /// A line by which a device interrupts.
    Interrupt = 10,
}

impl ObjectKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Process,
        Self::Thread,
        Self::Endpoint,
        Self::MemoryObject,
        Self::System,
        Self::Notification,
        Self::Timer,
        Self::Reply,
        Self::IoPort,
        Self::Interrupt,
    ];

    /// The kind with number `number`, if there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == number)
    }

    /// What people call it, in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread => "thread",
            Self::Endpoint => "endpoint",
            Self::MemoryObject => "memory",
            Self::System => "system",
            Self::Notification => "notification",
            Self::Timer => "timer",
            Self::Reply => "reply",
            Self::IoPort => "port",
            Self::Interrupt => "interrupt",
        }
    }
}
