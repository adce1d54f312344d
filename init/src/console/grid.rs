//! The characters on the screen, and the cursor.
#![forbid(unsafe_code)]

use alloc::{vec, vec::Vec};

use super::acts::{Act, Part, Style};

/// A place on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What stands there.
    pub character: char,
    /// How it looks.
    pub style: Style,
}

impl Cell {
    /// Nothing.
    pub const BLANK: Self = Self { character: ' ', style: Style::PLAIN };
}

/// All places, and where the cursor is.
#[derive(Debug)]
pub struct Grid {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
    /// The cursor's row.
    row: usize,
    /// Its column; behind the last one once that was written: the next character begins a new line.
    column: usize,
    style: Style,
}

impl Grid {
    /// An empty one, of at least one place.
    pub fn new(columns: u16, rows: u16) -> Self {
        let (columns, rows) = (usize::from(columns.max(1)), usize::from(rows.max(1)));
        let cells = vec![Cell::BLANK; columns * rows];
        Self { columns, rows, cells, row: 0, column: 0, style: Style::PLAIN }
    }

    /// All places, row by row.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Which of the places the cursor is at.
    pub fn cursor(&self) -> usize {
        self.row * self.columns + self.column.min(self.columns - 1)
    }

    /// Takes a step.
    pub fn apply(&mut self, act: Act) {
        let last = self.columns - 1;
        match act {
            Act::Show(character) => self.show(character),
            Act::EndLine => self.end_line(),
            Act::Return => self.column = 0,
            Act::Back => self.column = self.column.min(last).saturating_sub(1),
            Act::Tab => self.column = (self.column / 8 * 8 + 8).min(last),
            Act::Up(count) => self.row = self.row.saturating_sub(count.into()),
            Act::Down(count) => self.row = (self.row + usize::from(count)).min(self.rows - 1),
            Act::Right(count) => self.column = (self.column + usize::from(count)).min(last),
            Act::Left(count) => {
                self.column = self.column.min(last).saturating_sub(count.into());
            }
            Act::Place(row, column) => {
                self.row = usize::from(row).min(self.rows - 1);
                self.column = usize::from(column).min(last);
            }
            Act::EraseLine(part) => {
                let start = self.row * self.columns;
                self.erase(part, start, start + self.columns);
            }
            Act::EraseScreen(part) => self.erase(part, 0, self.cells.len()),
            Act::Look(style) => self.style = style,
        }
    }

    fn show(&mut self, character: char) {
        if self.column == self.columns {
            self.end_line();
        }
        let at = self.cursor();
        self.cells[at] = Cell { character, style: self.style };
        self.column += 1;
    }

    fn end_line(&mut self) {
        self.column = 0;
        if self.row + 1 < self.rows {
            self.row += 1;
            return;
        }
        self.cells.copy_within(self.columns.., 0);
        let last = self.cells.len() - self.columns;
        self.cells[last..].fill(Cell::BLANK);
    }

    fn erase(&mut self, part: Part, start: usize, end: usize) {
        let at = self.cursor();
        let range = match part {
            Part::ToEnd => at..end,
            Part::ToCursor => start..at + 1,
            Part::All => start..end,
        };
        self.cells[range].fill(Cell::BLANK);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::console::text;

    fn grid(text: &str) -> Grid {
        let mut grid = Grid::new(10, 4);
        text::read(text, &mut Style::PLAIN.clone(), |act| grid.apply(act));
        grid
    }

    /// The rows without what is blank behind their ends.
    fn rows(text: &str) -> Vec<String> {
        let grid = grid(text);
        let row = |cells: &[Cell]| cells.iter().map(|cell| cell.character).collect::<String>();
        grid.cells().chunks(10).map(|cells| row(cells).trim_end().to_owned()).collect()
    }

    #[test]
    fn lines_and_where_the_cursor_is() {
        assert_eq!(rows("one\ntwo"), ["one", "two", "", ""]);
        assert_eq!(grid("one\ntwo").cursor(), 13);
    }

    #[test]
    fn a_full_line_ends_with_the_next_character() {
        assert_eq!(rows("0123456789"), ["0123456789", "", "", ""]);
        assert_eq!(rows("0123456789x"), ["0123456789", "x", "", ""]);
        assert_eq!(rows("0123456789\nx"), ["0123456789", "x", "", ""]);
        assert_eq!(rows("0123456789\rx"), ["x123456789", "", "", ""]);
    }

    #[test]
    fn it_scrolls_at_the_end() {
        assert_eq!(rows("1\n2\n3\n4\n5"), ["2", "3", "4", "5"]);
        assert_eq!(rows("1\n2\n3\n4\n"), ["2", "3", "4", ""]);
    }

    #[test]
    fn the_cursor_moves_within_the_screen() {
        assert_eq!(rows("abc\x1b[2Dx"), ["axc", "", "", ""]);
        assert_eq!(rows("abc\u{8}\u{8}\u{8}\u{8}x"), ["xbc", "", "", ""]);
        assert_eq!(rows("\x1b[3;4Hx"), ["", "", "   x", ""]);
        assert_eq!(rows("\x1b[99;99Hx"), ["", "", "", "         x"]);
        assert_eq!(rows("\x1b[9B\x1b[2A\x1b[9Cx"), ["", "         x", "", ""]);
        assert_eq!(rows("a\tb"), ["a       b", "", "", ""]);
    }

    #[test]
    fn parts_are_erased() {
        let base = "aaa\nbbb\nccc\x1b[2;2H";
        let with = |sequence: &str| rows(&format!("{base}{sequence}"));
        assert_eq!(with("\x1b[K"), ["aaa", "b", "ccc", ""]);
        assert_eq!(with("\x1b[1K"), ["aaa", "  b", "ccc", ""]);
        assert_eq!(with("\x1b[2K"), ["aaa", "", "ccc", ""]);
        assert_eq!(with("\x1b[J"), ["aaa", "b", "", ""]);
        assert_eq!(with("\x1b[1J"), ["", "  b", "ccc", ""]);
        assert_eq!(with("\x1b[2J"), ["", "", "", ""]);
    }

    #[test]
    fn characters_keep_the_look_that_they_were_shown_with() {
        let grid = grid("a\x1b[31mb\x1b[0mc");
        let looks: Vec<_> = grid.cells()[..3].iter().map(|cell| cell.style.text).collect();
        assert_eq!(looks, [7, 1, 7]);
    }

    proptest! {
        #[test]
        fn no_text_leaves_the_screen(text in "(\\PC|[\\x00-\\x1f]|\x1b\\[[0-9;]{0,9}[A-Za-z]){0,80}", columns in 0_u16..12, rows in 0_u16..5) {
            let mut grid = Grid::new(columns, rows);
            text::read(&text, &mut Style::PLAIN.clone(), |act| grid.apply(act));
            prop_assert!(grid.cursor() < grid.cells().len());
        }
    }
}
