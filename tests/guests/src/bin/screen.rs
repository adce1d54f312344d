//! The framebuffer: a picture on it, where the loader has set one up. The tests of the command line boot this by GRUB,
//! and look at the screen.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use guests::suite;
use orbital_user::{
    Error, MemoryObject,
    abi::{arguments::DeviceCache, framebuffer::Framebuffer, layout::PAGE_SIZE},
    clock,
    memory::MappingMut,
    println,
    system::framebuffer,
};

suite! {
    cases: [without_a_loader_that_draws_there_is_none],
    roles: [draws],
}

/// QEMU, which loads the kernel of each test itself, sets up nothing.
fn without_a_loader_that_draws_there_is_none() {
    assert_eq!(framebuffer(), Err(Error::InvalidAddress));
}

/// The colour of a place: a quarter of the screen each.
fn colour(screen: &Framebuffer, x: u32, y: u32) -> u32 {
    match (x < screen.width / 2, y < screen.height / 2) {
        (true, true) => screen.pixel(255, 0, 0),
        (false, true) => screen.pixel(0, 255, 0),
        (true, false) => screen.pixel(0, 0, 255),
        (false, false) => screen.pixel(255, 255, 255),
    }
}

/// Does `deed` with the bytes of each pixel, and those that it shall have.
fn each_pixel(screen: &Framebuffer, bytes: &mut [u8], mut deed: impl FnMut(&mut [u8], &[u8])) {
    let size = screen.pixel_bytes() as usize;
    for (y, line) in (0..screen.height).zip(bytes.chunks_mut(screen.pitch as usize)) {
        for (x, pixel) in (0..screen.width).zip(line.chunks_exact_mut(size)) {
            deed(pixel, &colour(screen, x, y).to_le_bytes()[..size]);
        }
    }
}

fn map(screen: &Framebuffer) -> (MappingMut, usize) {
    let offset = screen.address % PAGE_SIZE;
    let bytes = (offset + screen.bytes()).next_multiple_of(PAGE_SIZE);
    let start = screen.address - offset;
    let device = MemoryObject::device(start, bytes, DeviceCache::WriteCombining).unwrap();
    (device.map_write(bytes).unwrap(), offset as usize)
}

/// Draws, sees that it is there, says so, and leaves it.
fn draws() {
    let screen = framebuffer().unwrap();
    {
        let (mut mapped, offset) = map(&screen);
        each_pixel(&screen, &mut mapped[offset..], |pixel, wanted| pixel.copy_from_slice(wanted));
    }
    let (mut mapped, offset) = map(&screen);
    each_pixel(&screen, &mut mapped[offset..], |pixel, wanted| assert_eq!(pixel, wanted));
    println!("drawn, {}x{}", screen.width, screen.height);
    clock::sleep_until(u64::MAX);
}
