//! Heads of the log's lines in registers, and who is told of them.

use crate::{
    CapSlot, Error, Registers,
    arguments::SystemLogBind,
    log::{LINE_BYTES, LineHead, LogLevel},
};
use proptest::prelude::*;

const MOST: u16 = LINE_BYTES as u16;

fn head() -> impl Strategy<Value = LineHead> {
    (any::<[u64; 2]>(), any::<u8>(), 1..=5_u64, 0..=MOST, 0..=MOST).prop_map(
        |([position, time], cpu, level, module_bytes, all)| LineHead {
            position,
            time,
            cpu,
            level: LogLevel::from_number(level).unwrap(),
            module_bytes: module_bytes.min(all),
            text_bytes: all - module_bytes.min(all),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_head_comes_back_as_it_went(head in head()) {
        prop_assert_eq!(LineHead::decode(&head.encode()), Some(head));
        prop_assert_eq!(LineHead::from_words(head.to_words()), Some(head));
    }

    #[test]
    fn only_what_a_head_is_encoded_to_is_decoded(position: u64, what: u64, shift in 0..64_u32) {
        let registers = Registers::control([position, 7, what >> shift, 0]);
        if let Some(head) = LineHead::decode(&registers) {
            prop_assert_eq!(head.encode(), registers);
        }
    }

    #[test]
    fn a_binding_comes_back_as_it_went(system: u64, notification in 1..=u64::MAX, bits in 1..=u64::MAX) {
        let [system, notification] = [system, notification].map(CapSlot::from_bits);
        for (notification, bits) in [(notification, bits), (CapSlot::NULL, 0)] {
            let call = SystemLogBind { system, notification, bits };
            prop_assert_eq!(SystemLogBind::decode(&call.encode()), Ok(call));
        }
    }
}

#[test]
fn what_is_no_head_is_refused() {
    let decode = |what| LineHead::from_words([1, 2, what]);
    for level in [0, 6, 255] {
        assert_eq!(decode(level), None, "{level}");
    }
    let most = u64::from(MOST);
    assert!(decode(1 | most << 16).is_some() && decode(1 | most << 32).is_some());
    for what in [(most + 1) << 16, (most + 1) << 32, most << 32 | 1 << 16, 1 << 48, 1 << 63] {
        assert_eq!(decode(1 | what), None, "{what:#x}");
    }
}

#[test]
fn a_binding_has_a_notification_and_bits_or_neither() {
    for (notification, bits) in [(0, 1), (1, 0), (0, u64::MAX), (u64::MAX, 0)] {
        let registers = Registers::control([9, notification, bits, 0]);
        assert_eq!(SystemLogBind::decode(&registers), Err(Error::InvalidArgument));
    }
}
