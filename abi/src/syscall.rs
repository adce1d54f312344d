//! The system calls. What each takes stands with its structure in [`arguments`](crate::arguments).

macro_rules! syscalls {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// The number of a system call, as it stands in `rax`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum Syscall { $($(#[$doc])* $name = $number),* }

        impl Syscall {
            /// All system calls, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The system call with this number, if there is one.
            #[inline(always)]
            pub const fn from_number(number: u64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

syscalls! {
    /// Does nothing; measures the way in and out.
    Null = 0;
    /// Sends a message and waits until it is received. See [`crate::message::Operation`].
    Send = 1;
    /// Waits for a message. Gives badge, tag, whether it is a call, and the words.
    Receive = 2;
    /// Sends a message and waits for its reply. Gives 0, tag, 0, and the words.
    Call = 3;
    /// Answers the call that this thread took last, or one that was kept.
    Reply = 4;
    /// Does that and waits for the next message, in one step.
    ReplyReceive = 5;
    /// Lets other threads of the same priority run first.
    ThreadYield = 16;
    /// Ends the calling thread. Does not return.
    ThreadExit = 17;
    /// Makes a thread that does not run yet. Gives its capability.
    ThreadCreate = 18;
    /// Lets a thread run for the first time.
    ThreadStart = 19;
    /// Waits until a thread has ended. Gives its [`crate::ExitReason`].
    ThreadWait = 20;
    /// Stops a thread, which may be the calling one, until it is resumed. Returns when it has stopped.
    ThreadSuspend = 21;
    /// Lets a suspended thread go on.
    ThreadResume = 22;
    /// Ends a thread. Its operation, if it waits in one, is cancelled.
    ThreadKill = 23;
    /// Gives a thread another priority, at most its ceiling and the caller's.
    ThreadSetPriority = 24;
    /// Lets a thread run on some CPUs only.
    ThreadSetAffinity = 25;
    /// Tells a thread's state, priority, CPU and affinity.
    ThreadInspect = 26;
    /// Waits until a time.
    ThreadSleep = 27;
    /// Lets a thread use so much CPU time in each period, or as much as it likes.
    ThreadSetBudget = 28;
    /// Lets a thread's faults be handled at an endpoint, or by nobody.
    ThreadSetFaultHandler = 29;
    /// Reads a part of the registers of a thread that waits for its fault handler.
    ThreadReadRegisters = 30;
    /// Changes a part of them.
    ThreadWriteRegisters = 31;
    /// Makes an empty process, paid by the caller's quota. Gives its capability.
    ProcessCreate = 32;
    /// Ends the calling process with all its threads. Does not return.
    ProcessExit = 33;
    /// Ends a process.
    ProcessKill = 34;
    /// Waits until a process has ended and all it had is given back. Gives its
    /// [`crate::ExitReason`].
    ProcessWait = 35;
    /// Tells how many frames and bytes of kernel memory a process may have, and has.
    ProcessUsage = 36;
    /// Copies a capability, with fewer rights and perhaps a badge, into one's own table or another
    /// process's. Gives the new slot.
    CapabilityCopy = 48;
    /// Empties a slot.
    CapabilityClose = 49;
    /// Tells kind, rights and badge, and by which number its object is told apart from others.
    CapabilityInspect = 50;
    /// Moves a capability into another slot of one's own table, or into another process's. Gives the new slot.
    CapabilityMove = 51;
    /// Kills all capabilities that were derived from one, in whatever table they are; or, where a badge is named that is
    /// not 0, those of them that carry it. Returns when nothing is begun through any of them any more.
    CapabilityRevoke = 52;
    /// Gives a thread a message page, for words of messages that registers have no room for. Gives its address.
    ThreadMessagePage = 53;
    /// Puts the call that this thread took last into a slot, from where any thread of the process can answer it.
    /// Gives the slot.
    ReplyKeep = 54;
    /// Lets one thread alone receive at an endpoint, or everyone.
    EndpointBind = 55;
    /// Lets a thread's receives end by a notification's signals too, or no thread's.
    NotificationBind = 56;
    /// Tells what the next thread waits for, behind the one that was told last. Gives a [`crate::waits::Wait`].
    SystemWaits = 57;
    /// Makes an endpoint. Gives its capability.
    EndpointCreate = 64;
    /// Makes a notification. Gives its capability.
    NotificationCreate = 72;
    /// Adds signals to a notification's word. Never waits.
    NotificationSignal = 73;
    /// Waits for signals and takes them all. Gives their bits.
    NotificationWait = 74;
    /// Makes a memory object of zeroed pages. Gives its capability.
    MemoryCreate = 80;
    /// Maps a range of a memory object into a process.
    MemoryMap = 81;
    /// Removes what is mapped in a range of a process's addresses.
    MemoryUnmap = 82;
    /// Changes what the mappings in a range of a process's addresses allow.
    MemoryProtect = 83;
    /// Makes a memory object with the content of another, whose pages are copied when they are written. Gives
    /// its capability.
    MemoryClone = 84;
    /// Tells what is mapped at an address, or next behind it. Gives its first address, its size in bytes, where
    /// in its object it begins, and what it allows (in the upper half what it may ever allow).
    MemoryQuery = 85;
    /// Makes a memory object of a range of physical addresses that is no memory. Gives its capability.
    MemoryDevice = 86;
    /// Makes a capability to a range of I/O ports, and gives it.
    IoPortCreate = 88;
    /// Derives a capability to fewer ports from one to more. Gives the new slot.
    IoPortNarrow = 89;
    /// Reads from one, two or four ports. Gives the value.
    IoPortRead = 90;
    /// Writes to one, two or four ports.
    IoPortWrite = 91;
    /// Writes one line to the log.
    SystemLog = 96;
    /// Powers off. Does not return.
    SystemShutdown = 97;
    /// Reads one of the kernel's counters.
    SystemStatistics = 98;
    /// Tells the longest stretch with interrupts off on a CPU, and may have it counted anew.
    SystemInterruptsOff = 99;
    /// Reads an event of a CPU's trace. Gives a [`crate::trace::Traced`].
    SystemTrace = 100;
    /// Reads a line of the log into the calling thread's message page. Gives a [`crate::log::LineHead`].
    SystemLogRead = 101;
    /// Lets new lines of the log signal a notification, or nobody.
    SystemLogBind = 102;
    /// Tells what the loader has set up to be drawn on. Gives a [`crate::framebuffer::Framebuffer`].
    SystemFramebuffer = 103;
    /// Tells of the next process, behind the one that was told last. Gives a [`crate::census::Process`].
    SystemProcesses = 104;
    /// Tells of the next thread, behind the one that was told last. Gives a [`crate::census::Thread`].
    SystemThreads = 105;
    /// Tells of the next capability in a process's table, at an index or behind it. Gives a
    /// [`crate::census::Capability`].
    SystemCapabilities = 106;
    /// Tells the time, and how it comes from the time-stamp counter.
    ClockRead = 112;
    /// Makes a timer that signals a notification. Gives its capability.
    TimerCreate = 120;
    /// Sets or disarms a timer. Gives when it would have fired next.
    TimerSet = 121;
    /// Takes a line by which devices interrupt. Gives its capability.
    InterruptCreate = 124;
    /// Lets a line's interrupts signal a notification, or nobody.
    InterruptBind = 125;
    /// Lets a line interrupt again.
    InterruptAcknowledge = 126;
}
