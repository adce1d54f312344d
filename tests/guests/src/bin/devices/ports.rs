//! I/O ports: what a capability reaches, and what not.
#![forbid(unsafe_code)]

use guests::{
    bare::{Program, faulted},
    children, code,
    counters::leaves_nothing,
    raw,
};
use orbital_user::{
    CapSlot, Error, FaultKind, Interrupt, IoPort, Notification, Rights,
    abi::{ObjectKind, Syscall, arguments::PortRange},
    capability::{copy_to, cut_off, inspect, revoke},
};

use super::sources::{COM1, SCRATCH, wrong_slots};

/// Where the configuration of PCI devices is chosen, and read (PCI local bus specification 3.0, 3.2.2.3.2): the
/// first device is the bridge, which Intel has made.
const PCI_ADDRESS: u16 = 0xcf8;
const PCI_DATA: u16 = 0xcfc;
const FIRST_DEVICE: u32 = 0x8000_0000;
const INTEL: u16 = 0x8086;

pub(super) fn ports_are_read_and_written() {
    let serial = IoPort::create(SCRATCH..=SCRATCH).unwrap();
    for byte in [0, 0x5a, 0xff, 1] {
        serial.write_u8(SCRATCH, byte).unwrap();
        assert_eq!(serial.read_u8(SCRATCH), Ok(byte));
    }
    let pci = IoPort::create(PCI_ADDRESS..=PCI_DATA + 3).unwrap();
    pci.write_u32(PCI_ADDRESS, FIRST_DEVICE).unwrap();
    assert_eq!(pci.read_u32(PCI_ADDRESS), Ok(FIRST_DEVICE));
    assert_eq!(pci.read_u16(PCI_DATA), Ok(INTEL));
    let whole = pci.read_u32(PCI_DATA).unwrap();
    assert_eq!(pci.read_u16(PCI_DATA + 2).map(u32::from), Ok(whole >> 16));
    let bytes = [0, 1, 2, 3].map(|place| pci.read_u8(PCI_DATA + place).unwrap());
    assert_eq!(u32::from_le_bytes(bytes), whole);
}

/// Each port that there is, in each width, but for those that were given.
pub(super) fn all_other_ports_are_out_of_reach() {
    let own = IoPort::create(0x80..=0x83).unwrap();
    let is_own = |port: u16, ports: u16| port >= 0x80 && port + (ports - 1) <= 0x83;
    for port in 0..=0xffff {
        for (width, read) in [
            (1, own.read_u8(port).map(|_| ())),
            (2, own.read_u16(port).map(|_| ())),
            (4, own.read_u32(port).map(|_| ())),
        ] {
            let exists = port.checked_add(width - 1).is_some();
            let expected = match exists {
                true if is_own(port, width) => Ok(()),
                true => Err(Error::InvalidAddress),
                false => Err(Error::InvalidArgument),
            };
            assert_eq!(read, expected, "{port:#x}, {width}");
        }
        // What is written is refused before it is looked at which.
        if !is_own(port, 1) {
            assert_eq!(own.write_u8(port, 0), Err(Error::InvalidAddress), "{port:#x}");
        }
    }
    for (port, width) in [(0x7f, 2), (0x83, 2), (0x7d, 4), (0x81, 4)] {
        raw::refuse(
            Syscall::IoPortWrite,
            raw::control([own.slot().bits(), port, width, 0]),
            Error::InvalidAddress,
        );
    }
    for (port, width, value) in [
        (0x80, 0, 0),
        (0x80, 3, 0),
        (0x80, 8, 0),
        (0x80, 1, 0x100),
        (0x80, 2, 1 << 16),
        (1 << 16, 1, 0),
    ] {
        let registers = raw::control([own.slot().bits(), port, width, value]);
        raw::refuse(Syscall::IoPortWrite, registers, Error::InvalidArgument);
    }
    raw::refuse(
        Syscall::IoPortWrite,
        raw::control([own.slot().bits(), 0x80, 4, 1 << 32]),
        Error::InvalidArgument,
    );
}

pub(super) fn ports_take_their_rights() {
    let all = IoPort::create(0x80..=0x81).unwrap();
    let found = inspect(all.slot()).unwrap();
    assert_eq!(found.kind, Some(ObjectKind::IoPort));
    assert_eq!(found.rights, Rights::READ | Rights::WRITE | Rights::GRANT);
    let [reads, writes, grants] =
        [Rights::READ, Rights::WRITE, Rights::GRANT].map(|rights| all.copy(rights).unwrap());
    for (port, may_read, may_write, may_grant) in
        [(&reads, true, false, false), (&writes, false, true, false), (&grants, false, false, true)]
    {
        let expected = |may| if may { Ok(()) } else { Err(Error::MissingRights) };
        assert_eq!(port.read_u8(0x80).map(|_| ()), expected(may_read));
        assert_eq!(port.write_u8(0x80, 0), expected(may_write));
        assert_eq!(port.narrow(0x80..=0x80).map(|_| ()), expected(may_grant));
        assert_eq!(port.copy(Rights::all()).map(|_| ()), expected(may_grant));
    }
    let word = Notification::create().unwrap();
    for (slot, error) in wrong_slots(word.slot()) {
        for call in [Syscall::IoPortRead, Syscall::IoPortNarrow] {
            raw::refuse(call, raw::control([slot.bits(), 0x80, 1]), error);
        }
        raw::refuse(Syscall::IoPortWrite, raw::control([slot.bits(), 0x80, 1, 0]), error);
        raw::refuse(Syscall::IoPortCreate, raw::control([slot.bits(), 0x80, 1]), error);
    }
    let child = children::start("may_not_make_any", |spawn| spawn.system(Rights::LOG));
    children::succeed(&child);
}

