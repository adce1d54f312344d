//! Why a system call failed.

macro_rules! errors {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum $name { $($(#[$doc])* $variant = $code),* }

        impl $name {
            /// All errors, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number that stands in the result register; never 0.
            pub const fn code(self) -> u64 {
                self as u64
            }

            /// The error with this code, if there is one.
            pub fn from_code(code: u64) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),* })
            }
        }

        impl core::error::Error for $name {}
    };
}

errors! {
    /// Why a system call failed. A call that failed has changed nothing.
    Error {
        /// There is no system call with this number.
        UnknownSyscall = 1, "no such system call";
        /// The slot is empty, or its index lies outside the table.
        EmptySlot = 2, "the slot holds no capability";
        /// The slot has been closed, and perhaps used again, since this handle was made.
        StaleCapability = 3, "the capability was closed";
        /// The capability names an object of another kind.
        WrongKind = 4, "the capability names an object of another kind";
        /// The capability does not allow this operation.
        MissingRights = 5, "the capability lacks a right that the operation needs";
        /// The table is as large as it can get.
        TableFull = 6, "the capability table is full";
        /// The quota of the process that pays is used up.
        QuotaExceeded = 7, "the quota is used up";
        /// An argument is outside its range, or not aligned.
        InvalidArgument = 8, "an argument is out of range";
        /// The range of addresses is not user space, or not wholly mapped.
        InvalidAddress = 9, "the address is not the caller's to use";
        /// The range of addresses is in use.
        AddressInUse = 10, "the address range is already in use";
        /// Rights that are not to be had together: writable and executable.
        WriteAndExecute = 11, "a mapping can't be both writable and executable";
        /// The object's process or thread has ended.
        Ended = 12, "the process or thread has ended";
        /// The thread was started before.
        AlreadyStarted = 13, "the thread was started before";
        /// The priority is above the caller's ceiling.
        PriorityTooHigh = 14, "the priority is above the caller's ceiling";
        /// The badge of this capability has been set before, or its kind has none.
        AlreadyBadged = 15, "the capability has a badge already, or can't have one";
        /// The operation would have to wait, and the deadline forbids it.
        WouldBlock = 16, "the operation would have to wait";
        /// The partner of a call ended, or dropped the reply, before it answered.
        PeerGone = 17, "the partner is gone";
        /// Nobody can receive at the endpoint any more.
        EndpointGone = 18, "nobody can receive at the endpoint any more";
        /// This thread has taken no call that it still has to answer; or the call that was kept is just being answered by another
        /// thread, which may find that it can't: then it can be tried again.
        NoReplyOwed = 19, "no call is waiting for this thread's reply";
        /// The tag of a message is malformed, or names more words than travel in registers where its sender has no
        /// message page.
        InvalidMessage = 20, "the message's tag is malformed";
        /// The deadline came first: nobody has taken the message, or there was none to take.
        TimedOut = 21, "the deadline came first";
        /// The deadline came after the message was taken and before it was answered.
        Unanswered = 22, "the message was taken, and the deadline came before the answer";
        /// The notification was destroyed.
        NotificationGone = 23, "the notification was destroyed";
        /// The thread does not wait for its fault handler, so that its registers are its own.
        NotStopped = 24, "the thread does not wait for its fault handler";
        /// The capability by which the operation came was revoked while it waited, or what was derived from a
        /// capability is being revoked.
        Revoked = 25, "the capability was revoked";
        /// More copies of copies than can be: 64 above one.
        TooDeep = 26, "the capability was derived too often";
        /// The partner has no room for the message: no message page for so many words or capabilities, or it does not
        /// accept so many.
        NoRoom = 27, "the partner has no room for the message";
        /// The call would close a cycle of threads that wait for each other.
        WouldDeadlock = 28, "the call would wait for a thread that waits for the caller";
        /// One of both is bound already, or another thread receives there.
        AlreadyBound = 29, "it is bound already, or in use by another thread";
        /// The endpoint is bound to another thread, which alone may receive there.
        BoundToAnother = 30, "the endpoint is bound to another thread";
    }
}

/// Why a message operation failed: the errors of endpoints and capabilities, with the codes they
/// have in [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum IpcError {
    /// See [`Error::EmptySlot`].
    EmptySlot = Error::EmptySlot as u64,
    /// See [`Error::StaleCapability`].
    StaleCapability = Error::StaleCapability as u64,
    /// See [`Error::WrongKind`].
    WrongKind = Error::WrongKind as u64,
    /// See [`Error::MissingRights`].
    MissingRights = Error::MissingRights as u64,
    /// See [`Error::TableFull`].
    TableFull = Error::TableFull as u64,
    /// See [`Error::QuotaExceeded`].
    QuotaExceeded = Error::QuotaExceeded as u64,
    /// See [`Error::WouldBlock`].
    WouldBlock = Error::WouldBlock as u64,
    /// See [`Error::PeerGone`].
    PeerGone = Error::PeerGone as u64,
    /// See [`Error::EndpointGone`].
    EndpointGone = Error::EndpointGone as u64,
    /// See [`Error::NoReplyOwed`].
    NoReplyOwed = Error::NoReplyOwed as u64,
    /// See [`Error::InvalidMessage`].
    InvalidMessage = Error::InvalidMessage as u64,
    /// See [`Error::TimedOut`].
    TimedOut = Error::TimedOut as u64,
    /// See [`Error::Unanswered`].
    Unanswered = Error::Unanswered as u64,
    /// See [`Error::Revoked`].
    Revoked = Error::Revoked as u64,
    /// See [`Error::TooDeep`].
    TooDeep = Error::TooDeep as u64,
    /// See [`Error::NoRoom`].
    NoRoom = Error::NoRoom as u64,
    /// See [`Error::WouldDeadlock`].
    WouldDeadlock = Error::WouldDeadlock as u64,
    /// See [`Error::BoundToAnother`].
    BoundToAnother = Error::BoundToAnother as u64,
}

impl IpcError {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 18] = [
        Self::EmptySlot,
        Self::StaleCapability,
        Self::WrongKind,
        Self::MissingRights,
        Self::TableFull,
        Self::QuotaExceeded,
        Self::WouldBlock,
        Self::PeerGone,
        Self::EndpointGone,
        Self::NoReplyOwed,
        Self::InvalidMessage,
        Self::TimedOut,
        Self::Unanswered,
        Self::Revoked,
        Self::TooDeep,
        Self::NoRoom,
        Self::WouldDeadlock,
        Self::BoundToAnother,
    ];
}

impl From<IpcError> for Error {
    fn from(error: IpcError) -> Self {
        // Each code of `IpcError` is one of `Error`'s, by the definitions above.
        Error::from_code(error as u64).unwrap_or(Error::InvalidMessage)
    }
}

impl TryFrom<Error> for IpcError {
    type Error = Error;

    /// The same error as an [`IpcError`]; gives it back where no message operation answers it.
    fn try_from(error: Error) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|ipc| *ipc as u64 == error.code()).ok_or(error)
    }
}

impl core::fmt::Display for IpcError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Error::from(*self).fmt(f)
    }
}

impl core::error::Error for IpcError {}
