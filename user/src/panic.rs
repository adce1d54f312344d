//! A program that panics says so and ends.
#![forbid(unsafe_code)]

use core::panic::PanicInfo;

/// The exit code of a program that panicked.
const EXIT_CODE: u64 = 101;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    crate::println!("{info}");
    crate::start::exit(EXIT_CODE)
}
