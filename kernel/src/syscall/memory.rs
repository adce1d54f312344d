//! Memory objects and mappings. What can be long is a future that yields between steps; what a step does
//! is decided in [`vm`](crate::vm).
#![forbid(unsafe_code)]

use alloc::borrow::Cow;

use orbital_abi::{
    CapSlot, Error, Registers, Rights,
    arguments::{DeviceCache, MemoryDevice, MemoryMap, MemoryProtect, MemoryUnmap},
    layout::PAGE_SIZE,
};
use orbital_executor::yield_now;

use super::{Answer, lookup, process_or_own, value};
use crate::{
    arch::{self, Access, Cache},
    capability::Capability,
    cause,
    object::Ref,
    process::Process,
    sched::{Completion, block},
    system::SystemObject,
    thread::{BlockReason, Current, Outcome},
    vm::{
        self, AddressSpace, MemoryObject,
        address_space::{Begun, Check, Mapping, change::Progress},
        device, reclaim,
        region::Content,
    },
};

/// What its maker may do with a memory object.
const RIGHTS: Rights =
    Rights::READ.union(Rights::WRITE).union(Rights::EXECUTE).union(Rights::GRANT);
/// What a mapping can ever allow.
const MAPPED: Rights = Rights::READ.union(Rights::WRITE).union(Rights::EXECUTE);

/// Does once more what has failed with `error`, if that was for want of memory, after whatever is on its way
/// back has come back: it may be this process's.
#[cold]
pub(super) fn again(
    current: &Current,
    error: Error,
    take: impl FnOnce() -> Answer + 'static,
) -> Completion {
    if error != Error::QuotaExceeded || reclaim::is_done() {
        return Completion::Failed(error);
    }
    block(current, BlockReason::Working, async move {
        reclaim::finish().await;
        Outcome::Answer(take())
    })
}

pub(super) fn create(current: &Current, registers: &Registers) -> Completion {
    let bytes = registers.control[0];
    make(&current.process, bytes).map_or_else(
        |error| {
            let process = current.process.clone();
            again(current, error, move || make(&process, bytes))
        },
        |answer| Completion::answered(current, &answer),
    )
}

/// A new object, with a capability to it.
fn make(process: &Process, bytes: u64) -> Answer {
    install(process, MemoryObject::new(bytes, &process.quota)?)
}

fn install(process: &Process, object: Ref<MemoryObject>) -> Answer {
    Ok(value(process.install(Capability::new(object, RIGHTS))?.bits()))
}

pub(super) fn device(current: &Current, registers: &Registers) -> Answer {
    let MemoryDevice { system, physical, bytes, cache } = MemoryDevice::decode(registers)?;
    lookup::<SystemObject>(current, system, Rights::DEVICES)?;
    let cache = match cache {
        DeviceCache::Uncached => Cache::Uncached,
        DeviceCache::WriteCombining => Cache::WriteCombining,
    };
    let object = device::object(physical, bytes, cache, &current.process.quota)?;
    let rights = RIGHTS.difference(Rights::EXECUTE);
    Ok(value(current.process.install(Capability::new(object, rights))?.bits()))
}

/// A clone whose source is going on is as any other object of its maker's.
pub(super) fn clone(current: &Current, registers: &Registers) -> Completion {
    let slot = CapSlot::from_bits(registers.control[0]);
    let source: Ref<MemoryObject> = match lookup(current, slot, Rights::READ) {
        Ok(source) => source,
        Err(error) => return Completion::Failed(error),
    };
    if source.is_device() {
        return Completion::Failed(Error::InvalidArgument);
    }
    let process = current.process.clone();
    let mut copy = match copy_of(&source, &process) {
        // What is on its way back may be this process's.
        Err(Error::QuotaExceeded) if !reclaim::is_done() => None,
        Ok(copy) => Some(copy),
        Err(error) => return Completion::Failed(error),
    };
    block(current, BlockReason::Working, async move {
        if copy.is_none() {
            reclaim::finish().await;
            copy = copy_of(&source, &process).ok();
        }
        let Some(made) = &copy else { return Outcome::Answer(Err(Error::QuotaExceeded)) };
        let is_done = vm::clone_pages(&source, made).await;
        let made = is_done.and_then(|()| copy.take().ok_or(Error::QuotaExceeded));
        let by_source = |made| process.install_by(slot, Capability::new(made, RIGHTS));
        Outcome::Answer(made.and_then(by_source).map(|slot| value(slot.bits())))
    })
}

/// An object of the size of `source`, paid by `process`.
fn copy_of(source: &MemoryObject, process: &Process) -> Result<Ref<MemoryObject>, Error> {
    MemoryObject::new(source.pages() * PAGE_SIZE, &process.quota)
}

pub(super) fn query(current: &Current, registers: &Registers) -> Answer {
    let [process, address, ..] = registers.control;
    let process = process_or_own(&current.process, CapSlot::from_bits(process))?;
    let found = process.space.query(address)?;
    let rights = match found.access {
        None => Rights::empty(),
        Some(Access::Read) => Rights::READ,
        Some(Access::ReadWrite) => Rights::READ | Rights::WRITE,
        Some(Access::ReadExecute) => Rights::READ | Rights::EXECUTE,
    };
    let mut answer = Registers::control([found.start, found.bytes, found.offset, 0]);
    answer.control[3] = u64::from(found.allowed.bits()) << 32 | u64::from(rights.bits());
    Ok(answer)
}

