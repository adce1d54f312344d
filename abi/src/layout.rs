//! Numbers of the address space that user programs may rely on.

/// Size of a page in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// The lowest address that can be mapped: page 0 stays empty, so that a null pointer faults.
pub const USER_START: u64 = PAGE_SIZE;

/// One past the highest address that can be mapped. The last page of the lower half stays empty:
/// a `syscall` instruction at its end would leave a non-canonical return address.
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;

/// Where init's initial stack ends (its highest address), in bytes.
pub const STACK_TOP: u64 = 0x0000_7fff_fff0_0000;

/// Size of that stack in bytes; the page below it stays empty.
pub const STACK_SIZE: u64 = 64 * 1024;

/// Where the kernel maps init's [`Bootstrap`](crate::bootstrap::Bootstrap).
pub const BOOTSTRAP_ADDRESS: u64 = 0x0000_7fff_fff8_0000;

/// Where the kernel maps message pages for which no address is named: programs that map elsewhere never get in
/// the way.
pub const MESSAGE_PAGES: core::ops::Range<u64> = 0x7000_0000_0000..0x7f00_0000_0000;
