//! The console's clients: what they write goes to the line and the screen, what is typed goes to the one who reads.
//!
//! ```text
//!              1: nothing typed                 3: something typed
//!   a client ───────────────────► reads, kept ─────────────────────► answered
//!       │ 2: something typed                     4: another reads
//!       └────────────────────────────────────────────────────────────►
//! ```
//! 1. Its call is kept. 2. It is answered at once. 3. By an interrupt. 4. It is told that someone else reads now. A reader
//! that is gone is found out by answering it, and what it was to get is kept for the next.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use orbital_user::{
    Error, Interrupt, IoPort, Notification, Reply,
    memory::MappingMut,
    rpc::{self, Call, Server},
};

use super::{
    acts::Style, i8042::Keyboard, input::Input, keys::Keys, screen::Screen, text, uart::Uart,
};
use crate::protocol::{
    console::{Answer, Question, READ},
    may,
};

/// The signal of the serial line's interrupt.
pub const SERIAL: u64 = 1 << 0;
/// The signal of the keyboard's.
pub const KEYBOARD: u64 = 1 << 1;

/// How large a terminal on the serial line is taken to be, in columns and rows: it does not say.
const TERMINAL: (u16, u16) = (80, 24);

/// Ends a sequence in the middle (ECMA-48).
const CANCEL: u8 = 0x18;

/// A keyboard and its interrupt.
pub struct Typewriter {
    /// The controller.
    pub keyboard: Keyboard<IoPort, IoPort>,
    /// What its codes mean.
    pub keys: Keys,
    /// Signals [`KEYBOARD`].
    pub interrupt: Interrupt,
}

/// All of the console.
pub struct Console {
    uart: Uart<IoPort>,
    interrupt: Interrupt,
    typewriter: Option<Typewriter>,
    screen: Option<Screen<MappingMut>>,
    style: Style,
    input: Input,
    reader: Option<Reply>,
    failed: Option<Error>,
}

impl Console {
    /// The console of these devices, to be [told](Console::listen) of their interrupts.
    pub fn new(
        uart: Uart<IoPort>,
        interrupt: Interrupt,
        typewriter: Option<Typewriter>,
        screen: Option<Screen<MappingMut>>,
    ) -> Self {
        let (input, style) = (Input::new(), Style::PLAIN);
        Self { uart, interrupt, typewriter, screen, style, input, reader: None, failed: None }
    }

    /// Has the devices signal `notification` from here on.
    ///
    /// # Errors
    /// Those of [`Interrupt::bind`], and of the ports.
    pub fn listen(&mut self, notification: &Notification) -> Result<(), Error> {
        self.interrupt.bind(notification, SERIAL)?;
        if let Some(Typewriter { interrupt, .. }) = &self.typewriter {
            interrupt.bind(notification, KEYBOARD)?;
        }
        // Of what they had by then there may have been an interrupt that nobody took.
        self.take(SERIAL | KEYBOARD)
    }

    /// Begins a fresh row, whatever stood on the line before: a console before this one may have ended in the middle of a
    /// sequence.
    ///
    /// # Errors
    /// Those of the serial line's ports.
    pub fn begin(&mut self) -> Result<(), Error> {
        let input = &mut self.input;
        self.uart.send(&[CANCEL], |byte| input.push(byte))?;
        self.show("\n")
    }

    /// Shows `text`.
    ///
    /// # Errors
    /// Those of the serial line's ports.
    pub fn show(&mut self, text: &str) -> Result<(), Error> {
        let (mut bytes, screen) = (Vec::with_capacity(text.len()), &mut self.screen);
        text::read(text, &mut self.style, |act| {
            act.encode(&mut bytes);
            if let Some(screen) = screen {
                screen.apply(act);
            }
        });
        if let Some(screen) = screen {
            screen.draw();
        }
        let input = &mut self.input;
        self.uart.send(&bytes, |byte| input.push(byte))?;
        self.answer_reader();
        Ok(())
    }

    /// Gives what was typed to who waits for it.
    fn answer_reader(&mut self) {
        if self.reader.is_none() {
            return;
        }
        let Some(typed) = self.input.take() else { return };
        let Some(reply) = self.reader.take() else { return };
        let answer = Answer::Typed(typed);
        if let (Err(_), Answer::Typed(typed)) = (rpc::answer(reply, &answer), answer) {
            self.input.put_back(&typed);
        }
    }

    /// Takes what the devices have that `signals` names; each is empty when its interrupt is acknowledged, so what comes
    /// afterwards interrupts again.
    fn take(&mut self, signals: u64) -> Result<(), Error> {
        let input = &mut self.input;
        if signals & SERIAL != 0 {
            self.uart.drain(|byte| input.push(byte))?;
            self.interrupt.acknowledge()?;
        }
        if let Some(Typewriter { keyboard, keys, interrupt }) = &mut self.typewriter
            && signals & KEYBOARD != 0
        {
            keyboard.drain(|code| keys.scanned(code, |byte| input.push(byte)))?;
            interrupt.acknowledge()?;
        }
        Ok(())
    }

    fn read(&mut self) -> rpc::Answer<Answer> {
        if let Some(before) = self.reader.take() {
            // It may be gone.
            let _ = rpc::answer(before, &Answer::Nothing);
        }
        if let Some(typed) = self.input.take() {
            return rpc::Answer::Reply(Answer::Typed(typed));
        }
        // Where there is no room to keep it, it is dropped, and its client may ask again.
        self.reader = Reply::keep().ok();
        rpc::Answer::Later
    }

    /// Why the devices are of no use any more, once they are not.
    pub fn failed(&self) -> Option<Error> {
        self.failed
    }

    fn note(&mut self, result: Result<(), Error>) {
        self.failed = self.failed.or(result.err());
    }
}

impl Server<Question, Answer> for Console {
    fn call(&mut self, call: Call<Question>) -> rpc::Answer<Answer> {
        let answer = match call.question {
            Question::Write(text) => {
                let shown = self.show(&text);
                self.note(shown);
                Answer::Done
            }
            Question::Read if !may(call.badge, READ) => Answer::NotAllowed,
            Question::Read => return self.read(),
            Question::Size => {
                let (columns, rows) = self.screen.as_ref().map_or(TERMINAL, Screen::size);
                Answer::Size(columns, rows)
            }
        };
        match self.failed {
            // Its devices were taken away: the end, and whoever started it may start it anew.
            Some(_) => rpc::Answer::Stop(answer),
            None => rpc::Answer::Reply(answer),
        }
    }

    fn signals(&mut self, bits: u64) {
        let taken = self.take(bits);
        self.note(taken);
        self.answer_reader();
    }
}
