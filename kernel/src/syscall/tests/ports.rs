//! I/O ports: which a capability reaches, what it takes, and what is derived from it.
#![forbid(unsafe_code)]

use orbital_abi::arguments::{PortRange, PortWidth, PortWidth::*};

use super::{CapSlot, Error, Kernel, ObjectKind, Rights, Syscall, grant, run_in, system, user};
use crate::{
    arch::host::port::OWN,
    io_port,
    object::registry,
    tests::{devices, kernel::endpoint},
};

/// Runs a program that is given the system.
fn run<F: Future<Output = ()> + 'static>(program: impl FnOnce(CapSlot) -> F) {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let slot = system(&process, Rights::DEVICES);
    run_in(&mut kernel, &process, program(slot));
}

#[test]
fn what_is_written_is_read() {
    run(|system| async move {
        let port = devices::ports(system, 0x80, 0x8f).await.unwrap();
        devices::write(port, 0x80, Double, 0x8123_4567).await.unwrap();
        for (at, width, value) in [
            (0x80, Byte, 0x67),
            (0x83, Byte, 0x81),
            (0x80, Word, 0x4567),
            (0x81, Word, 0x2345),
            (0x80, Double, 0x8123_4567),
        ] {
            assert_eq!(devices::read(port, at, width).await, Ok(value));
        }
        devices::write(port, 0x81, Byte, 0xff).await.unwrap();
        devices::write(port, 0x82, Word, 0).await.unwrap();
        assert_eq!(devices::read(port, 0x80, Double).await, Ok(0xff67));
    });
}

#[test]
fn every_end_of_every_range_is_kept() {
    run(|system| async move {
        for (first, last) in [(0x80, 0x80), (0x80, 0x83), (0xfffd, 0xffff), (0x100, 0x104)] {
            let port = devices::ports(system, first, last).await.unwrap();
            let inspected = user::control(Syscall::CapabilityInspect, [port.bits(), 0, 0, 0]);
            let badge = inspected.await.unwrap()[2];
            assert_eq!(PortRange::from_badge(badge), Some(PortRange { first, last }));
            for at in first - 5..=last.saturating_add(5) {
                for width in PortWidth::ALL {
                    let end = u64::from(at) + width as u64;
                    let expected = match () {
                        () if end > 0x1_0000 => Err(Error::InvalidArgument),
                        () if at >= first && end <= u64::from(last) + 1 => Ok(()),
                        () => Err(Error::InvalidAddress),
                    };
                    let read = devices::read(port, at, width).await.map(|_| ());
                    assert_eq!(read, expected, "{at:#x} {width:?} of {first:#x}");
                    assert_eq!(devices::write(port, at, width, 0).await, expected);
                }
            }
        }
    });
}

#[test]
fn the_kernels_own_ports_are_nobodys() {
    run(|system| async move {
        let before = registry::live(ObjectKind::IoPort);
        for (first, last) in [(OWN, OWN), (0, OWN), (OWN + 1, 0xffff), (0, 0xffff)] {
            let refused = devices::ports(system, first, last).await;
            assert_eq!(refused, Err(Error::InvalidAddress));
        }
        assert_eq!(registry::live(ObjectKind::IoPort), before);
        devices::ports(system, 0, OWN - 1).await.unwrap();
        devices::ports(system, OWN + 2, 0xffff).await.unwrap();
    });
}

