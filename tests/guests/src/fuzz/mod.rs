//! System calls at random, with arguments that often make sense: for a child that has nothing to lose
//! but its own quota.

mod draw;
mod handles;
mod partners;

use orbital_user::{
    CapSlot, Error,
    abi::{
        ObjectKind, Registers, Syscall,
        layout::{PAGE_SIZE, USER_END},
    },
    capability::close,
    clock,
    start::bootstrap,
    syscall::raw,
};

use draw::{AREA, AREA_BYTES, Draw};
pub use handles::Handles;
use handles::Place;

/// No call may wait longer than this, in nanoseconds.
const PATIENCE: u64 = 1_000_000;
/// The exit code of a program that panicked: none that ends by chance has it.
pub const PANICKED: u64 = 101;
/// The third word beside a message that is a fault's.
const FAULT_MARKS: u64 = 3;

/// Makes calls, and looks at what they leave.
#[derive(Clone, Debug)]
pub struct Fuzz {
    draw: Draw,
    own: Own,
    /// How many calls went well, by their place in [`Syscall::ALL`].
    pub well: [u32; Syscall::ALL.len()],
}

/// What the program must not lose, or not often.
#[derive(Clone, Copy, Debug)]
struct Own {
    /// Its way to say what went wrong.
    system: u64,
    process: u64,
    /// Its first thread, which may look after the others.
    leader: u64,
    /// The thread that makes the calls.
    thread: u64,
    /// Where it meets others.
    endpoint: u64,
    /// How seldom one that ends or stops any of these is made: once in so many that are drawn.
    rarely: Option<u64>,
}

/// What a call would do to the program that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    None,
    /// End or stop the calling thread or the one that looks after it, or part it from those that it meets.
    Ends,
    /// Change memory that it uses, make it wait too long, or leave it speechless.
    Breaks,
}

impl Fuzz {
    /// The calls of `seed`, by a program that knows these handles and the right to log. None of them ends
    /// it.
    pub fn new(seed: u64, mut handles: Handles) -> Self {
        let block = bootstrap();
        handles.add(ObjectKind::System, block.system.bits());
        let [system, process, thread] =
            [block.system, block.process, block.thread].map(CapSlot::bits);
        let endpoint = handles.first(ObjectKind::Endpoint);
        let own = Own { system, process, leader: thread, thread, endpoint, rarely: None };
        Self { draw: Draw::new(seed, handles), own, well: [0; _] }
    }

    /// By `thread`, which one in so many calls of those that could do so may end or stop.
    #[must_use]
    pub fn ending(mut self, thread: CapSlot, rarely: u64) -> Self {
        self.own = Own { thread: thread.bits(), rarely: Some(rarely), ..self.own };
        self.draw.handles.add(ObjectKind::Thread, thread.bits());
        self
    }

    /// Makes call number `index` of the seed, or leaves it out where it would do this program too much harm;
    /// tells `before` which one, and whether it may wait without an end. Gives whether it was made.
    ///
    /// # Panics
    /// When it leaves what it must not.
    pub fn step(&mut self, index: u64, before: impl FnOnce(u64, bool)) -> bool {
        let (number, registers) = self.draw.call(index);
        let is_made = match Syscall::from_number(number).map(|s| self.harm(s, &registers)) {
            None | Some(Harm::None) => true,
            Some(Harm::Ends) => self.own.rarely.is_some_and(|n| self.draw.random.once_in(n)),
            Some(Harm::Breaks) => false,
        };
        if is_made {
            // Without a deadline a call that is taken at once waits for its answer.
            let is_endless = number == Syscall::Call as u64 && registers.control[2] == 0;
            before(number, is_endless);
            self.call(number, registers);
        }
        is_made
    }

    /// How many calls went well by which messages came through.
    pub fn met(&self) -> u64 {
        let parts = [Syscall::Send, Syscall::Receive, Syscall::Call, Syscall::Reply];
        let well = Syscall::ALL.iter().zip(&self.well);
        well.filter(|(syscall, _)| parts.contains(syscall)).map(|(_, well)| u64::from(*well)).sum()
    }

    /// Makes a call with noise in all registers.
    ///
    /// # Panics
    /// When it goes well, but for calls to which any arguments will do.
    pub fn noise(&mut self, index: u64) {
        let (number, mut registers) = self.draw.noise(index);
        let syscall = Syscall::from_number(number);
        if syscall.is_some_and(|syscall| self.harm(syscall, &registers) != Harm::None) {
            return;
        }
        // SAFETY: as below; noise names no memory of its own.
        let code = unsafe { raw(number, &mut registers) };
        // Some take no arguments, or any, and so go well.
        let harmless = [
            Some(Syscall::Null),
            Some(Syscall::ThreadYield),
            Some(Syscall::EndpointCreate),
            Some(Syscall::NotificationCreate),
            Some(Syscall::ClockRead),
        ];
        assert!(code != 0 || harmless.contains(&syscall), "{syscall:?}");
        let makes = [Some(Syscall::EndpointCreate), Some(Syscall::NotificationCreate)];
        if makes.contains(&syscall) && code == 0 {
            close(CapSlot::from_bits(registers.control[0])).unwrap();
        } else if syscall != Some(Syscall::ClockRead) {
            assert_eq!(registers, Registers::default(), "{number}");
        }
    }

