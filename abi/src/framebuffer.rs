//! The framebuffer that the loader has set up, as [`SystemFramebuffer`](crate::Syscall::SystemFramebuffer) tells it.

use crate::Registers;

/// Where a colour stands in a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// Its lowest bit.
    pub position: u8,
    /// How many bits.
    pub bits: u8,
}

impl Channel {
    /// `value`, of which 255 is the brightest, as it stands in a pixel.
    pub const fn of(self, value: u8) -> u32 {
        let all = (1_u64 << self.bits) - 1;
        ((value as u64 * all / 255) << self.position) as u32
    }

    /// Whether it lies in a pixel of so many bits, which are 32 at most.
    pub const fn fits(self, bits: u8) -> bool {
        bits <= 32 && self.position as u32 + self.bits as u32 <= bits as u32
    }
}

/// A linear framebuffer, whose pixels are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// Physical address of the first pixel.
    pub address: u64,
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bytes from one line to the next.
    pub pitch: u32,
    /// Bits of a pixel, 32 at most. It begins at a whole byte.
    pub bits_per_pixel: u8,
    /// Where red stands.
    pub red: Channel,
    /// Where green stands.
    pub green: Channel,
    /// Where blue stands.
    pub blue: Channel,
}

impl Framebuffer {
    /// Bytes of a pixel.
    pub const fn pixel_bytes(&self) -> u64 {
        (self.bits_per_pixel as u64).div_ceil(8)
    }

    /// Bytes of all of it.
    pub const fn bytes(&self) -> u64 {
        self.pitch as u64 * self.height as u64
    }

    /// Whether it is one: it has pixels, its lines have room for them, its colours lie in them, and it ends before the
    /// addresses do.
    pub fn is_sound(&self) -> bool {
        let colours = [self.red, self.green, self.blue];
        self.width > 0
            && self.height > 0
            && colours.iter().all(|colour| colour.fits(self.bits_per_pixel))
            && u64::from(self.width) * self.pixel_bytes() <= self.pitch.into()
            && self.address.checked_add(self.bytes()).is_some()
    }

    /// A pixel of this colour, of which 255 is the brightest.
    pub const fn pixel(&self, red: u8, green: u8, blue: u8) -> u32 {
        self.red.of(red) | self.green.of(green) | self.blue.of(blue)
    }

    /// Into registers.
    pub fn encode(&self) -> Registers {
        let halves = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let colour = |Channel { position, bits }| u64::from(position) | u64::from(bits) << 8;
        Registers::control([
            self.address,
            halves(self.width, self.height),
            halves(self.pitch, self.bits_per_pixel.into()),
            colour(self.red) | colour(self.green) << 16 | colour(self.blue) << 32,
        ])
    }

    /// From registers: `None` for what is [none](Self::is_sound).
    pub fn decode(registers: &Registers) -> Option<Self> {
        let [address, size, line, colours] = registers.control;
        let colour = |place: u32| {
            let [position, bits] = ((colours >> (16 * place)) as u16).to_le_bytes();
            Channel { position, bits }
        };
        let found = Self {
            address,
            width: size as u32,
            height: (size >> 32) as u32,
            pitch: line as u32,
            bits_per_pixel: u8::try_from(line >> 32).ok()?,
            red: colour(0),
            green: colour(1),
            blue: colour(2),
        };
        (found.is_sound() && colours >> 48 == 0).then_some(found)
    }
}
