//! The line that is being typed, and those that were.
//!
//! | key | what it does |
//! |---|---|
//! | arrows left and right, Home, End, Ctrl-A, Ctrl-E | move the cursor |
//! | arrows up and down | lines from before |
//! | Backspace, Delete | erase a character, to the left or at the cursor |
//! | Ctrl-K, Ctrl-U, Ctrl-W | erase to the end, to the beginning, the word to the left |
//! | Ctrl-L | an empty screen |
//! | Ctrl-C | abandons the line |
//! | Ctrl-D | the end of input, on an empty line |
#![forbid(unsafe_code)]

use alloc::{collections::VecDeque, format, string::String, vec::Vec};

use super::keys::{Decoder, Key};

/// The most characters of a line.
pub const MOST: usize = 4096;
/// The most lines from before that are kept.
const HISTORY: usize = 100;

/// What typing has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A line is ready.
    Line(String),
    /// The line was abandoned.
    Abandoned,
    /// Someone wants to leave.
    EndOfInput,
    /// The screen is to be emptied.
    Clear,
}

/// A line that is edited.
#[derive(Default)]
pub struct Editor {
    decoder: Decoder,
    text: Vec<char>,
    /// Before which character the cursor stands, or behind the last.
    cursor: usize,
    history: VecDeque<String>,
    /// Which of the lines from before is shown, counted from the latest; and what was typed before it was.
    recalled: Option<(usize, Vec<char>)>,
}

impl Editor {
    /// A byte was typed.
    pub fn byte(&mut self, byte: u8) -> Option<Event> {
        let mut key = None;
        self.decoder.byte(byte, |pressed| key = Some(pressed));
        key.and_then(|key| self.key(key))
    }

    fn key(&mut self, key: Key) -> Option<Event> {
        match key {
            Key::Character(character) => self.insert(character),
            Key::Enter => return Some(Event::Line(self.finish())),
            Key::Backspace if self.cursor > 0 => self.erase(self.cursor - 1, self.cursor),
            Key::Delete => self.erase(self.cursor, self.cursor + 1),
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home | Key::Control('A') => self.cursor = 0,
            Key::End | Key::Control('E') => self.cursor = self.text.len(),
            Key::Up => self.recall(self.recalled.as_ref().map_or(0, |(index, _)| index + 1)),
            Key::Down => self.recall_later(),
            Key::Control('K') => self.text.truncate(self.cursor),
            Key::Control('U') => self.erase(0, self.cursor),
            Key::Control('W') => self.erase(self.word_start(), self.cursor),
            Key::Control('L') => return Some(Event::Clear),
            Key::Control('C') => {
                self.set(Vec::new());
                self.recalled = None;
                return Some(Event::Abandoned);
            }
            Key::Control('D') if self.text.is_empty() => return Some(Event::EndOfInput),
            Key::Control('D') => self.erase(self.cursor, self.cursor + 1),
            Key::Backspace | Key::Control(_) => {}
        }
        None
    }

    fn insert(&mut self, character: char) {
        if self.text.len() < MOST {
            self.text.insert(self.cursor, character);
            self.cursor += 1;
        }
    }

    fn erase(&mut self, from: usize, to: usize) {
        let to = to.min(self.text.len());
        if from < to {
            self.text.drain(from..to);
            self.cursor = from;
        }
    }

    /// Where the word to the left of the cursor begins.
    fn word_start(&self) -> usize {
        let before = &self.text[..self.cursor];
        let end = before.iter().rposition(|c| !c.is_whitespace()).unwrap_or(0);
        before[..end].iter().rposition(|c| c.is_whitespace()).map_or(0, |blank| blank + 1)
    }

    fn set(&mut self, text: Vec<char>) {
        self.cursor = text.len();
        self.text = text;
    }

    fn recall(&mut self, index: usize) {
        let Some(line) = self.history.get(index) else { return };
        let line = line.chars().collect();
        let typed = match self.recalled.take() {
            Some((_, typed)) => typed,
            None => core::mem::take(&mut self.text),
        };
        self.recalled = Some((index, typed));
        self.set(line);
    }

    fn recall_later(&mut self) {
        match self.recalled.take() {
            None => {}
            Some((0, typed)) => self.set(typed),
            Some((index, typed)) => {
                self.recalled = Some((index, typed));
                self.recall(index - 1);
            }
        }
    }

    /// Takes the line, and keeps it if it says something new.
    fn finish(&mut self) -> String {
        let line: String = core::mem::take(&mut self.text).into_iter().collect();
        self.cursor = 0;
        self.recalled = None;
        if !line.trim().is_empty() && self.history.front() != Some(&line) {
            self.history.truncate(HISTORY - 1);
            self.history.push_front(line.clone());
        }
        line
    }

