//! What a program encodes is what the kernel decodes, and nothing else is decoded.

use crate::{CapSlot, Deadline, Error, Registers, Rights, arguments::*};
use proptest::prelude::*;

fn slot() -> impl Strategy<Value = CapSlot> {
    any::<u64>().prop_map(CapSlot::from_bits)
}

fn rights() -> impl Strategy<Value = Rights> {
    any::<u32>().prop_map(Rights::from_bits_truncate)
}

/// Names as programs make them: cut at a character's start, and filled up with zero bytes.
fn name() -> impl Strategy<Value = [u8; NAME_BYTES]> {
    "\\PC{0,16}".prop_map(|text| {
        let mut name = [0; NAME_BYTES];
        let end = (0..=NAME_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        name[..end].copy_from_slice(&text.as_bytes()[..end]);
        name
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn thread_create_comes_back_as_it_went(
        process in slot(),
        [entry, stack, argument] in any::<[u64; 3]>(),
        priority: u8,
    ) {
        let call = ThreadCreate { process, entry, stack, argument, priority };
        prop_assert_eq!(ThreadCreate::decode(&call.encode()), Ok(call));
    }

    #[test]
    fn process_create_comes_back_as_it_went(
        name in name(),
        frames: u64,
        kernel_bytes: u64,
    ) {
        let call = ProcessCreate { name, frames, kernel_bytes };
        prop_assert_eq!(ProcessCreate::decode(&call.encode()), Ok(call));
    }

    #[test]
    fn capability_copy_comes_back_as_it_went(
        source in slot(),
        process in slot(),
        rights in rights(),
        badge: u64,
    ) {
        let call = CapabilityCopy { source, process, rights, badge };
        prop_assert_eq!(CapabilityCopy::decode(&call.encode()), Ok(call));
    }

    #[test]
    fn memory_map_comes_back_as_it_went(
        process in slot(),
        memory in slot(),
        [address, offset, bytes] in any::<[u64; 3]>(),
        rights in rights(),
    ) {
        let call = MemoryMap { process, memory, address, offset, bytes, rights };
        prop_assert_eq!(MemoryMap::decode(&call.encode()), Ok(call));
    }

    #[test]
    fn memory_unmap_comes_back_as_it_went(process in slot(), address: u64, bytes: u64) {
        let call = MemoryUnmap { process, address, bytes };
        prop_assert_eq!(MemoryUnmap::decode(&call.encode()), call);
    }

    #[test]
    fn system_log_comes_back_as_it_went(
        system in slot(),
        text: u64,
        bytes in 0..=LOG_BYTES as u64,
    ) {
        let call = SystemLog { system, text, bytes };
        prop_assert_eq!(SystemLog::decode(&call.encode()), Ok(call));
    }

    #[test]
    fn the_calls_of_signals_come_back_as_they_went(
        slot in slot(),
        bits in 1..=u64::MAX,
        deadline: u64,
        period in prop_oneof![Just(0), LEAST_PERIOD_NS..=u64::MAX],
    ) {
        let call = NotificationSignal { notification: slot, bits };
        prop_assert_eq!(NotificationSignal::decode(&call.encode()), Ok(call));
        let call = NotificationWait { notification: slot, deadline: Deadline::from_bits(deadline) };
        prop_assert_eq!(NotificationWait::decode(&call.encode()), call);
        let call = TimerCreate { notification: slot, bits };
        prop_assert_eq!(TimerCreate::decode(&call.encode()), Ok(call));
        let call = TimerSet { timer: slot, deadline, period };
        prop_assert_eq!(TimerSet::decode(&call.encode()), Ok(call));
    }

    #[test]
    fn no_registers_make_the_kernel_panic(control: [u64; 4], words: [u64; 8]) {
        let registers = Registers { control, words };
        let _ = ThreadCreate::decode(&registers);
        let _ = ProcessCreate::decode(&registers);
        let _ = CapabilityCopy::decode(&registers);
        let _ = MemoryMap::decode(&registers);
        let _ = MemoryUnmap::decode(&registers);
        let _ = SystemLog::decode(&registers);
        let _ = NotificationSignal::decode(&registers);
        let _ = NotificationWait::decode(&registers);
        let _ = TimerCreate::decode(&registers);
        let _ = TimerSet::decode(&registers);
    }
}

#[test]
fn control_registers_come_with_no_words() {
    let registers = Registers::control([1, 2, 3, 4]);
    assert_eq!((registers.control, registers.words), ([1, 2, 3, 4], [0; 8]));
}

/// Each field has a register of its own, which the kernel's documentation names.
#[test]
fn the_longest_structure_fills_its_registers_in_order() {
    let registers = MemoryMap {
        process: CapSlot::from_bits(1),
        memory: CapSlot::from_bits(2),
        address: 3,
        offset: 4,
        bytes: 5,
        rights: Rights::READ | Rights::WRITE,
    }
    .encode();
    assert_eq!(registers.control, [1, 2, 3, 4]);
    assert_eq!(registers.words, [5, 3, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_priority_above_255_is_refused() {
    let mut registers = Registers::default();
    for priority in [256, 1 << 32, u64::MAX] {
        registers.words[0] = priority;
        assert_eq!(ThreadCreate::decode(&registers), Err(Error::InvalidArgument));
    }
    registers.words[0] = 255;
    assert_eq!(ThreadCreate::decode(&registers).map(|call| call.priority), Ok(255));
}

fn decode_name(name: &[u8]) -> Result<ProcessCreate, Error> {
    let mut bytes = [0; NAME_BYTES];
    bytes[..name.len()].copy_from_slice(name);
    ProcessCreate::decode(&ProcessCreate { name: bytes, frames: 1, kernel_bytes: 2 }.encode())
}

#[test]
fn names_may_be_empty_or_fill_their_place() {
    let names = ["", "i", "eightby.", "sixteen bytes 16", "ääääääää", "🦀🦀🦀🦀"];
    for name in names {
        let call = decode_name(name.as_bytes()).unwrap();
        assert_eq!(&call.name[..name.len()], name.as_bytes());
        assert!(call.name[name.len()..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn names_that_would_garble_the_log_are_refused() {
    // A line break, an escape sequence, a hole, a C1 control character; halves of characters.
    let control: [&[u8]; 5] = [b"a\nb", b"\x1b[31m", b"a\0b", b"\x7f", "\u{85}".as_bytes()];
    let broken: [&[u8]; 4] = [b"\xff", b"a\xc3", b"fifteen bytes..\xc3", b"\xed\xa0\x80"];
    for name in control.into_iter().chain(broken) {
        assert_eq!(decode_name(name), Err(Error::InvalidArgument), "{name:?}");
    }
}

#[test]
fn rights_that_do_not_exist_are_refused() {
    let all = u64::from(Rights::all().bits());
    // The last has good rights in its lower half.
    for bits in [all + 1, 1 << 13, 1 << 31, 1 << 32, 1 << 63, 1 << 32 | 1] {
        let mut registers = Registers::control([0, 0, bits, 0]);
        assert_eq!(CapabilityCopy::decode(&registers), Err(Error::InvalidArgument), "{bits:#x}");
        registers.words[1] = bits;
        assert_eq!(MemoryMap::decode(&registers), Err(Error::InvalidArgument), "{bits:#x}");
    }
    let registers = Registers::control([0, 0, all, 0]);
    assert_eq!(CapabilityCopy::decode(&registers).map(|call| call.rights), Ok(Rights::all()));
}

#[test]
fn a_log_line_too_long_is_refused() {
    let decode = |bytes| SystemLog::decode(&Registers::control([0, 0, bytes, 0]));
    assert_eq!(decode(LOG_BYTES as u64).map(|call| call.bytes), Ok(256));
    assert_eq!(decode(LOG_BYTES as u64 + 1), Err(Error::InvalidArgument));
    assert_eq!(decode(u64::MAX), Err(Error::InvalidArgument));
}

#[test]
fn signals_without_a_bit_are_refused() {
    for bits in [0, 1, 1 << 63, u64::MAX] {
        let registers = Registers::control([1, bits, 0, 0]);
        let expected = if bits == 0 { Err(Error::InvalidArgument) } else { Ok(bits) };
        assert_eq!(NotificationSignal::decode(&registers).map(|call| call.bits), expected);
        assert_eq!(TimerCreate::decode(&registers).map(|call| call.bits), expected);
    }
}

#[test]
fn a_period_too_short_is_refused_and_none_is_not() {
    // Where the timer is disarmed, too.
    for deadline in [0, 1, u64::MAX] {
        let decode = |period| TimerSet::decode(&Registers::control([1, deadline, period, 0]));
        for period in [1, 2, 99_999] {
            assert_eq!(decode(period), Err(Error::InvalidArgument), "{period}");
        }
        for period in [0, 100_000, 100_001, u64::MAX] {
            assert_eq!(decode(period).map(|call| call.period), Ok(period));
        }
    }
}