    fn harm(&self, syscall: Syscall, registers: &Registers) -> Harm {
        let [first, second, third, _] = registers.control;
        let own = &self.own;
        let within = |address: u64, bytes: u64| {
            let end = address.checked_add(bytes);
            address >= AREA && end.is_some_and(|end| end <= AREA + AREA_BYTES)
        };
        let own_space = first == 0 || first == own.process;
        let is_late = |deadline: u64| deadline > clock::now() + PATIENCE;
        let breaks = match syscall {
            // Its own address space, outside of its area.
            Syscall::ThreadMessagePage => {
                second < USER_END && second != 0 && !within(second, PAGE_SIZE)
            }
            Syscall::MemoryMap => {
                own_space && third < USER_END && !within(third, registers.words[0])
            }
            Syscall::MemoryUnmap | Syscall::MemoryProtect => {
                own_space && second < USER_END && !within(second, third)
            }
            Syscall::CapabilityClose | Syscall::CapabilityMove => {
                first == own.system || first == own.process
            }
            // By another name they would not be known.
            Syscall::CapabilityCopy => first == own.process || first == own.leader,
            Syscall::Send | Syscall::Receive | Syscall::Call | Syscall::ReplyReceive => {
                is_late(third)
            }
            Syscall::ThreadWait | Syscall::ProcessWait | Syscall::NotificationWait => {
                is_late(second)
            }
            Syscall::ThreadSleep => is_late(first),
            Syscall::ThreadExit | Syscall::ProcessExit => first == PANICKED,
            _ => false,
        };
        let ends = match syscall {
            Syscall::ThreadExit | Syscall::ProcessExit => true,
            Syscall::ProcessKill => first == own.process,
            Syscall::ThreadSuspend | Syscall::ThreadKill | Syscall::ThreadSetBudget => {
                [own.thread, own.leader].contains(&first)
            }
            Syscall::CapabilityClose | Syscall::CapabilityMove => {
                [own.thread, own.leader, own.endpoint].contains(&first)
            }
            _ => false,
        };
        match (breaks, ends) {
            (true, _) => Harm::Breaks,
            (false, true) => Harm::Ends,
            (false, false) => Harm::None,
        }
    }

    fn call(&mut self, number: u64, registers: Registers) {
        let mut left = registers;
        // SAFETY: what would touch this program's own memory or threads was left out.
        let code = unsafe { raw(number, &mut left) };
        if code != 0 {
            assert!(Error::from_code(code).is_some(), "code {code}");
            let what = Syscall::from_number(number);
            assert_eq!(left, Registers::default(), "{what:?} left something beside {code}");
            return;
        }
        let syscall = Syscall::from_number(number).expect("an unknown call went well");
        let place = Syscall::ALL.iter().position(|other| *other == syscall);
        self.well[place.expect("a call of the list")] += 1;
        // Nothing of the kernel's is in any register. Beside it stands what programs put there: signals and times;
        // exit codes; badges; an affinity; what a thread that faulted made up; and, behind the rest, the arguments of
        // traced events, which may be a handle that was made up.
        let given_back = match syscall {
            Syscall::NotificationWait | Syscall::TimerSet => 1,
            Syscall::ThreadWait | Syscall::ProcessWait => 2,
            Syscall::CapabilityInspect | Syscall::ThreadInspect => 4,
            // Names, badges, affinities, and numbers that may be any.
            Syscall::SystemProcesses | Syscall::SystemThreads | Syscall::SystemCapabilities => 9,
            Syscall::ThreadReadRegisters => usize::MAX,
            Syscall::Receive | Syscall::ReplyReceive if left.control[2] == FAULT_MARKS => {
                usize::MAX
            }
            Syscall::Receive | Syscall::ReplyReceive => 1,
            _ => 0,
        };
        let checked = if syscall == Syscall::SystemTrace { 4 } else { left.words.len() };
        let words = &left.words[..checked];
        let mut all = left.control.iter().chain(words).skip(given_back);
        assert!(all.all(|word| *word < 0xffff_8000_0000_0000), "{syscall:?}: {left:x?}");
        self.remember(syscall, &registers, left.control[0]);
    }

    /// Remembers what a call made, in place of another, which is mostly closed.
    fn remember(&mut self, syscall: Syscall, registers: &Registers, handle: u64) {
        let [source, target, ..] = registers.control;
        let kind = match syscall {
            Syscall::ThreadCreate => ObjectKind::Thread,
            Syscall::ProcessCreate => ObjectKind::Process,
            Syscall::EndpointCreate => ObjectKind::Endpoint,
            Syscall::MemoryCreate | Syscall::MemoryClone => ObjectKind::MemoryObject,
            Syscall::NotificationCreate => ObjectKind::Notification,
            Syscall::TimerCreate => ObjectKind::Timer,
            Syscall::IoPortNarrow => ObjectKind::IoPort,
            Syscall::ReplyKeep => ObjectKind::Reply,
            // Into its own table. A source that was not known may be of any kind.
            Syscall::CapabilityCopy | Syscall::CapabilityMove if target == 0 => {
                self.draw.handles.kind_of(source).unwrap_or(ObjectKind::Endpoint)
            }
            _ => return,
        };
        let place = Place::new(kind, self.draw.random.bits() >> 20);
        let own = [self.own.system, self.own.process, self.own.leader, self.own.thread];
        if let Some(old) = self.draw.handles.put(place, handle)
            && !own.contains(&old)
            && !self.draw.random.once_in(8)
        {
            let _ = close(CapSlot::from_bits(old));
        }
    }
}
