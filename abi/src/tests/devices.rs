//! The arguments of ports and interrupts come back as they went, and no others are decoded.

use crate::{CapSlot, Error, Registers, arguments::*};
use proptest::prelude::*;

fn slot() -> impl Strategy<Value = CapSlot> {
    any::<u64>().prop_map(CapSlot::from_bits)
}

fn ports() -> impl Strategy<Value = PortRange> {
    any::<[u16; 2]>().prop_map(|[a, b]| PortRange { first: a.min(b), last: a.max(b) })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_calls_of_devices_come_back_as_they_went(
        [slot, other] in [slot(), slot()],
        ports in ports(),
        port in 0..=0xfffc_u16,
        value: u32,
        bits in 1..=u64::MAX,
        line: u64,
    ) {
        let call = IoPortCreate { system: slot, ports };
        prop_assert_eq!(IoPortCreate::decode(&call.encode()), Ok(call));
        let call = IoPortNarrow { port: slot, ports };
        prop_assert_eq!(IoPortNarrow::decode(&call.encode()), Ok(call));
        for width in PortWidth::ALL {
            let call = IoPortRead { slot, port, width };
            prop_assert_eq!(IoPortRead::decode(&call.encode()), Ok(call));
            let call = IoPortWrite { slot, port, width, value: value & width.mask() };
            prop_assert_eq!(IoPortWrite::decode(&call.encode()), Ok(call));
        }
        let call = InterruptCreate { system: slot, line };
        prop_assert_eq!(InterruptCreate::decode(&call.encode()), call);
        let notification = if other.is_null() { CapSlot::from_bits(1) } else { other };
        for (notification, bits) in [(notification, bits), (CapSlot::NULL, 0)] {
            let call = InterruptBind { interrupt: slot, notification, bits };
            prop_assert_eq!(InterruptBind::decode(&call.encode()), Ok(call));
        }
    }

    #[test]
    fn a_range_is_what_its_badge_says(a in ports(), b in ports()) {
        prop_assert_eq!(PortRange::from_badge(a.badge()), Some(a));
        let both = |port| [a, b].iter().all(|range| (range.first..=range.last).contains(&port));
        prop_assert_eq!(a.touches(b), both(a.first) || both(b.first));
        prop_assert_eq!(a.contains(b), both(b.first) && both(b.last));
        prop_assert_eq!(a.count(), (a.first..=a.last).count() as u64);
    }

    #[test]
    fn no_registers_of_devices_make_the_kernel_panic(control: [u64; 4]) {
        let registers = Registers::control(control);
        let _ = IoPortCreate::decode(&registers);
        let _ = IoPortNarrow::decode(&registers);
        let _ = IoPortRead::decode(&registers);
        let _ = IoPortWrite::decode(&registers);
        let _ = InterruptBind::decode(&registers);
        let _ = PortRange::from_badge(control[0]);
    }
}

#[test]
fn ports_that_do_not_exist_are_refused() {
    for (first, count) in
        [(0, 0), (7, 0), (0, 0x1_0001), (0xffff, 2), (0x1_0000, 1), (1, u64::MAX), (u64::MAX, 1)]
    {
        let registers = Registers::control([1, first, count, 0]);
        assert_eq!(IoPortCreate::decode(&registers), Err(Error::InvalidArgument));
        assert_eq!(IoPortNarrow::decode(&registers), Err(Error::InvalidArgument));
    }
    for (first, count) in [(0, 1), (0, 0x1_0000), (0xffff, 1)] {
        assert_eq!(PortRange::new(first, count).map(PortRange::count), Ok(count));
    }
    for badge in [0, 7, 0x1_0001 << 16, 1 << 63, 2 << 16 | 0xffff] {
        assert_eq!(PortRange::from_badge(badge), None, "{badge:#x}");
    }
}

#[test]
fn odd_widths_and_values_that_do_not_fit_are_refused() {
    let read = |port, width| IoPortRead::decode(&Registers::control([1, port, width, 0]));
    for width in [0, 3, 5, 8, 1 << 32 | 1, u64::MAX] {
        assert_eq!(read(0x60, width), Err(Error::InvalidArgument), "{width}");
    }
    for (port, width) in [(0xffff, 2), (0xfffd, 4), (0x1_0000, 1), (u64::MAX, 4)] {
        assert_eq!(read(port, width), Err(Error::InvalidArgument), "{port:#x} {width}");
    }
    assert!(read(0xffff, 1).is_ok() && read(0xfffe, 2).is_ok() && read(0xfffc, 4).is_ok());
    let write =
        |width, value| IoPortWrite::decode(&Registers::control([1, 2, width, value])).is_ok();
    for (width, most) in [(1, 0xff), (2, 0xffff), (4, 0xffff_ffff)] {
        assert!(write(width, most) && !write(width, most + 1) && !write(width, u64::MAX));
    }
}

#[test]
fn a_binding_has_a_notification_and_bits_or_neither() {
    for (notification, bits, is_right) in [(0, 0, true), (1, 1, true), (0, 1, false), (1, 0, false)]
    {
        let registers = Registers::control([9, notification, bits, 0]);
        assert_eq!(InterruptBind::decode(&registers).is_ok(), is_right);
    }
}
