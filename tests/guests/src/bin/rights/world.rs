//! Objects in use: who waits at them, and what can be seen of that.
#![forbid(unsafe_code)]

use guests::{
    bare::{Bare, Code, DATA, PAGE, Program, STACK_TOP},
    counters::Counters,
    raw,
    threads::{self, MIDDLE, at, caller, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, Interrupt, IoPort, IpcError, MemoryObject, Message,
    Notification, Reply, Rights, Thread, Timer,
    abi::{Registers, Syscall, fault::RegisterBank, waits::Wait},
    capability::inspect,
    endpoint::reply,
    process::Usage,
    start::bootstrap,
    syscall::harmless,
    system,
    thread::{Inspection, JoinHandle},
};

use super::table::{LINE, Thing};

/// When the timer fires: not in any test.
const LATE: u64 = 1 << 60;
/// The signal that nobody has taken.
const SIGNAL: u64 = 4;
/// The label of all answers.
const ANSWER: u32 = 9;

/// More threads than wait in a world.
const WAITS: usize = 16;

type Call = JoinHandle<Result<Message, IpcError>>;

/// All objects, and the threads that wait.
pub(super) struct World {
    receiver: JoinHandle<Result<Message, IpcError>>,
    caller: Call,
    /// The case owes it an answer.
    owed: Call,
    /// The case has kept the call of this one.
    keeping: Call,
    kept: Reply,
    waiter: JoinHandle<Result<u64, Error>>,
    _handler: JoinHandle<()>,
    bare: Bare,
    new: Thread,
    stopped: Thread,
    awaited: Endpoint,
    calling: Endpoint,
    _taken: Endpoint,
    _faults: Endpoint,
    memory: MemoryObject,
    waited: Notification,
    signalled: Notification,
    timer: Timer,
    port: IoPort,
    line: Interrupt,
}

/// What can be seen.
#[derive(Debug, PartialEq)]
pub(super) struct Look {
    threads: [(Result<Inspection, Error>, Result<ExitReason, Error>); 8],
    /// What any thread waits for.
    waits: [Option<Wait>; WAITS],
    bound: [Result<(), Error>; 2],
    registers: [Result<[u64; RegisterBank::VALUES], Error>; 2],
    usage: Usage,
    mapping: Result<Registers, Error>,
    signals: Result<u64, Error>,
    timer: Result<Option<u64>, Error>,
    objects: [u64; 9],
    kernel_bytes: u64,
}

impl World {
    /// A new one; nobody has anything left to do in it. Its process's program sleeps, or faults where its argument
    /// is not 0.
    pub(super) fn new(program: Code) -> Self {
        let endpoint = || Endpoint::create().unwrap();
        let [awaited, calling, taken, faults] = [(); 4].map(|()| endpoint());
        let (slot, fault_slot) = (awaited.slot(), faults.slot());
        let receiver = at(MIDDLE, move || {
            let received = threads::endpoint(slot).receive()?;
            if received.is_call {
                reply(&label(ANSWER))?;
            }
            Ok(received.message)
        });
        let keeping = caller(taken.slot(), 4);
        assert!(taken.receive().unwrap().is_call);
        let kept = Reply::keep().unwrap();
        let caller_of_case = caller(taken.slot(), 1);
        assert!(taken.receive().unwrap().is_call);
        let handler = at(MIDDLE, move || {
            // The second never comes.
            let _ = threads::endpoint(fault_slot).receive();
            let _ = threads::endpoint(fault_slot).receive();
        });
        let program = Program::new(program);
        let bare = program.prepare_with(0, 32, 64 * 1024);
        let memory = MemoryObject::create(2 * PAGE).unwrap();
        bare.data(&memory, Rights::READ | Rights::WRITE);
        let thread = |argument| program.thread(&bare.process, STACK_TOP, argument, MIDDLE);
        let (new, stopped) = (thread(0), thread(1));
        stopped.set_fault_handler(faults.slot()).unwrap();
        stopped.start().unwrap();
        bare.thread.start().unwrap();
        let notification = || Notification::create().unwrap();
        let [waited, signalled] = [(); 2].map(|()| notification());
        let waited_slot = waited.slot();
        let waiter = at(MIDDLE, move || {
            core::mem::ManuallyDrop::new(Notification::from_slot(waited_slot)).wait()
        });
        signalled.signal(SIGNAL).unwrap();
        let timer = Timer::create(&signalled, 1).unwrap();
        timer.set(LATE).unwrap();
        let caller = caller(calling.slot(), 2);
        settle();
        Self {
            receiver,
            caller,
            owed: caller_of_case,
            keeping,
            kept,
            waiter,
            _handler: handler,
            bare,
            new,
            stopped,
            awaited,
            calling,
            _taken: taken,
            _faults: faults,
            memory,
            waited,
            signalled,
            timer,
            port: IoPort::create(0x80..=0x81).unwrap(),
            line: Interrupt::create(LINE).unwrap(),
        }
    }

    /// The capability to it, as its maker got it.
    pub(super) fn slot(&self, thing: Thing) -> CapSlot {
        match thing {
            Thing::Awaited => self.awaited.slot(),
            Thing::Calling => self.calling.slot(),
            Thing::Kept => self.kept.slot(),
            Thing::Process => self.bare.process.slot(),
            Thing::Thread => self.bare.thread.slot(),
            Thing::New => self.new.slot(),
            Thing::Stopped => self.stopped.slot(),
            Thing::Memory => self.memory.slot(),
            Thing::Waited => self.waited.slot(),
            Thing::Signalled => self.signalled.slot(),
            Thing::Timer => self.timer.slot(),
            Thing::System => bootstrap().system,
            Thing::Port => self.port.slot(),
            Thing::Line => self.line.slot(),
        }
    }

    /// All rights that there are on it.
    pub(super) fn rights(&self, thing: Thing) -> Rights {
        inspect(self.slot(thing)).unwrap().rights
    }

    /// All that can be seen, once nobody has anything left to do.
    pub(super) fn look(&self) -> Look {
        settle();
        let threads = [
            self.receiver.thread(),
            self.caller.thread(),
            self.owed.thread(),
            self.keeping.thread(),
            self.waiter.thread(),
            &self.bare.thread,
            &self.new,
            &self.stopped,
        ];
        let query = Registers::control([self.bare.process.slot().bits(), DATA, 0, 0]);
        let signals = self.signalled.poll();
        self.signalled.signal(SIGNAL).unwrap();
        // Whether they are bound: if not, they are not afterwards.
        let own = bootstrap().thread;
        let bound = [self.calling.bind(own), self.signalled.bind(own)];
        if bound[0].is_ok() {
            self.calling.bind(CapSlot::NULL).unwrap();
        }
        if bound[1].is_ok() {
            self.signalled.bind(CapSlot::NULL).unwrap();
        }
        let mut waits = system::waits();
        let all = core::array::from_fn(|_| waits.next().map(|wait| wait.unwrap()));
        assert!(waits.next().is_none(), "more threads than a look has room for");
        let banks = [RegisterBank::First, RegisterBank::Second];
        let counters = Counters::now();
        Look {
            threads: threads.map(|thread| (thread.inspect(), thread.try_wait())),
            waits: all,
            bound,
            registers: banks.map(|bank| self.stopped.read_registers(bank)),
            usage: self.bare.process.usage().unwrap(),
            mapping: harmless(Syscall::MemoryQuery, &query),
            signals,
            // The same again.
            timer: self.timer.set(LATE),
            objects: counters.objects,
            kernel_bytes: counters.heap_bytes,
        }
    }

    /// Makes a call that has no effect on this process but through a capability of a world's; gives its code.
    pub(super) fn make(&self, syscall: Syscall, registers: Registers) -> u64 {
        raw::call_elsewhere(syscall, registers).code
    }

    /// All goes on as if nothing had been.
    pub(super) fn goes_on(self) {
        self.goes_on_with(reply);
    }

    /// The same, where the call that the case has taken last is answered so.
    pub(super) fn goes_on_with(self, answer: impl FnOnce(&Message) -> Result<(), IpcError>) {
        answer(&label(ANSWER)).unwrap();
        self.kept.answer(&label(ANSWER)).unwrap();
        assert_eq!(self.keeping.join().unwrap(), Ok(label(ANSWER)));
        assert_eq!(self.owed.join().unwrap(), Ok(label(ANSWER)));
        assert_eq!(self.awaited.call(&label(3)), Ok(label(ANSWER)));
        assert_eq!(self.receiver.join().unwrap(), Ok(label(3)));
        assert_eq!(self.calling.receive().unwrap().message, label(2));
        reply(&label(ANSWER)).unwrap();
        assert_eq!(self.caller.join().unwrap(), Ok(label(ANSWER)));
        self.waited.signal(8).unwrap();
        assert_eq!(self.waiter.join().unwrap(), Ok(8));
        assert_eq!(self.signalled.poll(), Ok(SIGNAL));
    }
}
