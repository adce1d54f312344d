//! Makes the first process out of the archive of programs: checks the ELF file, gives it memory, a
//! stack and its bootstrap block.

use orbital_abi::{
    Error, ExitReason, Rights,
    bootstrap::Bootstrap,
    layout::{BOOTSTRAP_ADDRESS, PAGE_SIZE, STACK_SIZE, STACK_TOP},
};
use orbital_elf::{ElfError, Plan, SegmentAccess};
use tar_no_std::TarArchiveRef;

use crate::{
    arch::{Access, Cache, SavedRegisters, direct_map},
    boot::{BootInfo, Module},
    capability::Capability,
    memory::{self, frame::Frame},
    object::{Quota, Ref},
    process::{Name, Process},
    symbols,
    system::SystemObject,
    thread::{Tcb, control::ALL_CPUS},
    vm::{AddressSpace, MemoryObject, address_space::Mapping, device},
};

#[cfg(test)]
mod tests;

/// Init's place in the archive, and its name in the log.
const INIT: &str = "init";
/// Init starts at the highest priority, and chooses lower ones for others.
const PRIORITY: u8 = u8::MAX;
/// Part of the memory that may become kernel heap on behalf of processes: one in so many frames.
const HEAP_SHARE: u64 = 8;
/// Part of that which objects may fill: the rest is what the allocator needs between them.
const HEAP_FILL_PERCENT: u64 = 75;

/// Why init could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The module is no archive.
    NotAnArchive,
    /// The archive has no such file.
    NoInit,
    /// The file is no program that can be loaded.
    Elf(ElfError),
    /// There is not enough memory for it.
    Memory(Error),
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAnArchive => f.write_str("the boot module is no archive of programs"),
            Self::NoInit => f.write_str("the archive of programs has no \"init\""),
            Self::Elf(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Memory(error)
    }
}

/// The archive's bytes. The loader's first module is the archive.
fn archive(module: Module) -> &'static [u8] {
    let length = (module.end - module.start) as usize;
    // What lies behind the archive in its last page is nobody's; programs shall not see it.
    let end = Frame::containing(module.end);
    let tail = (module.end % PAGE_SIZE) as usize;
    if tail != 0 {
        direct_map::write(end, tail, &[0; PAGE_SIZE as usize][tail..]);
    }
    // SAFETY: the frame allocator was never given a module's frames, and programs can map them
    // only for reading.
    unsafe { direct_map::bytes(module.start, length) }
}

fn find(archive: &'static [u8], name: &str) -> Result<Option<&'static [u8]>, LoadError> {
    let archive = TarArchiveRef::new(archive).map_err(|_| LoadError::NotAnArchive)?;
    let is_wanted = |entry: &tar_no_std::ArchiveEntry<'_>| entry.filename().as_str() == Ok(name);
    Ok(archive.entries().find(is_wanted).map(|entry| entry.data()))
}

/// Remembers the kernel's symbols, if the archive has them. As early as possible.
pub fn load_symbols(boot_info: &BootInfo) {
    if let Some(module) = boot_info.modules.first()
        && let Ok(Some(table)) = find(archive(*module), symbols::FILE)
    {
        symbols::init(table);
    }
}

/// Makes init and its first thread, not started.
///
/// # Errors
/// A [`LoadError`] that says in one phrase what is wrong.
pub fn load_init(boot_info: &BootInfo) -> Result<(Ref<Process>, Ref<Tcb>), LoadError> {
    device::init(boot_info);
    let module = *boot_info.modules.first().ok_or(LoadError::NotAnArchive)?;
    let archive = archive(module);
    let program = find(archive, INIT)?.ok_or(LoadError::NoInit)?;
    let plan = Plan::parse(program).map_err(LoadError::Elf)?;

    let process = Process::first(Name::from(INIT).unwrap_or_default(), root_quota()?)?;
    match fill(&process, &plan, program, boot_info, module) {
        Ok(thread) => Ok((process, thread)),
        Err(error) => {
            process.end(ExitReason::Killed);
            Err(error)
        }
    }
}

/// Gives init its memory, capabilities and first thread.
fn fill(
    process: &Ref<Process>,
    plan: &Plan,
    program: &[u8],
    boot_info: &BootInfo,
    module: Module,
) -> Result<Ref<Tcb>, LoadError> {
    for segment in &plan.segments {
        let bytes = segment.pages * PAGE_SIZE;
        let content = segment.file_bytes(program);
        let access = match segment.access {
            SegmentAccess::Read => Access::Read,
            SegmentAccess::ReadWrite => Access::ReadWrite,
            SegmentAccess::ReadExecute => Access::ReadExecute,
        };
        map_new(process, segment.start, bytes, access, segment.offset, content)?;
    }
    map_new(process, STACK_TOP - STACK_SIZE, STACK_SIZE, Access::ReadWrite, 0, &[])?;

    let registers = SavedRegisters::new(plan.entry, STACK_TOP, BOOTSTRAP_ADDRESS)?;
    let thread = Tcb::new(process, registers, PRIORITY, ALL_CPUS)?;
    let bootstrap = bootstrap(boot_info, module, process, &thread)?;
    map_bootstrap(process, &bootstrap)?;
    Ok(thread)
}

/// What the machine has left, as init's quota.
fn root_quota() -> Result<Ref<Quota>, Error> {
    let frames = memory::free_frames();
    let heap_frames = frames / HEAP_SHARE;
    let heap_bytes = heap_frames * PAGE_SIZE * HEAP_FILL_PERCENT / 100;
    Quota::root(frames - heap_frames, heap_bytes)
}

/// Maps fresh memory with `content` at `offset`.
fn map_new(
    process: &Process,
    address: u64,
    bytes: u64,
    access: Access,
    offset: usize,
    content: &[u8],
) -> Result<(), Error> {
    let object = MemoryObject::new(bytes, &process.quota)?;
    object.write(offset as u64, content)?;
    AddressSpace::map(&process.space, Mapping::whole(&object, address, access))
}

/// Init's first capabilities: itself, the system, the archive.
fn bootstrap(
    boot_info: &BootInfo,
    module: Module,
    process: &Ref<Process>,
    thread: &Ref<Tcb>,
) -> Result<Bootstrap, Error> {
    let own = Rights::MANAGE | Rights::WAIT | Rights::GRANT;
    let all = Rights::LOG
        | Rights::SHUTDOWN
        | Rights::STATISTICS
        | Rights::DEVICES
        | Rights::LOG_READ
        | Rights::GRANT;
    let archive = MemoryObject::fixed(module.start, module.end, Cache::WriteBack, &process.quota)?;
    let mut block = Bootstrap::new();
    block.process = process.install(Capability::new(process.clone(), own))?;
    block.thread = process.install(Capability::new(thread.clone(), own))?;
    block.system = process.install(Capability::new(SystemObject::new()?, all))?;
    let readable = Rights::READ | Rights::GRANT;
    block.archive = process.install(Capability::new(archive, readable))?;
    block.archive_bytes = module.end - module.start;
    block.stack_bottom = STACK_TOP - STACK_SIZE;
    block.set_command_line(boot_info.command_line.as_str());
    Ok(block)
}

fn map_bootstrap(process: &Process, block: &Bootstrap) -> Result<(), Error> {
    // SAFETY: the block is plain numbers without padding, one page of them.
    let bytes = unsafe {
        core::slice::from_raw_parts(core::ptr::from_ref(block).cast::<u8>(), size_of::<Bootstrap>())
    };
    map_new(process, BOOTSTRAP_ADDRESS, PAGE_SIZE, Access::Read, 0, bytes)
}
