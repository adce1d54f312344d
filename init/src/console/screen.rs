//! The screen: a [`Grid`]'s characters as pixels of a framebuffer. Only what has changed is drawn.
#![forbid(unsafe_code)]

use alloc::{vec, vec::Vec};
use core::{convert::Infallible, ops::DerefMut};

use embedded_graphics::{
    Pixel,
    draw_target::DrawTarget,
    geometry::{OriginDimensions, Point, Size},
    mono_font::{MonoFont, MonoTextStyleBuilder, iso_8859_1::FONT_9X15},
    pixelcolor::{Rgb888, RgbColor},
    text::{Baseline, Text},
};

use super::{
    acts::{Act, Colour, Style},
    grid::{Cell, Grid},
};

/// The characters' shapes.
pub const FONT: &MonoFont<'_> = &FONT_9X15;
/// A framebuffer is no larger than this on a side.
const MOST: usize = 16_384;

/// What the colours are: those of a VGA's text.
const PALETTE: [u32; 16] = [
    0x00_0000, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa,
    0x55_5555, 0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
];

/// How a framebuffer is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes from a row to the next.
    pub pitch: usize,
    /// Bytes of a pixel: 3 or 4.
    pub bytes: usize,
    /// Where the eight bits of red, green and blue stand in it: the lowest bit of each.
    pub shifts: [u8; 3],
}

impl Layout {
    /// How many bytes the framebuffer takes; `None` for a layout that makes no sense, or that this can't draw.
    pub fn size(&self) -> Option<usize> {
        let fits = (1..=MOST).contains(&self.width)
            && (1..=MOST).contains(&self.height)
            && matches!(self.bytes, 3 | 4)
            && self.shifts.iter().all(|shift| usize::from(*shift) + 8 <= self.bytes * 8);
        let row = self.width * self.bytes;
        (fits && self.pitch >= row).then(|| self.pitch.checked_mul(self.height)).flatten()
    }

    /// Reads `WIDTHxHEIGHT,PITCH,BITS,RED,GREEN,BLUE`, the last three the places of the colours' lowest bits.
    pub fn parse(text: &str) -> Option<Self> {
        let (sides, rest) = text.split_once(',')?;
        let (width, height) = sides.split_once('x')?;
        let mut numbers = rest.split(',').map(str::parse::<usize>);
        let mut next = || numbers.next()?.ok();
        let (pitch, bits) = (next()?, next()?);
        let mut shift = || u8::try_from(next()?).ok();
        let layout = Self {
            width: width.parse().ok()?,
            height: height.parse().ok()?,
            pitch,
            bytes: bits / 8,
            shifts: [shift()?, shift()?, shift()?],
        };
        let is_whole = bits % 8 == 0 && numbers.next().is_none();
        (is_whole && layout.size().is_some()).then_some(layout)
    }
}

/// The pixels.
struct Pixels<M> {
    memory: M,
    layout: Layout,
}

impl<M> OriginDimensions for Pixels<M> {
    fn size(&self) -> Size {
        Size::new(self.layout.width as u32, self.layout.height as u32)
    }
}

impl<M: DerefMut<Target = [u8]>> DrawTarget for Pixels<M> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        let Layout { width, height, pitch, bytes, shifts } = self.layout;
        for Pixel(Point { x, y }, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { continue };
            if x >= width || y >= height {
                continue;
            }
            let parts = [colour.r(), colour.g(), colour.b()];
            let value = parts
                .iter()
                .zip(shifts)
                .fold(0, |value, (part, shift)| value | u32::from(*part) << shift);
            let at = y * pitch + x * bytes;
            if let Some(pixel) = self.memory.get_mut(at..at + bytes) {
                pixel.copy_from_slice(&value.to_le_bytes()[..bytes]);
            }
        }
        Ok(())
    }
}

/// A framebuffer that shows text.
pub struct Screen<M> {
    pixels: Pixels<M>,
    grid: Grid,
    /// What is drawn at each place; `None` where that is not known.
    drawn: Vec<Option<Cell>>,
}

impl<M: DerefMut<Target = [u8]>> Screen<M> {
    /// Clears the framebuffer in `memory`; `None` where that is too small for what `layout` says, or the layout is none.
    pub fn new(memory: M, layout: Layout) -> Option<Self> {
        if memory.len() < layout.size()? {
            return None;
        }
        let size = FONT.character_size;
        let columns = u16::try_from(layout.width / size.width as usize).ok()?;
        let rows = u16::try_from(layout.height / size.height as usize).ok()?;
        let grid = Grid::new(columns, rows);
        let drawn = vec![None; grid.cells().len()];
        let mut pixels = Pixels { memory, layout };
        // It can't fail.
        let Ok(()) = pixels.clear(Rgb888::BLACK);
        Some(Self { pixels, grid, drawn })
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        (self.grid.columns() as u16, self.grid.rows() as u16)
    }

    /// Takes a step; it is seen once [`Screen::draw`] is called.
    pub fn apply(&mut self, act: Act) {
        self.grid.apply(act);
    }

