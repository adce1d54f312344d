//! Copies from user memory: what a program names is a claim, and no claim harms the kernel.
#![forbid(unsafe_code)]

use kernel::{
    arch::{Access, copy_from_user, direct_map},
    vm::AddressSpace,
};
use orbital_abi::{
    Error,
    layout::{PAGE_SIZE, USER_END, USER_START},
};

use super::{address_space::Fixture, kernel_test, loaded};

const REFUSED: Result<(), Error> = Err(Error::InvalidAddress);
const ADDRESS: u64 = 0x40_0000;

kernel_test! {
    /// Null, kernel addresses, ranges that wrap round or leave user space are refused, and the buffer
    /// stays as it was.
    fn claims_outside_user_space_are_refused() {
        let fixture = Fixture::new();
        fixture.map(USER_END - PAGE_SIZE, Access::Read);
        fixture.space.enter();
        let local = 0_u64;
        let mut buffer = [0x55; 8];
        for address in [
            0,
            1,
            USER_START - 1,
            USER_START - 8,
            USER_END - 7,
            USER_END,
            1 << 47,
            0x8000_0000_0000_0000,
            0xffff_7fff_ffff_fff8,
            direct_map::address(0),
            direct_map::address(loaded::physical(loaded::text()).start),
            loaded::text().start,
            &raw const local as u64,
            u64::MAX - 8,
            u64::MAX - 7,
            u64::MAX - 3,
            u64::MAX,
        ] {
            assert_eq!(copy_from_user(&mut buffer, address), REFUSED, "{address:#x}");
            assert_eq!(buffer, [0x55; 8], "{address:#x}");
        }
        assert_eq!(copy_from_user(&mut buffer, USER_END - 8), Ok(()));
        fixture.leave();
        fixture.close();
    }
}

kernel_test! {
    /// User addresses that are not mapped are refused, whichever tables are loaded.
    fn unmapped_claims_are_refused() {
        let mut buffer = [0; 64];
        let addresses = [USER_START, 0x10_0000, 0x10_0ff8, ADDRESS, 1 << 39, USER_END - 64];
        for address in addresses {
            assert_eq!(copy_from_user(&mut buffer, address), REFUSED, "{address:#x}");
        }
        let fixture = Fixture::new();
        fixture.space.enter();
        for address in addresses {
            assert_eq!(copy_from_user(&mut buffer, address), REFUSED, "{address:#x}");
        }
        fixture.leave();
        fixture.close();
    }
}

kernel_test! {
    /// A copy gives the bytes that are there, with every access, over page borders, and of any length.
    fn copies_give_what_is_there() {
        let fixture = Fixture::new();
        let mut at = ADDRESS;
        for access in [Access::Read, Access::ReadWrite, Access::ReadExecute] {
            let object = fixture.object(2);
            let bytes: [u8; 256] = core::array::from_fn(|n| n as u8);
            // The frames are apart, so the border is one between any two.
            direct_map::write(object.frame(0).unwrap(), 4096 - 128, &bytes[..128]);
            direct_map::write(object.frame(1).unwrap(), 0, &bytes[128..]);
            fixture.map_object(&object, at, access).unwrap();
            fixture.space.enter();
            let start = at + 4096 - 128;
            for length in 0..=256 {
                for skip in [0, 1, 127, 128, 129].into_iter().filter(|skip| skip + length <= 256) {
                    let mut buffer = [0xee; 256];
                    let address = start + skip as u64;
                    assert_eq!(copy_from_user(&mut buffer[..length], address), Ok(()));
                    assert_eq!(buffer[..length], bytes[skip..skip + length]);
                    assert!(buffer[length..].iter().all(|byte| *byte == 0xee));
                }
            }
            at += 2 * PAGE_SIZE;
        }
        fixture.leave();
        fixture.close();
    }
}

kernel_test! {
    /// A range of which one page is missing is refused, wherever that page lies.
    fn a_hole_in_a_range_is_refused() {
        let fixture = Fixture::new();
        for page in [0, 1, 3, 4] {
            fixture.map(ADDRESS + page * PAGE_SIZE, Access::Read);
        }
        fixture.space.enter();
        let mut buffer = alloc::vec![0; 5 * 4096];
        let page = |n: u64| ADDRESS + n * PAGE_SIZE;
        for (address, length, result) in [
            (page(0), 2 * 4096, Ok(())),
            (page(0), 2 * 4096 + 1, REFUSED),
            (page(1), 5 * 4096 - 4096, REFUSED),
            (page(3) - 1, 2, REFUSED),
            (page(2), 1, REFUSED),
            (page(3), 2 * 4096, Ok(())),
            (page(4) + 4095, 2, REFUSED),
            (page(0) - 1, 2, REFUSED),
        ] {
            let found = copy_from_user(&mut buffer[..length], address);
            assert_eq!(found, result, "{length} at {address:#x}");
        }
        fixture.leave();
        fixture.close();
    }
}

kernel_test! {
    /// What was unmapped is out of reach at once, and what comes in its place is seen at once.
    fn translations_are_not_remembered() {
        let fixture = Fixture::new();
        fixture.space.enter();
        for round in 1..=5 {
            let frame = fixture.map(ADDRESS, Access::Read);
            direct_map::write(frame, 0, &[round]);
            let mut byte = [0];
            assert_eq!(copy_from_user(&mut byte, ADDRESS), Ok(()));
            assert_eq!(byte, [round]);
            fixture.unmap(ADDRESS, 1);
            assert_eq!(copy_from_user(&mut byte, ADDRESS), REFUSED);
        }
        fixture.leave();
        fixture.close();
    }
}

kernel_test! {
    /// Two address spaces see memory of their own at the same address, and none when they have none.
    fn address_spaces_are_apart() {
        let spaces = [Fixture::new(), Fixture::new(), Fixture::new()];
        for (fixture, value) in spaces[..2].iter().zip(1..) {
            direct_map::write(fixture.map(ADDRESS, Access::ReadWrite), 0, &[value]);
        }
        for _ in 0..3 {
            for (fixture, value) in spaces.iter().zip(1..) {
                fixture.space.enter();
                let mut byte = [0];
                let result = copy_from_user(&mut byte, ADDRESS);
                let expected = if value < 3 { (Ok(()), [value]) } else { (REFUSED, [0]) };
                assert_eq!((result, byte), expected);
            }
            AddressSpace::leave();
            assert_eq!(copy_from_user(&mut [0], ADDRESS), REFUSED, "the kernel's own tables");
        }
        spaces.into_iter().for_each(Fixture::close);
    }
}
