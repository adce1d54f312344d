//! What a trace is told of threads.
#![forbid(unsafe_code)]

use orbital_abi::trace::EventKind;

use super::Tcb;
use crate::trace::{self, Who};

impl Tcb {
    /// It, for a trace.
    pub fn who(&self) -> Who {
        Who { thread: self.id.0, process: self.process.id }
    }

    /// Something has happened to it that is kept only where everything is.
    #[inline(always)]
    pub fn trace(&self, kind: EventKind, argument: u64) {
        if trace::is_detailed() {
            self.traced(kind, argument);
        }
    }

    #[cold]
    #[inline(never)]
    fn traced(&self, kind: EventKind, argument: u64) {
        trace::note(kind, self.who(), [argument, 0, 0]);
    }
}
