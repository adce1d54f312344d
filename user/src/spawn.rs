//! Starts programs: a new process, its memory from an ELF file, its first capabilities, its first
//! thread. All of it is done here, in user space, by system calls that any process may make.

use orbital_abi::{
    CapSlot, Error, ExitReason, Rights,
    arguments::ThreadCreate,
    bootstrap::{Bootstrap, GRANTED},
    layout::{BOOTSTRAP_ADDRESS, STACK_SIZE, STACK_TOP},
};
use orbital_elf::{ElfError, Plan};

use crate::{
    capability::copy_to,
    image::Image,
    process::Process,
    start::bootstrap,
    thread::{DEFAULT_PRIORITY, Thread},
};

/// Why a program could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// The file is no program.
    Elf(ElfError),
    /// The kernel refused a step.
    Kernel(Error),
    /// More capabilities than a bootstrap block has places for.
    TooManyGrants,
}

impl core::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Elf(error) => error.fmt(f),
            Self::Kernel(error) => error.fmt(f),
            Self::TooManyGrants => f.write_str("more capabilities than can be handed over"),
        }
    }
}

impl core::error::Error for SpawnError {}

impl From<Error> for SpawnError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<ElfError> for SpawnError {
    fn from(error: ElfError) -> Self {
        Self::Elf(error)
    }
}

/// A program that was started: its process and its first thread. Dropping this lets it run on, for it
/// has a capability to itself.
#[derive(Debug)]
pub struct Child {
    /// The process.
    pub process: Process,
    /// Its first thread.
    pub thread: Thread,
}

impl Child {
    /// Waits until it has ended and all it had is given back.
    ///
    /// # Errors
    /// Those of [`Process::wait`].
    pub fn wait(&self) -> Result<ExitReason, Error> {
        self.process.wait()
    }
}

/// How to start a program: what it is named, gets and may use.
#[derive(Clone, Debug)]
pub struct Spawn<'a> {
    name: &'a str,
    arguments: &'a str,
    priority: u8,
    frames: u64,
    kernel_bytes: u64,
    system: Rights,
    has_archive: bool,
    grants: [Option<Grant<'a>>; GRANTED],
    too_many: bool,
}

#[derive(Clone, Copy, Debug)]
struct Grant<'a> {
    name: &'a str,
    source: CapSlot,
    rights: Rights,
    badge: u64,
}

impl<'a> Spawn<'a> {
    /// A program named `name`, with modest quotas and the right to log.
    pub const fn new(name: &'a str) -> Self {
        Self {
            name,
            arguments: "",
            priority: DEFAULT_PRIORITY,
            frames: 256,
            kernel_bytes: 64 * 1024,
            system: Rights::LOG,
            has_archive: false,
            grants: [None; GRANTED],
            too_many: false,
        }
    }

    /// Its command line.
    #[must_use]
    pub const fn arguments(mut self, arguments: &'a str) -> Self {
        self.arguments = arguments;
        self
    }

    /// Its first thread's priority; at most the caller's.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Its quota: frames of 4 KiB, and bytes of kernel memory.
    #[must_use]
    pub const fn quota(mut self, frames: u64, kernel_bytes: u64) -> Self {
        self.frames = frames;
        self.kernel_bytes = kernel_bytes;
        self
    }

    /// What it may do with the system; nothing, with no rights.
    #[must_use]
    pub const fn system(mut self, rights: Rights) -> Self {
        self.system = rights;
        self
    }

    /// Lets it read the archive of programs ([`Archive::open`](crate::program::Archive::open)), which the caller must have.
    #[must_use]
    pub const fn archive(mut self) -> Self {
        self.has_archive = true;
        self
    }

    /// Hands over a copy of a capability, which it finds at the next place of its bootstrap block.
    #[must_use]
    pub fn grant(self, source: CapSlot, rights: Rights, badge: u64) -> Self {
        self.grant_as("", source, rights, badge)
    }

    /// The same by a name of up to 16 bytes, by which it finds it too ([`take_named`](crate::start::take_named)).
    #[must_use]
    pub fn grant_as(mut self, name: &'a str, source: CapSlot, rights: Rights, badge: u64) -> Self {
        match self.grants.iter_mut().find(|grant| grant.is_none()) {
            Some(place) => *place = Some(Grant { name, source, rights, badge }),
            None => self.too_many = true,
        }
        self
    }

    /// Starts the program in `file`, an ELF file.
    ///
    /// # Errors
    /// A [`SpawnError`]; then nothing of the program is left.
    pub fn start(self, file: &[u8]) -> Result<Child, SpawnError> {
        let child = self.prepare(file)?;
        child.thread.start()?;
        Ok(child)
    }

    /// The same, but its thread does not run yet.
    ///
    /// # Errors
    /// As [`Spawn::start`].
    pub fn prepare(self, file: &[u8]) -> Result<Child, SpawnError> {
        if self.too_many {
            return Err(SpawnError::TooManyGrants);
        }
        let plan = Plan::parse(file)?;
        let process = Process::create(self.name, self.frames, self.kernel_bytes)?;
        match self.fill(&process, &plan, file) {
            Ok(thread) => Ok(Child { process, thread }),
            Err(error) => {
                // It may have a capability to itself by now, so closing ours is not enough.
                let _ = process.kill();
                Err(error.into())
            }
        }
    }

    fn fill(&self, process: &Process, plan: &Plan, file: &[u8]) -> Result<Thread, Error> {
        let mut image = Image::load(process, plan, file)?;
        let arguments = ThreadCreate {
            process: process.slot(),
            entry: plan.entry,
            stack: STACK_TOP,
            argument: BOOTSTRAP_ADDRESS,
            priority: self.priority,
        };
        // SAFETY: the thread runs in another process.
        let thread = unsafe { Thread::create(&arguments) }?;
        self.hand_over(process, &thread, image.block())?;
        image.finish(process)?;
        Ok(thread)
    }

    /// Hands over the capabilities, and notes in `block` where they are.
    fn hand_over(
        &self,
        process: &Process,
        thread: &Thread,
        block: &mut Bootstrap,
    ) -> Result<(), Error> {
        let to = process.slot();
        let own = Rights::MANAGE | Rights::WAIT | Rights::GRANT;
        block.thread = copy_to(thread.slot(), to, own, 0)?;
        block.process = copy_to(process.slot(), to, own, 0)?;
        if !self.system.is_empty() {
            block.system = copy_to(bootstrap().system, to, self.system, 0)?;
        }
        if self.has_archive {
            block.archive = copy_to(bootstrap().archive, to, Rights::READ, 0)?;
            block.archive_bytes = bootstrap().archive_bytes;
        }
        for (place, grant) in self.grants.iter().flatten().enumerate() {
            block.granted[place] = copy_to(grant.source, to, grant.rights, grant.badge)?;
            block.set_name(place, grant.name);
        }
        block.stack_bottom = STACK_TOP - STACK_SIZE;
        block.set_command_line(self.arguments);
        Ok(())
    }
}
