//! Tests on the host.

mod arguments;
mod devices;
mod framebuffer;
mod header;
mod log;
mod messages;
mod numbers;
mod trace;

use std::{format, string::String};

use crate::{
    CapSlot, ExitReason, Fault, FaultKind,
    bootstrap::{Bootstrap, COMMAND_LINE_BYTES, GRANTED, MAGIC},
};
use proptest::prelude::*;

fn fault(kind: FaultKind) -> ExitReason {
    ExitReason::Faulted(Fault { kind, address: 0x1234, instruction_pointer: u64::MAX })
}

#[test]
fn every_exit_reason_comes_back_as_it_went() {
    let plain = [ExitReason::Exited(0), ExitReason::Exited(u64::MAX), ExitReason::Killed];
    for reason in plain.into_iter().chain(FaultKind::ALL.map(fault)) {
        assert_eq!(ExitReason::decode(reason.encode()), Some(reason));
    }
    assert_eq!(fault(FaultKind::Divide).encode(), [2, 4, 0x1234, u64::MAX]);
}

#[test]
fn words_that_are_no_exit_reason_are_refused() {
    let bad = [
        [3, 0, 0, 0],
        [u64::MAX, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [1, 1, 0, 0],
        [1, 0, 1, 0],
        [1, 0, 0, 1],
        [2, 0, 0, 0],
        [2, 13, 0, 0],
        [2, 1 << 32 | 1, 0, 0],
    ];
    for words in bad {
        assert_eq!(ExitReason::decode(words), None, "{words:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_what_an_exit_reason_is_encoded_to_is_decoded(
        words in [0..4u64, 0..16u64, 0..2u64, 0..2u64],
    ) {
        if let Some(reason) = ExitReason::decode(words) {
            prop_assert_eq!(reason.encode(), words);
        }
    }
}

#[test]
fn exit_reasons_and_faults_are_told_in_words() {
    assert_eq!(format!("{}", ExitReason::Exited(7)), "exited with code 7");
    assert_eq!(format!("{}", ExitReason::Killed), "was killed");
    let fault = Fault { kind: FaultKind::PageWrite, address: 0, instruction_pointer: 0x40_1000 };
    assert_eq!(
        format!("{}", ExitReason::Faulted(fault)),
        "faulted: write refused at 0x401000, address 0x0"
    );
}

#[test]
fn a_handle_keeps_its_parts_apart() {
    for (index, generation) in [(0, 1), (1, 0), (u32::MAX, 0), (0, u32::MAX), (7, 9)] {
        let slot = CapSlot::new(index, generation);
        assert_eq!((slot.index(), slot.generation()), (index, generation));
        assert_eq!(CapSlot::from_bits(slot.bits()), slot);
        assert!(!slot.is_null(), "{slot:?}");
    }
    assert_eq!(CapSlot::new(7, 9).bits(), 9 << 32 | 7);
    assert_eq!(format!("{:?}", CapSlot::new(7, 9)), "7.9");
}

#[test]
fn only_zero_is_the_null_handle() {
    assert_eq!(CapSlot::new(0, 0), CapSlot::NULL);
    assert!(CapSlot::from_bits(0).is_null());
    assert!((0..64).all(|bit| !CapSlot::from_bits(1 << bit).is_null()));
}

#[test]
fn a_new_bootstrap_block_hands_over_nothing() {
    let block = Bootstrap::default();
    assert_eq!(block.magic, MAGIC);
    assert_eq!(block.magic.to_le_bytes(), *b"ORBITAL1");
    let named = [block.process, block.thread, block.system, block.archive];
    assert!(named.iter().chain(&block.granted).all(|slot| slot.is_null()));
    assert_eq!((block.archive_bytes, block.stack_bottom, block.command_line()), (0, 0, ""));
}

#[test]
fn what_is_handed_over_is_found_by_its_name() {
    let mut block = Bootstrap::new();
    for (place, name) in
        [(0, "console"), (1, ""), (2, "sixteen bytes lo"), (3, "seventeen bytes l"), (5, "console")]
    {
        block.set_name(place, name);
    }
    block.set_name(GRANTED, "nowhere");
    assert_eq!(block.place_of("console"), Some(0), "the first one");
    assert_eq!(block.place_of("sixteen bytes lo"), Some(2));
    for none in ["", "consol", "console ", "seventeen bytes l", "nowhere"] {
        assert_eq!(block.place_of(none), None, "{none}");
    }
}

#[test]
fn a_command_line_is_kept_and_replaced() {
    let mut block = Bootstrap::new();
    for text in ["a longer line", "äöü", ""] {
        block.set_command_line(text);
        assert_eq!(block.command_line(), text);
    }
}

#[test]
fn a_command_line_that_fills_its_place_is_kept_whole() {
    let mut block = Bootstrap::new();
    let text = "x".repeat(COMMAND_LINE_BYTES);
    block.set_command_line(&text);
    assert_eq!(block.command_line(), text);
}

#[test]
fn a_command_line_too_long_is_cut_before_the_character_that_does_not_fit() {
    let mut block = Bootstrap::new();
    for character in ['x', 'ä', '€', '🦀'] {
        let width = character.len_utf8();
        for missing in 0..=width {
            // As many as leave `missing` bytes for the last character, and some that never fit.
            let kept = "x".repeat(COMMAND_LINE_BYTES - missing);
            let tail: String = core::iter::repeat_n(character, 3).collect();
            block.set_command_line(&format!("{kept}{tail}"));
            let fitting = missing / width * width;
            assert_eq!(block.command_line(), format!("{kept}{}", &tail[..fitting]));
        }
    }
}

#[test]
fn a_bootstrap_block_with_a_broken_command_line_shows_none() {
    let mut block = Bootstrap::new();
    block.set_command_line("ä");
    block.command_line_bytes = 1;
    assert_eq!(block.command_line(), "");
}

#[test]
fn a_command_line_never_reaches_over_its_block() {
    let mut block = Bootstrap::new();
    for bytes in [COMMAND_LINE_BYTES as u64 + 1, u64::MAX] {
        block.command_line_bytes = bytes;
        assert_eq!(block.command_line().len(), COMMAND_LINE_BYTES);
    }
}
