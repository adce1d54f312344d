//! Tests of the boot information on the host: what good loaders say is understood, and nothing that
//! a bad one says makes the kernel panic or believe in memory that is not there.
#![forbid(unsafe_code)]

mod command_line;
mod memory_map;
mod multiboot2;
mod pvh;

use super::{BootError, BootInfo, Module};

const MIB: u64 = 1 << 20;

/// What every accepted information keeps, whatever it was made of: the layers above rely on it
/// unseen.
fn check(boot_info: &BootInfo) {
    let usable: Vec<_> = boot_info.usable(&[]).collect();
    assert!(!usable.is_empty());
    assert!(usable.iter().all(|range| range.start < range.end && range.end <= 1 << 52));
    assert!(usable.iter().all(|range| range.start % 4096 == 0 && range.end % 4096 == 0));
    assert!(usable.windows(2).all(|pair| pair[0].end <= pair[1].start), "{usable:x?}");
    assert!(!boot_info.modules.is_empty());
    for (index, module) in boot_info.modules.iter().enumerate() {
        assert!(module.start < module.end);
        assert!(boot_info.memory.contains(module.start, module.end));
        for other in &boot_info.modules[..index] {
            assert!(module.end <= other.start || other.end <= module.start);
        }
    }
}

/// The error of a parse; what was accepted is checked.
fn outcome(parsed: Result<BootInfo, BootError>) -> Result<(), BootError> {
    parsed.map(|boot_info| check(&boot_info))
}

#[test]
fn every_error_has_a_phrase_of_its_own() {
    use BootError::*;
    let all = [
        Damaged("something"),
        NoMemoryMap,
        NoUsableMemory,
        TooManyRegions,
        NoModule,
        TooManyModules,
        OverlappingModules,
        ModuleOutsideMemory,
    ];
    let mut phrases: Vec<_> = all.iter().map(ToString::to_string).collect();
    phrases.sort();
    phrases.dedup();
    assert_eq!(phrases.len(), all.len());
}
