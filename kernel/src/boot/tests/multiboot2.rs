//! Multiboot2's information: built tag by tag, as GRUB does and as it never would.
#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::{BootError, BootInfo, MIB, Module, check, outcome};
use crate::boot::multiboot2::parse;

const DAMAGED: BootError = BootError::Damaged("the Multiboot2 information");

const COMMAND_LINE: u32 = 1;
const LOADER: u32 = 2;
const MODULE: u32 = 3;
const MAP: u32 = 6;
const FRAMEBUFFER: u32 = 8;
const OLD_ACPI: u32 = 14;
const NEW_ACPI: u32 = 15;

/// Tags in the order in which they stand.
#[derive(Clone, Default)]
struct Information(Vec<(u32, Vec<u8>)>);

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn region(start: u64, bytes: u64, kind: u32) -> Vec<u8> {
    [&start.to_le_bytes()[..], &bytes.to_le_bytes(), &words(&[kind, 0])].concat()
}

fn module(start: u32, end: u32) -> Vec<u8> {
    [words(&[start, end]), b"init\0".to_vec()].concat()
}

fn map(regions: &[Vec<u8>]) -> Vec<u8> {
    [words(&[24, 0]), regions.concat()].concat()
}

fn framebuffer(kind: u8, colours: &[u8]) -> Vec<u8> {
    let mut tag = 0xfd00_0000_u64.to_le_bytes().to_vec();
    tag.extend(words(&[4096, 1024, 768]));
    tag.extend([32, kind, 0, 0]);
    tag.extend(colours);
    tag
}

/// A table whose bytes add up to 0, as firmware sees to.
fn checked(mut table: Vec<u8>, at: usize) -> Vec<u8> {
    table[at] = table.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
    table
}

fn old_acpi() -> Vec<u8> {
    checked([&b"RSD PTR \0OEM1234"[..8], &[0; 8], &words(&[0x7fe_0000])].concat(), 8)
}

fn new_acpi() -> Vec<u8> {
    let mut old = old_acpi();
    old[15] = 2;
    old[8] = 0;
    let mut table = checked(old, 8);
    table.extend(words(&[36]));
    table.extend(0x7ff_0000_u64.to_le_bytes());
    table.extend([0; 4]);
    checked(table, 32)
}

impl Information {
    fn good() -> Self {
        let regions = [region(0, 0x9_fc00, 1), region(MIB, 127 * MIB, 1), region(0xe_0000, 1, 2)];
        Self(vec![
            (COMMAND_LINE, b"log=trace \"exec=a; b\"\0".to_vec()),
            (LOADER, b"GRUB 2.12\0".to_vec()),
            (MODULE, module(0x40_0000, 0x50_0001)),
            (MAP, map(&regions)),
            (FRAMEBUFFER, framebuffer(1, &[16, 8, 8, 8, 0, 8])),
            (OLD_ACPI, old_acpi()),
            (NEW_ACPI, new_acpi()),
            // A type that the kernel does not know.
            (9, vec![1; 30]),
        ])
    }

    fn tag(&mut self, kind: u32) -> &mut Vec<u8> {
        &mut self.0.iter_mut().find(|tag| tag.0 == kind).unwrap().1
    }

    fn without(mut self, kind: u32) -> Self {
        self.0.retain(|tag| tag.0 != kind);
        self
    }

