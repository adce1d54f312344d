//! Memory objects and mappings. All of them can be long, so all are futures that yield between
//! steps; what a step does is decided in [`vm`](crate::vm).
#![forbid(unsafe_code)]

use orbital_abi::{
    Error, Registers, Rights,
    arguments::{MemoryMap, MemoryUnmap},
    layout::PAGE_SIZE,
};
use orbital_executor::yield_now;

use super::{Answer, lookup, process_or_own, value};
use crate::{
    arch::Access,
    capability::Capability,
    object::Ref,
    process::Process,
    sched::{Completion, block},
    thread::{BlockReason, Current, Outcome},
    vm::{address_space::Mapping, memory_object::Builder},
};

/// Frames that one step allocates and zeroes.
const STEP_FRAMES: usize = 8;
/// What its maker may do with a memory object.
const RIGHTS: Rights =
    Rights::READ.union(Rights::WRITE).union(Rights::EXECUTE).union(Rights::GRANT);

pub(super) fn create(current: &Current, registers: &Registers) -> Completion {
    let builder = match Builder::new(registers.control[0], &current.process.quota) {
        Ok(builder) => builder,
        Err(error) => return Completion::Done(Err(error)),
    };
    let process = current.process.clone();
    block(current, BlockReason::Working, async move {
        Outcome::Answer(create_steps(builder, process).await)
    })
}

async fn create_steps(mut builder: Builder, process: Ref<Process>) -> Answer {
    while !builder.step(STEP_FRAMES)? {
        yield_now().await;
    }
    let slot = process.install(Capability::new(builder.finish()?, RIGHTS))?;
    Ok(value(slot.bits()))
}

/// The access that `rights` ask for.
fn access(rights: Rights) -> Result<Access, Error> {
    let all = Rights::READ | Rights::WRITE | Rights::EXECUTE;
    if !rights.contains(Rights::READ) || !all.contains(rights) {
        return Err(Error::InvalidArgument);
    }
    match (rights.contains(Rights::WRITE), rights.contains(Rights::EXECUTE)) {
        (true, true) => Err(Error::WriteAndExecute),
        (true, false) => Ok(Access::ReadWrite),
        (false, true) => Ok(Access::ReadExecute),
        (false, false) => Ok(Access::Read),
    }
}

fn begin_map(current: &Current, registers: &Registers) -> Result<(Ref<Process>, Mapping), Error> {
    let arguments = MemoryMap::decode(registers)?;
    let access = access(arguments.rights)?;
    let aligned = arguments.offset.is_multiple_of(PAGE_SIZE)
        && arguments.bytes.is_multiple_of(PAGE_SIZE)
        && arguments.bytes != 0;
    if !aligned {
        return Err(Error::InvalidArgument);
    }
    let process = process_or_own(current, arguments.process)?;
    let mapping = Mapping {
        object: lookup(current, arguments.memory, arguments.rights)?,
        address: arguments.address,
        first_page: arguments.offset / PAGE_SIZE,
        pages: arguments.bytes / PAGE_SIZE,
        access,
    };
    process.space.begin_map(&mapping)?;
    Ok((process, mapping))
}

pub(super) fn map(current: &Current, registers: &Registers) -> Completion {
    match begin_map(current, registers) {
        Ok((process, mapping)) => block(current, BlockReason::Working, async move {
            Outcome::Answer(map_steps(process, mapping).await)
        }),
        Err(error) => Completion::Done(Err(error)),
    }
}

async fn map_steps(process: Ref<Process>, mapping: Mapping) -> Answer {
    let mut undo = Undo { process: &process, mapping: &mapping, armed: true };
    let mut done = 0;
    loop {
        done = process.space.map_step(&mapping, done)?;
        if done == mapping.pages {
            undo.armed = false;
            return Ok(Registers::default());
        }
        yield_now().await;
    }
}

/// Takes back a mapping that was not finished: it failed, or the thread was killed in the middle.
struct Undo<'a> {
    process: &'a Process,
    mapping: &'a Mapping,
    armed: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.armed {
            let end = self.mapping.address + self.mapping.pages * PAGE_SIZE;
            let mut at = self.mapping.address;
            while at < end {
                at = self.process.space.unmap_step(at, end);
            }
        }
    }
}

pub(super) fn unmap(current: &Current, registers: &Registers) -> Completion {
    let arguments = MemoryUnmap::decode(registers);
    let MemoryUnmap { address, bytes, process } = arguments;
    let process = match process_or_own(current, process) {
        Ok(process) => process,
        Err(error) => return Completion::Done(Err(error)),
    };
    if let Err(error) = process.space.begin_unmap(address, bytes) {
        return Completion::Done(Err(error));
    }
    block(current, BlockReason::Working, async move {
        let mut claimed = Claimed { process, at: address, end: address + bytes };
        while claimed.step() {
            yield_now().await;
        }
        Outcome::Answer(Ok(Registers::default()))
    })
}

/// Regions that were claimed for unmapping: once begun, it is done, even if the thread is killed.
struct Claimed {
    process: Ref<Process>,
    at: u64,
    end: u64,
}

impl Claimed {
    fn step(&mut self) -> bool {
        self.at = self.process.space.unmap_step(self.at, self.end);
        self.at < self.end
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        while self.at < self.end && self.step() {}
    }
}
