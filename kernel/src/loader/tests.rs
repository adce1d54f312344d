//! Init, made of archives that the tests write into the simulated machine's memory as a loader
//! would, and started.

use orbital_abi::{
    CapSlot, Error, ExitReason, Syscall,
    bootstrap::{Bootstrap, MAGIC},
    layout::{BOOTSTRAP_ADDRESS, PAGE_SIZE, STACK_SIZE, STACK_TOP},
};
use orbital_elf::ElfError;
use proptest::prelude::*;

use super::{LoadError, load_init, load_symbols};
use crate::{
    arch::{
        Access, direct_map,
        host::boot::{MODULE, boot_info},
    },
    boot::{BootInfo, CommandLine},
    memory::frame::Frame,
    object::Ref,
    process::Process,
    symbols,
    tests::{kernel::Kernel, user},
    vm::address_space::{Resolution, Wanted},
};

const TEXT: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;

const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

/// A program: each segment has flags, an address, content and a size in memory.
fn elf(entry: u64, segments: &[(u32, u64, &[u8], u64)]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for value in [entry, 64, 0] {
        file.extend(value.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, segments.len() as u8, 0, 0, 0, 0, 0, 0, 0]);
    let mut contents = Vec::new();
    for (flags, address, content, memory) in segments {
        // Content starts in the file where it does in its page.
        let offset = PAGE_SIZE * (1 + contents.len() as u64) + address % PAGE_SIZE;
        file.extend([1_u32.to_le_bytes(), flags.to_le_bytes()].concat());
        for value in [offset, *address, *address, content.len() as u64, *memory, PAGE_SIZE] {
            file.extend(value.to_le_bytes());
        }
        contents.push((offset as usize, *content));
    }
    for (offset, content) in contents {
        file.resize(offset, 0);
        file.extend(content);
    }
    file
}

/// A program of two segments: text, and data with a tail of zeros over the border of a page.
fn program(entry: u64) -> Vec<u8> {
    let text = [0x90; 100];
    elf(entry, &[(READ | EXECUTE, TEXT, &text, 100), (READ | WRITE, DATA + 4000, b"data", 5000)])
}

/// An archive of these files (ustar: POSIX.1-1988, "Extended tar format").
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// What a loader says that put `module` into memory. The memory behind it holds rubbish.
fn loaded(module: &[u8]) -> BootInfo {
    let mut rubbish = module.to_vec();
    rubbish.resize(module.len().next_multiple_of(4096) + 4096, 0xee);
    for (page, content) in rubbish.chunks(4096).enumerate() {
        let frame = Frame::containing(MODULE.start + page as u64 * PAGE_SIZE);
        direct_map::write(frame, 0, content);
    }
    let mut boot_info = boot_info();
    boot_info.modules[0].end = MODULE.start + module.len() as u64;
    boot_info.command_line = CommandLine::new("quiet x=\"1 2\"");
    boot_info
}

/// What `length` bytes at `address` of `process` are.
fn content(process: &Process, address: u64, length: usize) -> Vec<u8> {
    let byte = |address: u64| {
        let touched = process.space.touch(address, Wanted::Read, 0);
        assert!(matches!(touched, Resolution::Mapped), "{address:#x} is not the program's");
        let page = process.space.translate(address).expect("it is mapped");
        let mut byte = [0];
        direct_map::read(page.frame, (address % PAGE_SIZE) as usize, &mut byte);
        byte[0]
    };
    (address..address + length as u64).map(byte).collect()
}

