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
    cause,
    object::Ref,
    process::Process,
    sched::{Completion, block},
    thread::{BlockReason, Current, Outcome},
    vm::{
        self,
        address_space::{Claim, Mapping},
        memory_object::Builder,
    },
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

fn begin_map(current: &Current, registers: &Registers) -> Result<(Claimed, Mapping), Error> {
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
    let claim = process.space.begin_map(&mapping)?;
    Ok((Claimed::new(process, claim), mapping))
}

pub(super) fn map(current: &Current, registers: &Registers) -> Completion {
    match begin_map(current, registers) {
        Ok((mut claimed, mapping)) => block(current, BlockReason::Working, async move {
            // By reference: what is moved from future to future takes room in each.
            Outcome::Answer(map_steps(&mut claimed, &mapping).await)
        }),
        Err(error) => Completion::Done(Err(error)),
    }
}

async fn map_steps(claimed: &mut Claimed, mapping: &Mapping) -> Answer {
    let mut done = 0;
    while done < mapping.pages {
        match claimed.process.space.map_step(mapping, done) {
            Ok(now) => done = now,
            Err(error) => {
                claimed.unmap().await;
                return Err(error);
            }
        }
        if done < mapping.pages {
            yield_now().await;
        }
    }
    claimed.keep();
    Ok(Registers::default())
}

pub(super) fn unmap(current: &Current, registers: &Registers) -> Completion {
    let MemoryUnmap { address, bytes, process } = MemoryUnmap::decode(registers);
    let begun = process_or_own(current, process).and_then(|process| {
        let claim = process.space.begin_unmap(address, bytes)?;
        Ok(Claimed::new(process, claim))
    });
    match begun {
        Ok(mut claimed) => block(current, BlockReason::Working, async move {
            claimed.unmap().await;
            Outcome::Answer(Ok(Registers::default()))
        }),
        Err(error) => Completion::Done(Err(error)),
    }
}

/// Regions that this thread works on. If it is killed before it is through, the reaper goes on: what
/// has begun to be unmapped is unmapped, and so is what was not mapped to its end.
struct Claimed {
    process: Ref<Process>,
    claim: Claim,
    is_open: bool,
}

impl Claimed {
    fn new(process: Ref<Process>, claim: Claim) -> Self {
        Self { process, claim, is_open: true }
    }

    /// All is mapped: the claim is over.
    fn keep(&mut self) {
        self.is_open = false;
    }

    async fn unmap(&mut self) {
        vm::unmap(&self.process.space, &self.claim).await;
        self.is_open = false;
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if self.is_open && self.process.space.abandon(&self.claim) {
            self.process.reap_at(cause::priority());
        }
    }
}