#[test]
fn ports_need_their_rights_and_their_kind() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let powerless = system(&process, Rights::all().difference(Rights::DEVICES));
    let (_, other) = endpoint(&process);
    let ports = io_port::give(PortRange { first: 5, last: 9 }, &process.quota).unwrap();
    let all = process.install(ports).unwrap();
    run_in(&mut kernel, &process, async move {
        assert_eq!(devices::ports(powerless, 5, 5).await, Err(Error::MissingRights));
        assert_eq!(devices::ports(all, 5, 5).await, Err(Error::WrongKind));
        assert_eq!(devices::read(other, 5, Byte).await, Err(Error::WrongKind));
        assert_eq!(devices::write(other, 5, Byte, 0).await, Err(Error::WrongKind));
        assert_eq!(devices::narrow(other, 5, 5).await, Err(Error::WrongKind));
        let own = CapSlot::NULL;
        let reads = user::copy(all, own, Rights::READ, 0).await.unwrap();
        let writes = user::copy(all, own, Rights::WRITE, 0).await.unwrap();
        assert!(devices::read(reads, 9, Byte).await.is_ok());
        assert_eq!(devices::write(reads, 5, Byte, 0).await, Err(Error::MissingRights));
        assert_eq!(devices::read(writes, 5, Byte).await, Err(Error::MissingRights));
        assert!(devices::write(writes, 5, Byte, 0).await.is_ok());
        assert_eq!(devices::narrow(reads, 5, 5).await, Err(Error::MissingRights));
        let badged = user::copy(all, own, Rights::all(), 1 << 16 | 5).await;
        assert_eq!(badged, Err(Error::AlreadyBadged));
        for slot in [own, CapSlot::from_bits(u64::MAX)] {
            assert_eq!(devices::read(slot, 5, Byte).await, Err(Error::EmptySlot));
            assert_eq!(devices::write(slot, 5, Byte, 0).await, Err(Error::EmptySlot));
            assert_eq!(devices::narrow(slot, 5, 5).await, Err(Error::EmptySlot));
        }
    });
}

/// From one process to another, and all the way down; a revoke takes them all.
#[test]
fn a_narrower_range_is_derived_as_a_copy_is() {
    let mut kernel = Kernel::boot();
    let (owner, user) = (kernel.process("owner"), kernel.process("user"));
    let ports = io_port::give(PortRange { first: 0, last: OWN - 1 }, &owner.quota).unwrap();
    let root = owner.install(ports).unwrap();
    let to = grant(&owner, &user, Rights::MANAGE, 0);
    // The owner ends.
    grant(&kernel.init, &user, Rights::MANAGE, 0);
    run_in(&mut kernel, &owner, async move {
        let part = devices::narrow(root, 4, 11).await.unwrap();
        user::copy(part, to, Rights::READ | Rights::GRANT, 0).await.unwrap();
        // What it was derived from may go.
        user::close(part).await.unwrap();
    });
    run_in(&mut kernel, &user, async move {
        let part = CapSlot::new(0, 1);
        assert_eq!(devices::read(part, 8, Double).await, Ok(0xffff_ffff));
        assert_eq!(devices::read(part, 9, Double).await, Err(Error::InvalidAddress));
        assert_eq!(devices::narrow(part, 3, 11).await, Err(Error::InvalidAddress));
        assert_eq!(devices::narrow(part, 4, 12).await, Err(Error::InvalidAddress));
        let mut last = devices::narrow(part, 4, 11).await.unwrap();
        // What it was derived from has gone.
        let mut depth = 1;
        let error = loop {
            match devices::narrow(last, 5, 6).await {
                Ok(next) => last = next,
                Err(error) => break error,
            }
            depth += 1;
        };
        assert_eq!((error, depth), (Error::TooDeep, 64));
        assert_eq!(devices::write(last, 5, Byte, 0).await, Err(Error::MissingRights));
        assert!(devices::read(last, 5, Word).await.is_ok());
        // It is not its own end that is revoked.
        user::control(Syscall::CapabilityRevoke, [part.bits(), 1, 0, 0]).await.unwrap();
        assert!(devices::read(last, 5, Word).await.is_ok(), "a range is no badge");
        user::revoke(part).await.unwrap();
        assert_eq!(devices::read(last, 5, Word).await, Err(Error::StaleCapability));
        assert!(devices::read(part, 4, Byte).await.is_ok());
    });
}

#[test]
fn a_full_quota_makes_no_ports() {
    run(|system| async move {
        let error = loop {
            if let Err(error) = devices::ports(system, 5, 5).await {
                break error;
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
        let live = registry::live(ObjectKind::IoPort);
        assert_eq!(devices::ports(system, 5, 5).await, Err(Error::QuotaExceeded));
        assert_eq!(registry::live(ObjectKind::IoPort), live);
    });
}
