//! The programs of a test, and the CPUs' part in running them: a program is a future, which goes on
//! when its thread has a CPU.
#![forbid(unsafe_code)]

use std::{
    cell::RefCell,
    collections::HashMap,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use orbital_abi::{Registers, Syscall};

use super::user::{self, Request};
use crate::{
    arch::{
        SavedRegisters, Trap,
        host::{Stop, clock, current_registers, entry},
        timer,
    },
    sched,
};

/// Where programs start; each has an address of its own.
const FIRST_ENTRY: u64 = 0x40_0000;

type Program = Pin<Box<dyn Future<Output = u64>>>;

/// A program and where it is.
struct Running {
    program: Program,
    doing: Doing,
}

enum Doing {
    /// Its own instructions: it can be polled.
    Computing,
    /// A system call; the answer stands in the registers once the thread runs again.
    Calling,
    /// So many nanoseconds of work.
    Working(u64),
}

/// All programs.
#[derive(Default)]
pub struct Programs(RefCell<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Option<Program>>,
    running: HashMap<u64, Running>,
}

/// What a CPU does after a program's turn.
enum Next {
    GoOn,
    Call(u64),
    Trap(Trap),
}

impl Programs {
    /// Keeps `program`, whose output is its exit code, for a thread that starts at the address.
    pub fn add(&self, program: impl Future<Output = u64> + 'static) -> u64 {
        let waiting = &mut self.0.borrow_mut().waiting;
        waiting.push(Some(Box::pin(program)));
        FIRST_ENTRY + waiting.len() as u64 - 1
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        self.0.take();
    }

    /// The thread that has the CPU goes on until it enters the kernel or has worked for a while.
    ///
    /// # Errors
    /// The [`Stop`] that kept the kernel from leaving again.
    pub fn turn(&self) -> Result<*mut SavedRegisters, Stop> {
        // The kernel is entered with nothing borrowed: meanwhile other CPUs may be played.
        match self.instructions() {
            Next::GoOn => Ok(current_registers()),
            Next::Call(number) => entry::syscall(number),
            Next::Trap(trap) => entry::trap(trap),
        }
    }

    fn instructions(&self) -> Next {
        let State { waiting, running } = &mut *self.0.borrow_mut();
        let current = sched::current();
        let entry = current.with_registers(|registers| registers.instruction_pointer());
        let thread = running.entry(current.id.0).or_insert_with(|| {
            let program = waiting[(entry - FIRST_ENTRY) as usize].take();
            Running { program: program.expect("a program runs once"), doing: Doing::Computing }
        });
        match thread.doing {
            Doing::Working(left) if left > 0 => {
                let step = timer::left().map_or(left, |until| until.min(left));
                clock::advance(step);
                thread.doing = Doing::Working(left - step);
                return if timer::take_expired() { Next::Trap(Trap::Timer) } else { Next::GoOn };
            }
            Doing::Working(_) | Doing::Computing => user::resume(Ok(Registers::default())),
            Doing::Calling => {
                if let Some(number) = current.with_registers(|registers| registers.take_again()) {
                    return Next::Call(number);
                }
                user::resume(current.with_registers(|registers| registers.answer()));
            }
        }
        let polled = thread.program.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let request = match polled {
            Poll::Ready(code) => {
                Request::Call(Syscall::ThreadExit as u64, Registers::control([code, 0, 0, 0]))
            }
            Poll::Pending => user::request(),
        };
        match request {
            Request::Call(number, registers) => {
                thread.doing = Doing::Calling;
                current.with_registers(|saved| saved.set_call(number, &registers));
                Next::Call(number)
            }
            Request::Work(nanoseconds) => {
                thread.doing = Doing::Working(nanoseconds);
                Next::GoOn
            }
            Request::Trap(trap) => {
                thread.doing = Doing::Computing;
                Next::Trap(trap)
            }
        }
    }
}