fn bootstrap(process: &Process) -> Box<Bootstrap> {
    let bytes = content(process, BOOTSTRAP_ADDRESS, size_of::<Bootstrap>());
    let mut block = Box::new(Bootstrap::new());
    // SAFETY: the block is plain numbers, any bytes are one; the lengths are the same.
    unsafe {
        core::ptr::from_mut(&mut *block)
            .cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
    block
}

/// Ends a process that has no parent, and sees to it that it is gone.
fn end(kernel: &mut Kernel, process: &Ref<Process>) {
    process.end(ExitReason::Killed);
    kernel.run_until_idle();
    assert!(process.exit_reason().is_some());
}

#[test]
fn init_is_loaded_as_its_file_says() {
    let mut kernel = Kernel::boot();
    let boot_info = loaded(&tar(&[("other", b"text"), ("init", &program(TEXT))]));
    let (process, thread) = load_init(&boot_info).unwrap();
    assert_eq!((process.name.as_str(), thread.priority(), process.threads()), ("init", 255, 1));
    assert_eq!(content(&process, TEXT, 101), [&[0x90; 100][..], &[0]].concat());
    assert_eq!(content(&process, DATA + 3999, 6), b"\0data\0");
    assert!(content(&process, DATA + 4004, 4188).iter().all(|byte| *byte == 0));
    let access = |address| {
        let _ = process.space.touch(address, Wanted::Read, 0);
        process.space.translate(address).map(|page| page.access)
    };
    assert_eq!(access(TEXT), Some(Access::ReadExecute));
    assert_eq!(
        (access(DATA), access(DATA + 8999)),
        (Some(Access::ReadWrite), Some(Access::ReadWrite))
    );
    assert_eq!(access(DATA + 3 * PAGE_SIZE), None);
    assert_eq!((access(TEXT - 1), access(TEXT + PAGE_SIZE), access(0)), (None, None, None));
    let stack = STACK_TOP - STACK_SIZE;
    assert_eq!(
        (access(stack), access(STACK_TOP - 1)),
        (Some(Access::ReadWrite), Some(Access::ReadWrite))
    );
    assert_eq!((access(stack - 1), access(STACK_TOP)), (None, None), "guard pages");
    assert_eq!(access(BOOTSTRAP_ADDRESS), Some(Access::Read));
    end(&mut kernel, &process);
}

#[test]
fn init_finds_what_it_is_given() {
    let mut kernel = Kernel::boot();
    let archive = tar(&[("init", &program(TEXT))]);
    let (process, _) = load_init(&loaded(&archive)).unwrap();
    let block = bootstrap(&process);
    assert_eq!((block.magic, block.command_line()), (MAGIC, "quiet x=\"1 2\""));
    assert_eq!(block.archive_bytes, archive.len() as u64);
    assert_eq!(block.stack_bottom, STACK_TOP - STACK_SIZE);
    assert!(block.granted.iter().all(|slot| slot.is_null()));
    let slots = [block.process, block.thread, block.system, block.archive];
    let kinds = slots.map(|slot| process.capability(slot).unwrap().object.header().kind());
    use orbital_abi::ObjectKind::{MemoryObject, Process, System, Thread};
    assert_eq!(kinds, [Process, Thread, System, MemoryObject].map(Some));
    // The archive is to be read, not written: it is the kernel's too.
    use orbital_abi::Rights;
    let rights = process.capability(block.archive).unwrap().rights;
    assert_eq!(rights, Rights::READ | Rights::GRANT);
    end(&mut kernel, &process);
}

#[test]
fn init_runs() {
    let mut kernel = Kernel::boot();
    let entry = kernel.program(async {
        let (own, argument, stack) = {
            let current = crate::sched::current();
            let started = current.with_registers(|r| (r.argument(), r.stack_pointer()));
            (current.process.clone(), started.0, started.1)
        };
        assert_eq!((argument, stack), (BOOTSTRAP_ADDRESS, STACK_TOP));
        let block = bootstrap(&own);
        let answer = user::control(Syscall::CapabilityInspect, [block.archive.bits(), 0, 0, 0]);
        assert_eq!(answer.await.unwrap()[0], 4);
        // Behind the archive nothing of the loader's is left to see.
        let (process, memory, offset) = (CapSlot::NULL, block.archive, 0);
        let (address, rights) = (0x6000_0000, orbital_abi::Rights::READ);
        let bytes = block.archive_bytes.next_multiple_of(PAGE_SIZE);
        let mapping =
            orbital_abi::arguments::MemoryMap { process, memory, address, offset, bytes, rights };
        user::map(mapping).await.unwrap();
        let tail = (bytes - block.archive_bytes) as usize;
        assert!(tail > 0, "the test wants a tail");
        assert_eq!(content(&own, address + block.archive_bytes, tail), vec![0; tail]);
        assert_eq!(content(&own, address, 5), b"init\0");
        7
    });
    let (process, thread) = load_init(&loaded(&tar(&[("init", &program(entry))]))).unwrap();
    thread.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(7)));
    assert_eq!(process.exit_reason(), Some(ExitReason::Exited(7)));
}