pub(super) fn a_range_gets_narrower_and_never_wider() {
    let wide = IoPort::create(0x80..=0x8f).unwrap();
    assert_eq!(wide.ports(), Ok(0x80..=0x8f));
    let narrow = wide.narrow(0x84..=0x87).unwrap();
    assert_eq!(narrow.ports(), Ok(0x84..=0x87));
    assert_eq!(inspect(narrow.slot()).unwrap().rights, inspect(wide.slot()).unwrap().rights);
    for ports in [0x84..=0x88, 0x83..=0x87, 0x80..=0x8f, 0..=0xffff, 0x88..=0x88, 0x83..=0x83] {
        assert_eq!(
            narrow.narrow(ports.clone()).map(|_| ()),
            Err(Error::InvalidAddress),
            "{ports:x?}"
        );
    }
    for (first, count) in
        [(0x84, 0), (0x84, 1 << 16), (1 << 16, 1), (u64::MAX, 2), (0x84, u64::MAX)]
    {
        let registers = raw::control([narrow.slot().bits(), first, count]);
        raw::refuse(Syscall::IoPortNarrow, registers, Error::InvalidArgument);
    }
    for port in 0x80..=0x8f {
        let expected =
            if (0x84..=0x87).contains(&port) { Ok(()) } else { Err(Error::InvalidAddress) };
        assert_eq!(narrow.read_u8(port).map(|_| ()), expected);
    }
    // A copy has the same ports, and no badge makes others of them.
    let copy = narrow.copy(Rights::READ | Rights::GRANT).unwrap();
    assert_eq!(copy.ports(), Ok(0x84..=0x87));
    let badge = PortRange { first: 0, last: 0xffff }.badge();
    let badged = copy_to(wide.slot(), CapSlot::NULL, Rights::all(), badge);
    assert_eq!(badged, Err(Error::AlreadyBadged));
    let least = copy.narrow(0x87..=0x87).unwrap();
    assert_eq!(least.write_u8(0x87, 0), Err(Error::MissingRights), "rights only shrink");
    // Which ports they are is no badge by which one could cut.
    let badge = inspect(least.slot()).unwrap().badge;
    cut_off(wide.slot(), badge.try_into().unwrap()).unwrap();
    assert!(least.read_u8(0x87).is_ok());
    revoke(wide.slot()).unwrap();
    for gone in [&narrow, &copy, &least] {
        assert_eq!(gone.read_u8(0x87), Err(Error::StaleCapability));
    }
    assert!(wide.read_u8(0x87).is_ok());
}

pub(super) fn the_kernels_own_ports_are_refused() {
    let own =
        [0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0xe9, 0xf4, 0xf5, 0xf6, 0xf7, 0x8900];
    for port in own {
        for ports in [port..=port, port - 1..=port, port..=port + 1, 0..=port, port..=0xffff] {
            let made = IoPort::create(ports.clone()).map(|_| ());
            assert_eq!(made, Err(Error::InvalidAddress), "{ports:x?}");
        }
    }
    for ports in [
        0..=0x1f,
        0x22..=0x3f,
        0x44..=0x9f,
        0xa2..=0xe8,
        0xea..=0xf3,
        0xf8..=0x88ff,
        0x8901..=0xffff,
    ] {
        IoPort::create(ports.clone()).unwrap_or_else(|error| panic!("{ports:x?}: {error}"));
    }
    let backwards = core::ops::RangeInclusive::new(0x81, 0x80);
    assert_eq!(IoPort::create(backwards).map(|_| ()), Err(Error::InvalidArgument));
}

code! {
    reads: ["mov dx, 0x3ff"] ["in al, dx"];
}

/// A process that may read the port by a system call.
pub(super) fn instructions_reach_no_port_by_a_capability() {
    let port = IoPort::create(COM1..=SCRATCH).unwrap();
    let program = Program::new(reads);
    let bare = program.prepare(0);
    bare.give(port.slot(), Rights::all());
    assert_eq!(bare.run(), faulted(FaultKind::Protection, 0, program.marked()));
}

pub(super) fn may_not_make_any() {
    assert_eq!(IoPort::create(0x80..=0x80).map(|_| ()), Err(Error::MissingRights));
    let made = Interrupt::create(11).map(|_| ());
    assert_eq!(made, Err(Error::MissingRights));
}

pub(super) fn nothing_is_left_of_ports() {
    leaves_nothing(3, || {
        let all = IoPort::create(0x80..=0x8f).unwrap();
        let _narrow = all.narrow(0x81..=0x82).unwrap().narrow(0x81..=0x81).unwrap();
        let _ = all.narrow(0x8f..=0x90);
        let _ = IoPort::create(0x20..=0x20);
    });
}
