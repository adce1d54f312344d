//! What keys type: the bytes that a VT100, or xterm where that has no such key, would send.
#![forbid(unsafe_code)]

use pc_keyboard::{
    DecodedKey, HandleControl, KeyCode, PS2Keyboard, ScancodeSet1, layouts::Us104Key,
};

/// Makes bytes of scan codes.
pub struct Keys(PS2Keyboard<Us104Key, ScancodeSet1>);

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

impl Keys {
    /// No key is down. The layout is that of a keyboard in the United States, the scan codes those of set 1, into which the
    /// controller translates.
    pub const fn new() -> Self {
        let control = HandleControl::MapLettersToUnicode;
        Self(PS2Keyboard::new(ScancodeSet1::new(), Us104Key, control))
    }

    /// The controller gave this: hands on what is typed by it. Codes of no key are passed over.
    pub fn scanned(&mut self, code: u8, mut typed: impl FnMut(u8)) {
        let event = self.0.add_byte(code).ok().flatten();
        match event.and_then(|event| self.0.process_keyevent(event)) {
            Some(DecodedKey::Unicode(character)) => {
                let mut buffer = [0; 4];
                let bytes = match character {
                    '\n' => "\r",
                    '\u{8}' => "\x7f",
                    '\u{7f}' => "\x1b[3~",
                    other => other.encode_utf8(&mut buffer),
                };
                bytes.bytes().for_each(&mut typed);
            }
            Some(DecodedKey::RawKey(key)) => sequence(key).bytes().for_each(&mut typed),
            None => {}
        }
    }
}

fn sequence(key: KeyCode) -> &'static str {
    match key {
        KeyCode::ArrowUp => "\x1b[A",
        KeyCode::ArrowDown => "\x1b[B",
        KeyCode::ArrowRight => "\x1b[C",
        KeyCode::ArrowLeft => "\x1b[D",
        KeyCode::Home => "\x1b[H",
        KeyCode::End => "\x1b[F",
        KeyCode::Insert => "\x1b[2~",
        KeyCode::PageUp => "\x1b[5~",
        KeyCode::PageDown => "\x1b[6~",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What these scan codes of set 1 type.
    fn typed(codes: &[u8]) -> String {
        let mut keys = Keys::new();
        let mut bytes = Vec::new();
        for code in codes {
            keys.scanned(*code, |byte| bytes.push(byte));
        }
        String::from_utf8(bytes).unwrap()
    }

    const PRESSED: u8 = 0;
    const RELEASED: u8 = 0x80;
    const SHIFT: u8 = 0x2a;
    const CONTROL: u8 = 0x1d;
    const A: u8 = 0x1e;
    const C: u8 = 0x2e;

    #[test]
    fn letters_with_and_without_shift() {
        assert_eq!(typed(&[A, A | RELEASED, C]), "ac");
        assert_eq!(typed(&[SHIFT, A, A | RELEASED, SHIFT | RELEASED, C | PRESSED]), "Ac");
    }

    #[test]
    fn control_letters() {
        assert_eq!(typed(&[CONTROL, C, C | RELEASED, CONTROL | RELEASED, C]), "\u{3}c");
        assert_eq!(typed(&[CONTROL, A]), "\u{1}");
    }

    #[test]
    fn return_backspace_tab_and_space() {
        assert_eq!(typed(&[0x1c, 0x0e, 0x0f, 0x39]), "\r\x7f\t ");
    }

    #[test]
    fn keys_with_sequences() {
        for (code, expected) in [
            (0x48, "\x1b[A"),
            (0x50, "\x1b[B"),
            (0x4d, "\x1b[C"),
            (0x4b, "\x1b[D"),
            (0x47, "\x1b[H"),
            (0x4f, "\x1b[F"),
            (0x53, "\x1b[3~"),
        ] {
            assert_eq!(typed(&[0xe0, code, 0xe0, code | RELEASED]), expected, "{code:#x}");
        }
    }

    #[test]
    fn codes_of_no_key_type_nothing() {
        assert_eq!(typed(&[0xfa, 0xfe, 0x00, 0xff, 0xe1]), "");
        let mut keys = Keys::new();
        for code in (0..=u8::MAX).chain(0..=u8::MAX) {
            keys.scanned(code, |_| {});
        }
    }
}