    /// Draws what has changed.
    pub fn draw(&mut self) {
        let (columns, cursor) = (self.grid.columns(), self.grid.cursor());
        for (index, (cell, drawn)) in self.grid.cells().iter().zip(&mut self.drawn).enumerate() {
            let Style { text, ground } = cell.style;
            let inverted = Cell { style: Style { text: ground, ground: text }, ..*cell };
            let wanted = if index == cursor { inverted } else { *cell };
            if *drawn != Some(wanted) {
                draw_cell(&mut self.pixels, index % columns, index / columns, wanted);
                *drawn = Some(wanted);
            }
        }
    }
}

fn draw_cell(pixels: &mut impl DrawTarget<Color = Rgb888>, column: usize, row: usize, cell: Cell) {
    let size = FONT.character_size;
    let at = Point::new(column as i32 * size.width as i32, row as i32 * size.height as i32);
    let style = MonoTextStyleBuilder::new()
        .font(FONT)
        .text_color(rgb(cell.style.text))
        .background_color(rgb(cell.style.ground))
        .build();
    let mut buffer = [0; 4];
    let text = &*cell.character.encode_utf8(&mut buffer);
    // What has no shape in the font is shown as a question mark, by the font itself. Pixels can't fail.
    let _ = embedded_graphics::Drawable::draw(
        &Text::with_baseline(text, at, style, Baseline::Top),
        pixels,
    );
}

fn rgb(colour: Colour) -> Rgb888 {
    let [blue, green, red, _] = PALETTE[usize::from(colour % 16)].to_le_bytes();
    Rgb888::new(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::text;

    const LAYOUT: Layout =
        Layout { width: 100, height: 50, pitch: 416, bytes: 4, shifts: [16, 8, 0] };

    fn screen(layout: Layout) -> Screen<Vec<u8>> {
        Screen::new(vec![0x55; layout.size().unwrap()], layout).unwrap()
    }

    fn write(screen: &mut Screen<Vec<u8>>, text: &str) {
        text::read(text, &mut Style::PLAIN.clone(), |act| screen.apply(act));
        screen.draw();
    }

    /// The pixels of a place, as text: `#` where it is lit.
    fn shape(screen: &Screen<Vec<u8>>, column: usize, row: usize) -> String {
        let layout = screen.pixels.layout;
        let (width, height) = (9, 15);
        let mut shape = String::new();
        for y in row * height..(row + 1) * height {
            for x in column * width..(column + 1) * width {
                let at = y * layout.pitch + x * layout.bytes;
                let is_lit = screen.pixels.memory[at..at + 3].iter().any(|part| *part > 0);
                shape.push(if is_lit { '#' } else { '.' });
            }
            shape.push('\n');
        }
        shape
    }

    #[test]
    fn layouts_that_make_no_sense_are_refused() {
        assert_eq!(Layout::parse("100x50,416,32,16,8,0"), Some(LAYOUT));
        for text in [
            "",
            "100x50",
            "100,416,32,16,8,0",
            "0x50,416,32,16,8,0",
            "100x50,399,32,16,8,0",
            "100x50,416,16,16,8,0",
            "100x50,416,32,25,8,0",
            "100x50,416,33,16,8,0",
            "100x50,416,32,16,8",
            "100x50,416,32,16,8,0,1",
            "99999x50,416,32,16,8,0",
            "100x50,18446744073709551615,32,16,8,0",
            "100x50,416,32,300,8,0",
        ] {
            assert_eq!(Layout::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn too_little_memory_is_refused() {
        assert!(Screen::new(vec![0; 416 * 50 - 1], LAYOUT).is_none());
        assert!(Screen::new(vec![0; 416 * 50], LAYOUT).is_some());
    }

    #[test]
    fn characters_are_told_apart_and_blank_is_blank() {
        let mut screen = screen(LAYOUT);
        write(&mut screen, "ab a\n");
        let [a, b, blank, again] = [0, 1, 2, 3].map(|column| shape(&screen, column, 0));
        assert_eq!(a, again);
        assert_ne!(a, b);
        assert!(a.contains('#') && !blank.contains('#'));
    }

    #[test]
    fn the_cursor_is_seen_and_goes_on() {
        let mut screen = screen(LAYOUT);
        write(&mut screen, "a");
        assert!(!shape(&screen, 1, 0).contains('.'), "all of it is lit");
        write(&mut screen, "\r");
        assert!(!shape(&screen, 1, 0).contains('#'));
    }

    #[test]
    fn nothing_is_drawn_behind_the_rows_ends() {
        let mut screen = screen(LAYOUT);
        write(&mut screen, &"#".repeat(500));
        let outside = screen.pixels.memory.chunks(416).flat_map(|row| &row[400..]);
        assert!(outside.copied().all(|byte| byte == 0x55));
    }

    #[test]
    fn colours_stand_where_the_layout_says() {
        for (shifts, bytes, pixel) in [
            ([16, 8, 0], 4, [0, 0, 0xaa, 0].as_slice()),
            ([0, 8, 16], 4, &[0xaa, 0, 0, 0]),
            ([16, 8, 0], 3, &[0, 0, 0xaa]),
        ] {
            let mut screen = screen(Layout { bytes, shifts, ..LAYOUT });
            write(&mut screen, "\x1b[41m \n");
            assert_eq!(&screen.pixels.memory[..bytes], pixel);
        }
    }

    #[test]
    fn what_the_font_lacks_is_a_question_mark() {
        let mut screen = screen(LAYOUT);
        write(&mut screen, "?\u{4e2d}\n");
        assert_eq!(shape(&screen, 0, 0), shape(&screen, 1, 0));
    }
}
