//! How a thread or process ended.

/// Why a thread or process ended, as its supervisor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It ended itself with this code; 0 means success.
    Exited(u64),
    /// It was ended by someone who could.
    Killed,
    /// It did something that the machine or the kernel refused.
    Faulted(Fault),
}

/// What a faulting thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// The address of a refused memory access; else 0.
    pub address: u64,
    /// Where the instruction stands.
    pub instruction_pointer: u64,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum FaultKind {
    /// A read of memory that is not the thread's to read.
    PageRead = 1,
    /// A write to memory that is not the thread's to write.
    PageWrite = 2,
    /// Execution of memory that is not the thread's to execute.
    PageExecute = 3,
    /// Division by zero, or a quotient that does not fit.
    Divide = 4,
    /// An instruction that does not exist or is not allowed here.
    InvalidOpcode = 5,
    /// A general protection fault: a privileged instruction, a non-canonical address and the like.
    Protection = 6,
    /// A breakpoint.
    Breakpoint = 7,
    /// A single step or a debug register.
    Debug = 8,
    /// A misaligned access with alignment checks on.
    Alignment = 9,
    /// A floating-point error.
    FloatingPoint = 10,
    /// A stack-segment fault: a non-canonical stack address.
    Stack = 11,
    /// Any other exception.
    Other = 12,
}

impl FaultKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::PageRead,
        Self::PageWrite,
        Self::PageExecute,
        Self::Divide,
        Self::InvalidOpcode,
        Self::Protection,
        Self::Breakpoint,
        Self::Debug,
        Self::Alignment,
        Self::FloatingPoint,
        Self::Stack,
        Self::Other,
    ];
}

impl ExitReason {
    /// The reason as four result words: what, code or kind, address, instruction pointer.
    pub fn encode(self) -> [u64; 4] {
        match self {
            Self::Exited(code) => [0, code, 0, 0],
            Self::Killed => [1, 0, 0, 0],
            Self::Faulted(fault) => {
                [2, fault.kind as u64, fault.address, fault.instruction_pointer]
            }
        }
    }

    /// The reason that [`ExitReason::encode`] made `words` from; `None` for any other words.
    pub fn decode(words: [u64; 4]) -> Option<Self> {
        match words {
            [0, code, 0, 0] => Some(Self::Exited(code)),
            [1, 0, 0, 0] => Some(Self::Killed),
            [2, kind, address, instruction_pointer] => Some(Self::Faulted(Fault {
                kind: FaultKind::ALL.into_iter().find(|known| *known as u64 == kind)?,
                address,
                instruction_pointer,
            })),
            _ => None,
        }
    }
}

impl core::fmt::Display for ExitReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Killed => f.write_str("was killed"),
            Self::Faulted(fault) => write!(
                f,
                "faulted: {} at {:#x}, address {:#x}",
                fault.kind, fault.instruction_pointer, fault.address
            ),
        }
    }
}

impl core::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::PageRead => "read refused",
            Self::PageWrite => "write refused",
            Self::PageExecute => "execution refused",
            Self::Divide => "divide error",
            Self::InvalidOpcode => "invalid instruction",
            Self::Protection => "general protection",
            Self::Breakpoint => "breakpoint",
            Self::Debug => "debug exception",
            Self::Alignment => "alignment check",
            Self::FloatingPoint => "floating-point error",
            Self::Stack => "stack fault",
            Self::Other => "exception",
        })
    }
}
