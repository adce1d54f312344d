//! One I/O interrupt controller (Intel 82093AA data sheet, chapter 3): its inputs, and for each where its
//! interrupts go.

use core::ops::Range;

use super::window;

/// The registers in its page: the number of one, and what that holds.
const SELECT: u64 = 0;
const DATA: u64 = 0x10;
/// The numbers: the highest input stands in bits 16 to 23 of the version, and an input has two from `ENTRIES` on.
const VERSION: u32 = 1;
const ENTRIES: u32 = 0x10;

/// In the lower register of an input: its line is active while it is low.
pub const ACTIVE_LOW: u32 = 1 << 13;
/// It interrupts as long as the line is active, and not when it becomes so.
pub const LEVEL: u32 = 1 << 15;
/// It does not interrupt.
const MASKED: u32 = 1 << 16;
/// In the upper register: the bus number of the CPU begins here.
const TARGET_SHIFT: u32 = 24;

const PAGE: u64 = 4096;

/// A controller.
pub struct IoApic {
    /// Guards both registers: a number that is written holds for the next access.
    registers: spin::Mutex<Registers>,
    /// Its page, physically.
    page: u64,
    first: u32,
    inputs: u32,
}

struct Registers(u64);

impl Registers {
    fn read(&mut self, number: u32) -> u32 {
        // SAFETY: the controller's two registers, mapped for good; reading has no effect beside.
        unsafe {
            ((self.0 + SELECT) as *mut u32).write_volatile(number);
            ((self.0 + DATA) as *mut u32).read_volatile()
        }
    }

    fn write(&mut self, number: u32, value: u32) {
        // SAFETY: as above; what is written are inputs' entries, by which interrupts come at vectors that have
        // handlers.
        unsafe {
            ((self.0 + SELECT) as *mut u32).write_volatile(number);
            ((self.0 + DATA) as *mut u32).write_volatile(value);
        }
    }
}

impl IoApic {
    /// The controller whose registers are at `physical`, and whose first input has the number `first` among all. All
    /// its inputs are masked.
    ///
    /// # Panics
    /// Without memory: only at boot.
    pub fn new(physical: u64, first: u32) -> Self {
        let page = physical / PAGE * PAGE;
        let mut registers = Registers(window::map_device(page, PAGE) + physical % PAGE);
        let inputs = (registers.read(VERSION) >> 16 & 0xff) + 1;
        for input in 0..inputs {
            registers.write(ENTRIES + 2 * input, MASKED);
        }
        Self { registers: spin::Mutex::new(registers), page, first, inputs }
    }

    /// The physical addresses of its page.
    pub fn page(&self) -> Range<u64> {
        self.page..self.page + PAGE
    }

    /// The numbers of its inputs among those of all controllers.
    pub fn numbers(&self) -> Range<u32> {
        self.first..self.first.saturating_add(self.inputs)
    }

    fn entry(&self, number: u32) -> u32 {
        ENTRIES + 2 * (number - self.first)
    }

    /// From here on the input with this number interrupts as `mode` says (vector, polarity, trigger).
    pub fn unmask(&self, number: u32, mode: u32) {
        self.registers.lock().write(self.entry(number), mode);
    }

    /// From here on it does not.
    pub fn mask(&self, number: u32, mode: u32) {
        self.registers.lock().write(self.entry(number), mode | MASKED);
    }

    /// Its interrupts go to the CPU with this number on the bus. While it is masked.
    pub fn route(&self, number: u32, target: u8) {
        let entry = self.entry(number);
        self.registers.lock().write(entry + 1, u32::from(target) << TARGET_SHIFT);
    }
}
