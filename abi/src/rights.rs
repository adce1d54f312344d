//! What a capability allows.

bitflags::bitflags! {
    /// The operations that a capability allows on its object. Rights only ever shrink: a copy
    /// has at most the rights of what it was copied from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u32 {
        /// Memory: map for reading. I/O ports: read.
        const READ = 1 << 0;
        /// Memory: map for writing. I/O ports: write.
        const WRITE = 1 << 1;
        /// Memory: map for execution.
        const EXECUTE = 1 << 2;
        /// Endpoint: send a message, and call. Notification: signal, and make timers and interrupts do so.
        const SEND = 1 << 3;
        /// Endpoint: receive messages. Notification: wait for signals, and take them.
        const RECEIVE = 1 << 4;
        /// Any kind: make a copy, in one's own table or in another process's.
        const GRANT = 1 << 5;
        /// Process: create threads, map and unmap memory, put capabilities into its table, end it.
        /// Thread: start it. Timer: set it. Interrupt: bind and
        /// acknowledge it.
        const MANAGE = 1 << 6;
        /// Process and thread: wait for the end and learn the reason.
        const WAIT = 1 << 7;
        /// System: write to the log.
        const LOG = 1 << 8;
        /// System: power off.
        const SHUTDOWN = 1 << 9;
        /// System: read the kernel's counters.
        const STATISTICS = 1 << 10;
        /// System: make memory objects of devices' registers, and capabilities to their ports and interrupts; learn where the
        /// framebuffer is.
        const DEVICES = 1 << 11;
        /// System: read the log, and be told of new lines.
        const LOG_READ = 1 << 12;
    }
}