/// The error of a boot with this module.
fn error(module: &[u8]) -> LoadError {
    let mut kernel = Kernel::boot();
    let error = load_init(&loaded(module)).map(|_| ()).expect_err("it was loaded");
    kernel.run_until_idle();
    error
}

#[test]
fn a_module_that_is_no_archive_is_refused() {
    let good = tar(&[("init", &program(TEXT))]);
    let mut odd = good.clone();
    odd[148] ^= 1;
    let shorter = &good[..good.len() - 1024];
    for module in [&[0; 1][..], &[0; 512], &[0xff; 4096], b"\x7fELF", &good[1..], &odd, shorter] {
        assert!(matches!(error(module), LoadError::NotAnArchive));
    }
    let kernel = Kernel::boot();
    let mut boot_info = loaded(&good);
    boot_info.modules.clear();
    assert!(matches!(load_init(&boot_info), Err(LoadError::NotAnArchive)));
    load_symbols(&boot_info);
    drop(kernel);
}

#[test]
fn an_archive_without_init_is_refused() {
    assert!(matches!(error(&tar(&[])), LoadError::NoInit | LoadError::NotAnArchive));
    let others: [(&str, &[u8]); 3] = [("init2", b""), ("Init", b""), ("./init", b"")];
    assert!(matches!(error(&tar(&others)), LoadError::NoInit));
}

#[test]
fn an_init_that_is_no_program_is_refused() {
    let text = (READ | EXECUTE, TEXT, &[0x90; 4][..], 4);
    let all = (READ | WRITE | EXECUTE, DATA, &b""[..], 4);
    for (file, expected) in [
        (b"#!/bin/sh\n".to_vec(), ElfError::NotElf),
        (program(TEXT)[..70].to_vec(), ElfError::Truncated),
        (elf(TEXT, &[text, all]), ElfError::WriteAndExecute),
        (elf(DATA, &[text]), ElfError::BadEntry),
    ] {
        match error(&tar(&[("init", &file)])) {
            LoadError::Elf(found) => assert_eq!(found, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_init_that_needs_more_than_the_machine_has_is_refused() {
    let text = (READ | EXECUTE, TEXT, &[0x90; 4][..], 4);
    let large = (READ | WRITE, 0x1000_0000, &b""[..], 512 << 20);
    let refused = error(&tar(&[("init", &elf(TEXT, &[text, large]))]));
    assert!(matches!(refused, LoadError::Memory(Error::QuotaExceeded)), "{refused:?}");
}

#[test]
fn every_reason_has_a_phrase_of_its_own() {
    let phrases = [
        LoadError::NotAnArchive.to_string(),
        LoadError::NoInit.to_string(),
        LoadError::Elf(ElfError::NotElf).to_string(),
        LoadError::Memory(Error::QuotaExceeded).to_string(),
    ];
    let mut sorted = phrases.to_vec();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), phrases.len());
}

#[test]
fn the_symbols_are_found_in_the_archive() {
    let _kernel = Kernel::boot();
    let table = b"0000000000001000 kernel::first\n0000000000002000 kernel::second\n";
    load_symbols(&loaded(&tar(&[("init", b""), (symbols::FILE, table)])));
    assert_eq!(symbols::lookup(0x1fff), Some(("kernel::first", 0xfff)));
    assert_eq!(symbols::lookup(0x2000), Some(("kernel::second", 0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_archive_makes_the_kernel_panic(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8),
        cut in any::<usize>(),
    ) {
        let mut kernel = Kernel::boot();
        let mut archive = tar(&[("init", &program(TEXT)), ("other", &[1; 700])]);
        for (at, byte) in changes {
            let at = at % archive.len();
            archive[at] = byte;
        }
        if cut % 4 == 0 {
            archive.truncate((1 + cut / 4 % archive.len()).next_multiple_of(512));
        }
        if let Ok((process, _)) = load_init(&loaded(&archive)) {
            end(&mut kernel, &process);
        }
    }
}