    fn bytes(&self) -> Aligned {
        let mut bytes = vec![0; 8];
        for (kind, content) in self.0.iter().chain([&(0, Vec::new())]) {
            bytes.extend(words(&[*kind, 8 + content.len() as u32]));
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let size = bytes.len() as u32;
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        Aligned::new(&bytes)
    }

    fn parse(&self) -> Result<BootInfo, BootError> {
        parse(self.bytes().get())
    }
}

/// Bytes on an address that is a multiple of 8.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    fn new(content: &[u8]) -> Self {
        let mut bytes = vec![0; content.len() + 8];
        let start = bytes.as_ptr().align_offset(8);
        bytes[start..start + content.len()].copy_from_slice(content);
        Self { bytes, start, length: content.len() }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

/// What comes of the good information with this in the tag's place.
fn with(kind: u32, content: Vec<u8>) -> Result<BootInfo, BootError> {
    let mut information = Information::good();
    *information.tag(kind) = content;
    information.parse()
}

#[test]
fn what_grub_says_is_understood() {
    let boot_info = Information::good().parse().unwrap();
    check(&boot_info);
    assert_eq!(&boot_info.loader[..], "GRUB 2.12");
    assert_eq!(boot_info.command_line.get("exec"), Some("a; b"));
    assert_eq!(boot_info.usable(&[]).collect::<Vec<_>>(), [0..0x9_f000, MIB..128 * MIB]);
    assert_eq!(boot_info.modules[..], [Module { start: 4 * MIB, end: 5 * MIB + 1 }]);
    let acpi = boot_info.acpi.unwrap();
    assert_eq!((acpi.revision, acpi.address), (2, 0x7ff_0000), "the newer of two");
    let screen = boot_info.framebuffer.unwrap();
    assert_eq!((screen.address, screen.pitch, screen.bits_per_pixel), (0xfd00_0000, 4096, 32));
    assert_eq!((screen.width, screen.height), (1024, 768));
    assert_eq!(screen.pixel(0xff, 0x80, 0x01), 0xff_8001);
}

#[test]
fn what_is_not_there_is_done_without() {
    let mut information = Information::good();
    for kind in [COMMAND_LINE, LOADER, FRAMEBUFFER, NEW_ACPI] {
        information = information.without(kind);
    }
    let boot_info = information.parse().unwrap();
    assert_eq!((boot_info.command_line.as_str(), &boot_info.loader[..]), ("", "Multiboot2"));
    assert_eq!(boot_info.framebuffer, None);
    assert_eq!(boot_info.acpi.map(|acpi| (acpi.revision, acpi.address)), Some((0, 0x7fe_0000)));
    assert_eq!(information.without(OLD_ACPI).parse().unwrap().acpi, None);
}

#[test]
fn a_table_whose_sum_is_wrong_is_not_believed() {
    let mut information = Information::good();
    information.tag(NEW_ACPI)[9] ^= 1;
    assert_eq!(information.parse().unwrap().acpi.map(|acpi| acpi.revision), Some(0));
}

#[test]
fn what_the_kernel_can_not_do_without_is_named() {
    let good = Information::good;
    assert_eq!(good().without(MAP).parse().err(), Some(BootError::NoMemoryMap));
    assert_eq!(good().without(MODULE).parse().err(), Some(BootError::NoModule));
    assert_eq!(with(MAP, map(&[])).err(), Some(BootError::NoUsableMemory));
    let reserved = with(MAP, map(&[region(MIB, 127 * MIB, 2)]));
    assert_eq!(reserved.err(), Some(BootError::NoUsableMemory));
    let many: Vec<_> = (0..129).map(|at| region(at * MIB, MIB, 1)).collect();
    assert_eq!(with(MAP, map(&many)).err(), Some(BootError::TooManyRegions));
}

#[test]
fn modules_must_lie_in_memory_and_apart() {
    let outside = Some(BootError::ModuleOutsideMemory);
    assert_eq!(with(MODULE, module(0x40_0000, 0x40_0000)).err(), outside, "empty");
    assert_eq!(with(MODULE, module(0x40_0000, 0x3f_ffff)).err(), outside, "backwards");
    assert_eq!(with(MODULE, module(0x40_0000, u32::MAX)).err(), outside);
    let mut information = Information::good();
    information.0.push((MODULE, module(0x50_0000, 0x60_0000)));
    assert_eq!(information.parse().err(), Some(BootError::OverlappingModules), "by one byte");
    *information.tag(MODULE) = module(0x40_0000, 0x50_0000);
    assert_eq!(information.parse().unwrap().modules.len(), 2);
    for start in (0x60_0000..0xd0_0000).step_by(MIB as usize) {
        information.0.push((MODULE, module(start, start + 1)));
    }
    assert_eq!(information.parse().err(), Some(BootError::TooManyModules));
}

#[test]
fn tags_that_are_too_short_for_themselves_are_refused() {
    for kind in [MODULE, MAP, FRAMEBUFFER, OLD_ACPI, NEW_ACPI] {
        let whole = Information::good().tag(kind).clone();
        for length in 0..whole.len() {
            // What is left may still be good: the text of a module may be cut, for one.
            let _ = outcome(with(kind, whole[..length].to_vec()));
        }
        assert_eq!(with(kind, Vec::new()).err(), Some(DAMAGED), "{kind}");
        assert_eq!(with(kind, whole[..4].to_vec()).err(), Some(DAMAGED), "{kind}");
    }
}

#[test]
fn tags_that_are_too_long_for_themselves_are_refused() {
    for kind in [OLD_ACPI, NEW_ACPI] {
        let mut long = Information::good().tag(kind).clone();
        long.extend([0; 16]);
        assert_eq!(with(kind, long).err(), Some(DAMAGED), "{kind}");
    }
}

#[test]
fn a_map_whose_entries_have_another_size_is_refused() {
    let entry = region(MIB, 127 * MIB, 1);
    for size in [0, 20, 23, 25, u32::MAX] {
        let odd = [words(&[size, 0]), entry.clone()].concat();
        assert_eq!(with(MAP, odd).err(), Some(DAMAGED), "{size}");
    }
    assert_eq!(with(MAP, [map(&[entry]), vec![0; 8]].concat()).err(), Some(DAMAGED));
}

#[test]
fn a_palette_that_is_not_there_is_refused() {
    assert!(with(FRAMEBUFFER, framebuffer(0, &[2, 0, 1, 2, 3, 4, 5, 6])).is_ok());
    for colours in [&[][..], &[1], &[2, 0, 1, 2, 3], &[255, 255]] {
        let parsed = with(FRAMEBUFFER, framebuffer(0, colours));
        assert_eq!(parsed.err(), Some(DAMAGED), "{colours:?}");
    }
    assert_eq!(with(FRAMEBUFFER, framebuffer(1, &[1; 5])).err(), Some(DAMAGED), "half a field");
    assert_eq!(with(FRAMEBUFFER, framebuffer(2, &[])).unwrap().framebuffer, None, "text");
    let palette = with(FRAMEBUFFER, framebuffer(0, &[0, 0])).unwrap();
    assert_eq!(palette.framebuffer, None, "numbers of colours");
    let outside = with(FRAMEBUFFER, framebuffer(1, &[25, 8, 8, 8, 0, 8])).unwrap();
    assert_eq!(outside.framebuffer, None, "a colour that is not in the pixel");
    assert_eq!(with(FRAMEBUFFER, framebuffer(77, &[])).unwrap().framebuffer, None, "unknown");
}

#[test]
fn a_text_without_an_end_is_none() {
    let boot_info = with(COMMAND_LINE, b"log=trace".to_vec()).unwrap();
    assert_eq!(boot_info.command_line.as_str(), "");
    assert_eq!(&with(LOADER, b"\xff\0".to_vec()).unwrap().loader[..], "Multiboot2");
}

#[test]
fn information_that_is_cut_off_is_refused_at_every_length() {
    let whole = Information::good().bytes();
    for length in 0..whole.length {
        let cut = Aligned::new(&whole.get()[..length]);
        assert_eq!(parse(cut.get()).err(), Some(DAMAGED), "it says that it is longer: {length}");
        // The same, with a size that is true.
        let mut cut = whole.get()[..length].to_vec();
        if let Some(size) = cut.first_chunk_mut() {
            *size = (length as u32).to_le_bytes();
        }
        assert_eq!(parse(Aligned::new(&cut).get()).err(), Some(DAMAGED), "{length}");
    }
}

#[test]
fn information_that_is_not_aligned_is_refused() {
    let whole = Information::good().bytes();
    let shifted = [&[0; 4], whole.get()].concat();
    assert_eq!(parse(&Aligned::new(&shifted).get()[4..]).err(), Some(DAMAGED));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        changes in prop::collection::vec((0..400_usize, any::<u8>()), 0..20),
    ) {
        let mut bytes = Information::good().bytes().get().to_vec();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = outcome(parse(Aligned::new(&bytes).get()));
    }

    #[test]
    fn no_tags_make_it_panic(
        tags in prop::collection::vec(
            (0..22_u32, prop::collection::vec(prop_oneof![Just(0), Just(24), any::<u8>()], 0..60)),
            0..12,
        ),
    ) {
        let mut information = Information::good();
        information.0.extend(tags.iter().cloned());
        let _ = outcome(information.parse());
        let _ = outcome(Information(tags).parse());
    }
}
