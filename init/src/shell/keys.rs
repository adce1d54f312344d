//! Typed bytes as keys.
#![forbid(unsafe_code)]

use vte::{Params, Parser, Perform};

/// What a person pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to be written.
    Character(char),
    /// Control and this letter, in upper case, where that has no name below.
    Control(char),
    /// The end of the line.
    Enter,
    /// Erase to the left.
    Backspace,
    /// Erase at the cursor.
    Delete,
    /// Left.
    Left,
    /// Right.
    Right,
    /// Up.
    Up,
    /// Down.
    Down,
    /// To the beginning.
    Home,
    /// To the end.
    End,
}

/// Makes keys of bytes, which may come in any pieces.
#[derive(Default)]
pub struct Decoder {
    parser: Parser<0>,
}

impl Decoder {
    /// Hands on the keys that `byte` completes: none, or one.
    pub fn byte(&mut self, byte: u8, mut key: impl FnMut(Key)) {
        self.parser.advance(&mut Receiver(&mut key), &[byte]);
    }
}

struct Receiver<'a, F>(&'a mut F);

impl<F: FnMut(Key)> Perform for Receiver<'_, F> {
    fn print(&mut self, character: char) {
        match character {
            '\u{7f}' => (self.0)(Key::Backspace),
            other if other.is_control() => {}
            other => (self.0)(Key::Character(other)),
        }
    }

    fn execute(&mut self, byte: u8) {
        (self.0)(match byte {
            b'\r' | b'\n' => Key::Enter,
            8 | 0x7f => Key::Backspace,
            1..=26 => Key::Control(char::from(byte + 0x40)),
            _ => return,
        });
    }

    fn csi_dispatch(&mut self, parameters: &Params, private: &[u8], is_cut: bool, end: char) {
        if is_cut || !private.is_empty() {
            return;
        }
        let number = parameters.iter().next().and_then(|values| values.first().copied());
        (self.0)(match (end, number.unwrap_or(0)) {
            ('A', _) => Key::Up,
            ('B', _) => Key::Down,
            ('C', _) => Key::Right,
            ('D', _) => Key::Left,
            ('H', _) | ('~', 1 | 7) => Key::Home,
            ('F', _) | ('~', 4 | 8) => Key::End,
            ('~', 3) => Key::Delete,
            _ => return,
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        let mut keys = Vec::new();
        for byte in bytes {
            decoder.byte(*byte, |key| keys.push(key));
        }
        keys
    }

    #[test]
    fn characters_of_any_length() {
        assert_eq!(keys("aé中".as_bytes()), ['a', 'é', '中'].map(Key::Character));
    }

    #[test]
    fn keys_with_sequences() {
        let sequences = b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F\x1b[3~\x1b[1~\x1b[4~";
        let expected = [
            Key::Up,
            Key::Down,
            Key::Right,
            Key::Left,
            Key::Home,
            Key::End,
            Key::Delete,
            Key::Home,
            Key::End,
        ];
        assert_eq!(keys(sequences), expected);
        assert_eq!(keys(b"\x1b[5~\x1b[2~\x1b[Z\x1b[?1h"), [], "keys that do nothing");
    }

    #[test]
    fn control_letters() {
        assert_eq!(keys(b"\x01\x03\x15"), ['A', 'C', 'U'].map(Key::Control));
        assert_eq!(keys(b"\r\n\x08\x7f"), [Key::Enter, Key::Enter, Key::Backspace, Key::Backspace]);
    }

    #[test]
    fn a_control_letter_comes_through_half_a_sequence() {
        assert_eq!(keys(b"\x1b[\x03"), [Key::Control('C')]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            keys(&bytes);
        }
    }
}