/// The access that `rights` ask for; `None` is nothing at all.
fn access(rights: Rights) -> Result<Option<Access>, Error> {
    if rights.is_empty() {
        return Ok(None);
    }
    if !rights.contains(Rights::READ) || !MAPPED.contains(rights) {
        return Err(Error::InvalidArgument);
    }
    match (rights.contains(Rights::WRITE), rights.contains(Rights::EXECUTE)) {
        (true, true) => Err(Error::WriteAndExecute),
        (true, false) => Ok(Some(Access::ReadWrite)),
        (false, true) => Ok(Some(Access::ReadExecute)),
        (false, false) => Ok(Some(Access::Read)),
    }
}

#[inline(always)]
pub(super) fn map(current: &Current, registers: &Registers) -> Completion {
    let (process, mapping, by) = match decode_map(&current.process, registers) {
        Ok(decoded) => decoded,
        Err(error) => return Completion::Failed(error),
    };
    match map_by(&current.process, &process, mapping, by) {
        Ok(()) => Completion::done(current),
        Err(error) => map_again(current, error),
    }
}

#[inline(always)]
fn map_by(
    own: &Process,
    process: &Process,
    mapping: Mapping,
    by: Option<CapSlot>,
) -> Result<(), Error> {
    let kept = match by {
        None => None,
        Some(slot) => Some(process.space.keep(mapping.address, (&own.table, slot))?),
    };
    AddressSpace::map_kept(&process.space, mapping, kept)
}

/// By capabilities that are there when memory has come back.
#[cold]
fn map_again(current: &Current, error: Error) -> Completion {
    // It has no answer yet, so its arguments are still there.
    let registers = current.with_registers(|registers| registers.syscall_registers());
    let own = current.process.clone();
    again(current, error, move || {
        let (process, mapping, by) = decode_map(&own, &registers)?;
        map_by(&own, &process, mapping, by)?;
        Ok(Registers::default())
    })
}

/// In whose address space, what, and through which slot, unless nobody can revoke what is there.
type Decoded<'a> = (Cow<'a, Ref<Process>>, Mapping, Option<CapSlot>);

#[inline(always)]
fn decode_map<'a>(own: &'a Ref<Process>, registers: &Registers) -> Result<Decoded<'a>, Error> {
    let arguments = MemoryMap::decode(registers)?;
    let access = access(arguments.rights)?;
    if !arguments.offset.is_multiple_of(PAGE_SIZE) {
        return Err(Error::InvalidArgument);
    }
    let process = process_or_own(own, arguments.process)?;
    let (object, first_page, allowed, is_root) = if arguments.memory.is_null() && access.is_none() {
        // A guard.
        (None, 0, Rights::empty(), true)
    } else {
        let found = own.with_capability(arguments.memory, |capability| {
            let object = Ref::from_object(capability.get(arguments.rights)?);
            Ok::<_, Error>((object, capability.rights() & MAPPED, capability.is_root()))
        });
        let (object, allowed, is_root) = found??;
        (Some(object), arguments.offset / PAGE_SIZE, allowed, is_root)
    };
    let mapping = Mapping {
        address: arguments.address,
        bytes: arguments.bytes,
        content: Content { object, first_page, access, allowed },
    };
    Ok((process, mapping, (!is_root).then_some(arguments.memory)))
}

#[inline(always)]
pub(super) fn unmap(current: &Current, registers: &Registers) -> Completion {
    let MemoryUnmap { address, bytes, process: slot } = MemoryUnmap::decode(registers);
    let process = match process_or_own(&current.process, slot) {
        Ok(process) => process,
        Err(error) => return Completion::Failed(error),
    };
    let unfinished =
        match AddressSpace::begin_unmap(&process.space, address, bytes, arch::cpu_index()) {
            Ok(Begun::Over) => return Completion::done(current),
            Ok(Begun::Number(number)) => {
                return finish(current, Unfinished(process.into_owned()), number);
            }
            Ok(_) => Unfinished(process.into_owned()),
            Err(error) => return Completion::Failed(error),
        };
    let own = current.process.clone();
    block(current, BlockReason::Working, async move {
        let space = &unfinished.0.space;
        let begin = || {
            process_or_own(&own, slot)?;
            AddressSpace::begin_unmap(space, address, bytes, arch::cpu_index())
        };
        let answer = vm::change(space, begin).await;
        Outcome::Answer(answer.map(|()| Registers::default()))
    })
}

pub(super) fn protect(current: &Current, registers: &Registers) -> Completion {
    let decoded = (|| {
        let arguments = MemoryProtect::decode(registers)?;
        let access = access(arguments.rights)?;
        Ok((process_or_own(&current.process, arguments.process)?, access, arguments))
    })();
    let (process, access, arguments) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return Completion::Failed(error),
    };
    let (own, unfinished) = (current.process.clone(), Unfinished(process.into_owned()));
    let mut check = Check::default();
    block(current, BlockReason::Working, async move {
        let space = &unfinished.0.space;
        let begin = || {
            let MemoryProtect { address, bytes, rights, process } = arguments;
            process_or_own(&own, process)?;
            AddressSpace::begin_protect(space, address, bytes, (access, rights), &mut check)
        };
        let answer = vm::change(space, begin).await;
        Outcome::Answer(answer.map(|()| Registers::default()))
    })
}

/// Finishes a change that has begun: at once, if that takes no more than a step.
fn finish(current: &Current, unfinished: Unfinished, number: u64) -> Completion {
    let space = &unfinished.0.space;
    if let Progress::Over = space.advance(number, arch::cpu_index()) {
        return Completion::done(current);
    }
    block(current, BlockReason::Working, async move {
        // That was the first step.
        yield_now().await;
        let answer = vm::finish_change(&unfinished.0.space, number).await;
        Outcome::Answer(answer.map(|()| Registers::default()))
    })
}

/// A process in whose address space this thread may have begun a change. If the thread is killed before that
/// is over, the reaper goes on.
struct Unfinished(Ref<Process>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.0.space.is_changing() {
            self.0.reap_at(cause::priority());
        }
    }
}