    /// What shows the line behind `prompt` on a terminal of so many columns, in the row where the cursor stands. Of a line
    /// that is too long a part is shown, the one with the cursor.
    pub fn show(&self, prompt: &str, columns: usize) -> String {
        let before = prompt.chars().count();
        let room = columns.saturating_sub(before + 1).max(1);
        let start = if self.cursor < room { 0 } else { self.cursor + 1 - room };
        let part: String = self.text.iter().skip(start).take(room).collect();
        let behind = (self.text.len() - start).min(room) - (self.cursor - start);
        let mut shown = format!("\r{prompt}{part}\x1b[K");
        if behind > 0 {
            shown.push_str(&format!("\x1b[{behind}D"));
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::console::{acts::Style, grid::Grid, text};

    /// Types all of `bytes`; the events that come of it.
    fn type_into(editor: &mut Editor, bytes: &str) -> Vec<Event> {
        bytes.bytes().filter_map(|byte| editor.byte(byte)).collect()
    }

    /// The line that comes of typing this and Enter.
    fn line(bytes: &str) -> String {
        let mut editor = Editor::default();
        let mut events = type_into(&mut editor, &format!("{bytes}\r"));
        match events.pop() {
            Some(Event::Line(line)) if events.is_empty() => line,
            other => panic!("{other:?} after {events:?}"),
        }
    }

    #[test]
    fn characters_come_where_the_cursor_is() {
        assert_eq!(line("hello"), "hello");
        assert_eq!(line("hllo\x1b[D\x1b[D\x1b[De"), "hello");
        assert_eq!(line("ello\x01h\x05!"), "hello!");
        assert_eq!(line("ello\x1b[Hh\x1b[F!"), "hello!");
        assert_eq!(line("a\x1b[C\x1b[C\x1b[Cb"), "ab");
        assert_eq!(line("a\x1b[D\x1b[D\x1b[Db"), "ba");
    }

    #[test]
    fn characters_are_erased() {
        assert_eq!(line("helloo\x7f"), "hello");
        assert_eq!(line("hxello\x1b[H\x1b[C\x1b[3~"), "hello");
        assert_eq!(line("a\x7f\x7f\x7fb"), "b");
        assert_eq!(line("ab\x1b[3~"), "ab");
        assert_eq!(line("xab\x01\x04"), "ab", "Ctrl-D erases where there is something");
    }

    #[test]
    fn parts_are_erased() {
        assert_eq!(line("hello world\x1b[H\x1b[C\x0b"), "h");
        assert_eq!(line("hello world\x1b[D\x15"), "d");
        assert_eq!(line("one two  \x17"), "one ");
        assert_eq!(line("one two\x17\x17\x17x"), "x");
        assert_eq!(line("one two\x1b[D\x17"), "one o");
    }

    #[test]
    fn a_line_can_be_abandoned_and_input_ended() {
        let mut editor = Editor::default();
        let events = type_into(&mut editor, "abc\x03\x04x\r");
        let expected = [Event::Abandoned, Event::EndOfInput, Event::Line("x".to_owned())];
        assert_eq!(events, expected);
    }

    #[test]
    fn lines_from_before_come_again() {
        let mut editor = Editor::default();
        type_into(&mut editor, "one\rtwo\rtwo\r  \r");
        let mut after = |keys: &str| match type_into(&mut editor, &format!("{keys}\r")).pop() {
            Some(Event::Line(line)) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("\x1b[A"), "two");
        assert_eq!(after("\x1b[A\x1b[A"), "one", "the same line is kept once");
        assert_eq!(after("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A!"), "one!");
        assert_eq!(after("typed\x1b[A\x1b[B"), "typed");
        assert_eq!(after("\x1b[Bx"), "x");
        assert_eq!(after("\x1b[A\x1b[A\x1b[A\x1b[B"), "typed");
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut editor = Editor::default();
        for number in 0..2 * HISTORY {
            type_into(&mut editor, &format!("{number}\r"));
        }
        assert_eq!(editor.history.len(), HISTORY);
        assert_eq!(line(&"x".repeat(MOST + 10)).len(), MOST);
    }

    /// The row on the screen, and the cursor's column.
    fn screen(editor: &Editor, columns: u16) -> (String, usize) {
        let mut grid = Grid::new(columns, 2);
        let shown = editor.show("> ", columns.into());
        text::read(&shown, &mut Style::PLAIN.clone(), |act| grid.apply(act));
        let row = grid.cells().iter().map(|cell| cell.character).collect::<String>();
        (row.trim_end().to_owned(), grid.cursor())
    }

    #[test]
    fn the_line_is_shown_with_its_cursor() {
        let mut editor = Editor::default();
        type_into(&mut editor, "hello\x1b[D\x1b[D");
        assert_eq!(screen(&editor, 20), ("> hello".to_owned(), 5));
    }

    #[test]
    fn of_a_long_line_the_part_with_the_cursor_is_shown() {
        let mut editor = Editor::default();
        type_into(&mut editor, "0123456789");
        assert_eq!(screen(&editor, 10), ("> 456789".to_owned(), 8));
        type_into(&mut editor, "\x1b[H");
        assert_eq!(screen(&editor, 10), ("> 0123456".to_owned(), 2));
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_on_its_row(keys in "([a-z]|\x1b\\[[ABCDHF]|\x1b\\[3~|[\x01-\x1a\x7f]){0,60}", columns in 4_u16..30) {
            let mut editor = Editor::default();
            type_into(&mut editor, &keys);
            prop_assert!(editor.cursor <= editor.text.len());
            let (row, cursor) = screen(&editor, columns);
            prop_assert!(row.chars().count() < usize::from(columns), "{row}");
            prop_assert!(cursor >= 2 && cursor < usize::from(columns));
            let shown = row.chars().nth(cursor).unwrap_or(' ');
            prop_assert_eq!(editor.text.get(editor.cursor).copied().unwrap_or(' '), shown);
        }
    }
}
