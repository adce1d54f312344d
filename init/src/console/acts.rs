//! What a text can do to a screen, one step each; and how a terminal on the serial line is told the same.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

/// A colour of the eight that terminals have, by its number; bright ones from 8 on.
pub type Colour = u8;

/// How characters look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Their colour.
    pub text: Colour,
    /// The colour behind them.
    pub ground: Colour,
}

impl Style {
    /// Light on black.
    pub const PLAIN: Self = Self { text: 7, ground: 0 };
}

/// Which part of a line or the screen is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From the cursor to the end.
    ToEnd,
    /// From the beginning to the cursor, inclusive.
    ToCursor,
    /// All.
    All,
}

/// A step. Counts are at least 1, places count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Show a character and move on.
    Show(char),
    /// Go to the beginning of the next line.
    EndLine,
    /// Go to the beginning of this one.
    Return,
    /// Go back by one.
    Back,
    /// Go to the next place that is a multiple of eight.
    Tab,
    /// Go up by so many.
    Up(u16),
    /// Go down.
    Down(u16),
    /// Go to the right.
    Right(u16),
    /// Go to the left.
    Left(u16),
    /// Go to this row and column.
    Place(u16, u16),
    /// Erase of the line.
    EraseLine(Part),
    /// Erase of the screen.
    EraseScreen(Part),
    /// What is shown from here on looks so.
    Look(Style),
}

impl Part {
    /// The parameter that means it.
    const fn number(self) -> u16 {
        match self {
            Self::ToEnd => 0,
            Self::ToCursor => 1,
            Self::All => 2,
        }
    }

    /// What the parameter means.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::ToEnd),
            1 => Some(Self::ToCursor),
            2 => Some(Self::All),
            _ => None,
        }
    }
}

impl Act {
    /// Adds what tells a terminal (ECMA-48).
    pub fn encode(self, out: &mut Vec<u8>) {
        let mut sequence = |text: core::fmt::Arguments<'_>| {
            out.extend_from_slice(alloc::format!("\x1b[{text}").as_bytes());
        };
        match self {
            Self::Show(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Self::EndLine => out.extend_from_slice(b"\r\n"),
            Self::Return => out.push(b'\r'),
            Self::Back => out.push(8),
            Self::Tab => out.push(b'\t'),
            Self::Up(count) => sequence(format_args!("{count}A")),
            Self::Down(count) => sequence(format_args!("{count}B")),
            Self::Right(count) => sequence(format_args!("{count}C")),
            Self::Left(count) => sequence(format_args!("{count}D")),
            Self::Place(row, column) => {
                sequence(format_args!("{};{}H", u32::from(row) + 1, u32::from(column) + 1));
            }
            Self::EraseLine(part) => sequence(format_args!("{}K", part.number())),
            Self::EraseScreen(part) => sequence(format_args!("{}J", part.number())),
            Self::Look(Style::PLAIN) => sequence(format_args!("0m")),
            Self::Look(Style { text, ground }) => {
                sequence(format_args!("0;{};{}m", colour(30, text), colour(40, ground)));
            }
        }
    }
}

/// The parameter for a colour, of text from 30 on, of the ground from 40 on; bright ones stand 60 further.
fn colour(first: u16, colour: Colour) -> u16 {
    let bright = if colour < 8 { 0 } else { 60 };
    first + bright + u16::from(colour % 8)
}
