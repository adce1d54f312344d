//! Reads a client's text: characters, and the sequences that a shell's line editing needs. All else is left out.
//!
//! | in the text | what it does |
//! |---|---|
//! | `\n`, `\r`, `\t`, backspace | the next line, this line's beginning, the next multiple of eight, one place back |
//! | `ESC [ n A`, `B`, `C`, `D` | up, down, right, left by n |
//! | `ESC [ r ; c H` | to row r and column c, from 1 on |
//! | `ESC [ n K`, `J` | erase of the line, of the screen: 0 to the end, 1 to the cursor, 2 all |
//! | `ESC [ … m` | colours: 0 plain, 1 bright, 7 inverted, 30-37 and 90-97 text, 40-47 and 100-107 ground, 39 and 49 the usual ones |
#![forbid(unsafe_code)]

use vte::{Params, Parser, Perform};

use super::acts::{Act, Part, Style};

/// Hands each step of `text` to `act`. A sequence that does not end in it does nothing, and `style` is how the text begins
/// and then how it ends.
pub fn read(text: &str, style: &mut Style, act: impl FnMut(Act)) {
    let mut reader = Reader { style, act };
    // It keeps nothing of the strings that it would not hand on.
    Parser::<0>::default().advance(&mut reader, text.as_bytes());
}

struct Reader<'a, F> {
    style: &'a mut Style,
    act: F,
}

impl<F: FnMut(Act)> Perform for Reader<'_, F> {
    fn print(&mut self, character: char) {
        if !character.is_control() {
            (self.act)(Act::Show(character));
        }
    }

    fn execute(&mut self, byte: u8) {
        (self.act)(match byte {
            b'\n' => Act::EndLine,
            b'\r' => Act::Return,
            b'\t' => Act::Tab,
            8 => Act::Back,
            _ => return,
        });
    }

    fn csi_dispatch(&mut self, parameters: &Params, private: &[u8], is_cut: bool, end: char) {
        if is_cut || !private.is_empty() {
            return;
        }
        if end == 'm' {
            parameters.iter().for_each(|parameter| look(self.style, parameter));
            return (self.act)(Act::Look(*self.style));
        }
        let parameter = |index| parameters.iter().nth(index).and_then(|values| values.first());
        let number = parameter(0).copied().unwrap_or(0);
        let count = number.max(1);
        let acted = match end {
            'A' => Some(Act::Up(count)),
            'B' => Some(Act::Down(count)),
            'C' => Some(Act::Right(count)),
            'D' => Some(Act::Left(count)),
            'H' | 'f' => {
                let column = parameter(1).copied().unwrap_or(0).max(1);
                Some(Act::Place(count - 1, column - 1))
            }
            'K' => Part::from_number(number).map(Act::EraseLine),
            'J' => Part::from_number(number).map(Act::EraseScreen),
            _ => None,
        };
        if let Some(act) = acted {
            (self.act)(act);
        }
    }
}

/// What a parameter does to the style.
fn look(style: &mut Style, parameter: &[u16]) {
    let colour = |first: u16, number: u16| (number - first) as u8;
    match parameter {
        [0] => *style = Style::PLAIN,
        [1] => style.text |= 8,
        [7] => core::mem::swap(&mut style.text, &mut style.ground),
        [39] => style.text = Style::PLAIN.text,
        [49] => style.ground = Style::PLAIN.ground,
        &[number @ 30..=37] => style.text = style.text & 8 | colour(30, number),
        &[number @ 40..=47] => style.ground = colour(40, number),
        &[number @ 90..=97] => style.text = 8 | colour(90, number),
        &[number @ 100..=107] => style.ground = 8 | colour(100, number),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acts(text: &str) -> Vec<Act> {
        let mut acts = Vec::new();
        read(text, &mut Style::PLAIN.clone(), |act| acts.push(act));
        acts
    }

    /// What a terminal is sent for it.
    fn sent(text: &str) -> String {
        let mut out = Vec::new();
        acts(text).into_iter().for_each(|act| act.encode(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn characters_and_ends_of_lines() {
        assert_eq!(sent("one\ntwö\r\t\u{8}"), "one\r\ntwö\r\t\u{8}");
    }

    #[test]
    fn sequences_that_are_known() {
        let known = "\x1b[2A\x1b[1B\x1b[3C\x1b[4D\x1b[5;6H\x1b[0K\x1b[1K\x1b[2J";
        assert_eq!(sent(known), known);
        assert_eq!(acts("\x1b[H"), [Act::Place(0, 0)]);
        assert_eq!(
            acts("\x1b[K\x1b[J"),
            [Act::EraseLine(Part::ToEnd), Act::EraseScreen(Part::ToEnd)]
        );
        assert_eq!(acts("\x1b[0C"), [Act::Right(1)]);
    }

    #[test]
    fn colours() {
        assert_eq!(acts("\x1b[31m"), [Act::Look(Style { text: 1, ground: 0 })]);
        assert_eq!(acts("\x1b[1;31;44m"), [Act::Look(Style { text: 9, ground: 4 })]);
        assert_eq!(sent("\x1b[1;31;44mx\x1b[m"), "\x1b[0;91;44mx\x1b[0m");
        assert_eq!(acts("\x1b[7m"), [Act::Look(Style { text: 0, ground: 7 })]);
        assert_eq!(acts("\x1b[38:5:3m"), [Act::Look(Style::PLAIN)], "more colours than there are");
    }

    #[test]
    fn what_a_terminal_would_answer_or_remember_is_left_out() {
        for hostile in [
            "\x1b[6n",              // where is the cursor: the answer would be typed
            "\x1b[c",               // what are you
            "\x1b]0;title\x07",     // a title, which can be asked for
            "\x1b]52;c;aGk=\x07",   // the clipboard
            "\x1bP+q544e\x1b\\",    // a request of settings
            "\x1b[?1049h",          // another screen
            "\x1b[5i",              // print
            "\x1bc",                // reset
            "\x1b[3J",              // what has scrolled away
            "\x07\x0e\x0f\0\u{9b}", // bell, other characters, one-byte sequences
        ] {
            assert_eq!(sent(hostile), "", "{hostile:?}");
        }
    }

    #[test]
    fn half_a_sequence_is_none_and_takes_nothing_from_the_next_text() {
        for half in ["\x1b", "\x1b[", "\x1b[31", "\x1b]0;", "\x1bP"] {
            assert_eq!(sent(half), "", "{half:?}");
        }
        assert_eq!(sent("whole"), "whole");
    }

    proptest! {
        /// A terminal gets no other bytes than characters and sequences that this reads again as the same.
        #[test]
        fn what_is_sent_reads_as_what_was_meant(text in "(\\PC|[\\x00-\\x1f]|\x1b\\[[0-9;]{0,6}[A-Za-z]){0,40}") {
            let sent = sent(&text);
            let allowed = ['\r', '\n', '\t', '\u{8}', '\x1b'];
            let is_strange = |c: char| c.is_control() && !allowed.contains(&c);
            prop_assert!(!sent.contains(is_strange));
            prop_assert_eq!(acts(&sent.replace("\r\n", "\n")), acts(&text));
        }
    }
}
