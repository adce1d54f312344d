//! Files that nobody meant.

use std::vec::Vec;

use proptest::{collection::vec, prelude::*};

use super::{
    builder::{File, HEADER_BYTES, TABLE_ENTRY},
    check,
};
use crate::Plan;

/// Places in the good file, mostly where a byte matters.
fn place() -> impl Strategy<Value = usize> {
    let file = File::good();
    let headers = HEADER_BYTES + file.table.len() * TABLE_ENTRY;
    prop_oneof![9 => 0..headers, 1 => 0..file.length]
}

/// Bytes, often of those that make fields 0, small or huge.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![0..8u8, Just(0x10), Just(0x40), Just(0xf0), Just(0xff), any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..2048)) {
        // Most are refused for their first byte; with a good start, the rest is read too.
        for kept in [0, 7, 20, HEADER_BYTES, HEADER_BYTES + 4] {
            let good = File::good().bytes();
            let kept = kept.min(bytes.len());
            bytes[..kept].copy_from_slice(&good[..kept]);
            if let Ok(plan) = Plan::parse(&bytes) {
                check(&plan, &bytes);
            }
        }
    }

    #[test]
    fn a_plan_of_a_damaged_file_keeps_what_plans_promise(
        damage in vec((place(), byte()), 0..=8),
        length in prop_oneof![3 => Just(0x4000), 1 => 0..0x4000usize],
    ) {
        let mut bytes: Vec<u8> = File::good().bytes();
        for (place, byte) in damage {
            bytes[place] = byte;
        }
        bytes.truncate(length);
        if let Ok(plan) = Plan::parse(&bytes) {
            check(&plan, &bytes);
        }
    }
}
