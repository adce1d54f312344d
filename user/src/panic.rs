//! A program that panics says so and ends.
#![forbid(unsafe_code)]

use core::panic::PanicInfo;

/// The exit code of a program that panicked.
const EXIT_CODE: u64 = 101;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    crate::print::flush_at_end();
    crate::print::write(format_args!("{info}"));
    crate::start::end(EXIT_CODE)
}
