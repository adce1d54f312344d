//! Runs a plan, and notes all that its programs see, when, and what is left of it.
#![forbid(unsafe_code)]

use std::{
    cell::RefCell,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use orbital_abi::{
    CapSlot, Deadline, Error, ExitReason, Message, Registers, Rights, Syscall, Tag,
    arguments::{NotificationSignal, NotificationWait},
    fault::FaultMessage,
    layout::PAGE_SIZE,
    message::PAGE_SLOTS,
};

use super::plan::{Deed, ENDPOINTS, PROCESSES, Plan, Slot, Thread, Wait, Way};
use crate::{
    arch::{
        Trap,
        host::{clock, timer},
    },
    ipc::{Endpoint, Notification},
    object::Ref,
    process::Process,
    sched,
    tests::{
        kernel::{Counts, Kernel, grant},
        page::{ENTRIES, Page},
        user,
    },
    thread::{
        BlockReason, FaultHandler, Tcb, ThreadId,
        budget::{Budget, Share},
        state::ThreadState,
    },
};

/// What a program found: when, which one, and what the registers and its page held.
pub type Event = (u64, usize, Result<Registers, Error>, u64);

/// Where the threads have their pages.
const PAGES: u64 = 0x5000_0000;

/// How a thread is left. Threads are named by their numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    state: ThreadState,
    exit: Option<ExitReason>,
    priority: u8,
    /// Where it is blocked.
    reason: Option<(core::mem::Discriminant<BlockReason>, Option<usize>)>,
}

/// All that two runs of one plan have to agree in.
#[derive(Debug, PartialEq)]
pub struct Report {
    pub events: Vec<Event>,
    pub left: Vec<Left>,
    pub counts: Counts,
}

struct World {
    start: u64,
    events: RefCell<Vec<Event>>,
    threads: RefCell<Vec<Ref<Tcb>>>,
    endpoints: RefCell<Vec<Ref<Endpoint>>>,
    notification: RefCell<Option<Ref<Notification>>>,
    slots: RefCell<Vec<Slots>>,
}

/// What a process has capabilities to.
#[derive(Clone)]
struct Slots {
    endpoints: Vec<[CapSlot; 4]>,
    notification: CapSlot,
    threads: Vec<CapSlot>,
    processes: Vec<CapSlot>,
}

/// The short cuts are off while this lives, if at all.
pub struct ShortCuts;

impl ShortCuts {
    /// Allows them, or not.
    pub fn set(allowed: bool) -> Self {
        sched::set_short_cuts(allowed);
        Self
    }
}

impl Drop for ShortCuts {
    fn drop(&mut self) {
        sched::set_short_cuts(true);
    }
}

impl World {
    fn now(&self) -> u64 {
        clock::nanoseconds() - self.start
    }

    fn number(&self, id: ThreadId) -> Option<usize> {
        self.threads.borrow().iter().position(|thread| thread.id == id)
    }

    /// What does not differ from run to run: word of a fault names the thread.
    fn without_names(&self, registers: Registers) -> Registers {
        if registers.control[2] != 3 {
            return registers;
        }
        let tag = Tag::from_bits(registers.control[1]).unwrap();
        let told = FaultMessage::decode(&Message { tag, words: registers.words }).unwrap();
        let thread = self.number(ThreadId(told.thread)).unwrap() as u64;
        Registers { words: FaultMessage { thread, ..told }.encode().words, ..registers }
    }

    fn note(&self, who: usize, found: Result<Registers, Error>, page: Option<Page>) {
        let found = found.map(|registers| self.without_names(registers));
        let mut hasher = DefaultHasher::new();
        page.map(Page::read).hash(&mut hasher);
        self.events.borrow_mut().push((self.now(), who, found, hasher.finish()));
    }

    fn slot(&self, process: usize, slot: Slot) -> CapSlot {
        let slots = &self.slots.borrow()[process];
        match slot {
            Slot::Endpoint(endpoint, way) => slots.endpoints[endpoint][way as usize],
            Slot::Notification => slots.notification,
            Slot::Empty => CapSlot::new(999, 1),
            Slot::Null => CapSlot::NULL,
        }
    }

    fn deadline(&self, wait: Wait) -> Deadline {
        match wait {
            Wait::Never => Deadline::Never,
            Wait::Now => Deadline::Now,
            Wait::For(time) => Deadline::At(clock::nanoseconds() + time),
        }
    }

    async fn act(&self, process: usize, deed: Deed) -> Result<Registers, Error> {
        let control = |call: Syscall, words| user::syscall(call as u64, Registers::control(words));
        let notification = self.slots.borrow()[process].notification;
        match deed {
            Deed::Message { call, slot, tag, words, sent, wait } => {
                let (slot, deadline) = (self.slot(process, slot), self.deadline(wait));
                let control =
                    [slot.bits(), tag, deadline.bits(), self.slot(process, sent[0]).bits()];
                user::syscall(call as u64, Registers { control, words }).await
            }
            Deed::Signal => {
                let arguments = NotificationSignal { notification, bits: 5 };
                user::syscall(Syscall::NotificationSignal as u64, arguments.encode()).await
            }
            Deed::AwaitSignal(wait) => {
                let arguments = NotificationWait { notification, deadline: self.deadline(wait) };
                user::syscall(Syscall::NotificationWait as u64, arguments.encode()).await
            }
            Deed::Work(time) => {
                user::work(time).await;
                Ok(Registers::default())
            }
            Deed::Yield => control(Syscall::ThreadYield, [0; 4]).await,
            Deed::Interrupted => {
                // Which has come then, and comes no more.
                timer::disarm();
                user::trap(Trap::Timer).await;
                Ok(Registers::default())
            }
            Deed::Fault => {
                user::fault(0x1000).await;
                // They are as they were then.
                Ok(sched::current().with_registers(|registers| registers.syscall_registers()))
            }
            Deed::Ask { call, thread, values: [first, second] } => {
                let thread = self.slots.borrow()[process].threads[thread];
                control(call, [thread.bits(), first, second, 0]).await
            }
            Deed::EndProcess(other) => {
                let other = self.slots.borrow()[process].processes[other];
                control(Syscall::ProcessKill, [other.bits(), 0, 0, 0]).await?;
                // The clean-up is as urgent as this thread: whose turn it is first is not decided, until
                // this one waits.
                let deadline = Deadline::Never.bits();
                control(Syscall::ProcessWait, [other.bits(), deadline, 0, 0]).await
            }
            Deed::Close(endpoint, way) => {
                let slot = self.slot(process, Slot::Endpoint(endpoint, way));
                control(Syscall::CapabilityClose, [slot.bits(), 0, 0, 0]).await
            }
        }
    }

    fn left(&self) -> Vec<Left> {
        let left = |thread: &Ref<Tcb>| {
            let state = thread.state();
            let reason = (state == ThreadState::Blocked).then(|| {
                let reason = thread.block_reason();
                let whom = match reason {
                    BlockReason::WaitingReply { from } => from.and_then(|id| self.number(id)),
                    BlockReason::Asking(id) => self.number(id),
                    _ => None,
                };
                (core::mem::discriminant(&reason), whom)
            });
            // Whether the poll of its operation has begun while it waits for its turn is for nobody to see.
            let state = match state {
                ThreadState::Preempted => ThreadState::Woken,
                other => other,
            };
            Left { state, exit: thread.exit_reason(), priority: thread.priority(), reason }
        };
        self.threads.borrow().iter().map(left).collect()
    }
}

/// Nobody of `threads` who could run is more urgent than `current`, who runs.
pub fn the_most_urgent_runs(threads: &[Ref<Tcb>], current: &Tcb) {
    for (number, thread) in threads.iter().enumerate() {
        let is_ready = matches!(thread.state(), ThreadState::Woken | ThreadState::Preempted);
        assert!(
            !is_ready || thread.is_parked() || thread.priority() <= current.priority(),
            "thread {number} waits while a less urgent one runs"
        );
    }
}

/// Every process has a capability of each kind to each object.
fn slots(world: &World, process: &Ref<Process>, processes: &[Ref<Process>], badge: u64) -> Slots {
    let endpoints = world.endpoints.borrow();
    let endpoint = |endpoint| {
        let granted = Rights::SEND | Rights::GRANT;
        [Rights::SEND | Rights::RECEIVE, Rights::SEND, Rights::RECEIVE, granted]
            .map(|rights| grant(process, endpoint, rights, badge))
    };
    let rights = Rights::MANAGE | Rights::WAIT;
    let notification = world.notification.borrow();
    let notification = notification.as_ref().unwrap();
    Slots {
        endpoints: endpoints.iter().map(endpoint).collect(),
        notification: grant(process, notification, Rights::SEND | Rights::RECEIVE, 0),
        threads: Vec::new(),
        processes: processes.iter().map(|it| grant(process, it, rights, 0)).collect(),
    }
}

fn add_thread(kernel: &mut Kernel, world: &Rc<World>, process: &Ref<Process>, plan: Thread) {
    let (its, number) = (world.clone(), world.threads.borrow().len());
    let place = PAGES + number as u64 * PAGE_SIZE;
    let page = plan.has_page.then_some(Page(place));
    let program = async move {
        for deed in plan.deeds {
            if let (Some(page), Deed::Message { words, sent, .. }) = (page, &deed) {
                let mut all: Vec<_> =
                    (0..ENTRIES as u64).map(|entry| words[0] << 32 | entry).collect();
                for (place, slot) in PAGE_SLOTS.zip(&sent[1..]) {
                    all[place] = its.slot(plan.process, *slot).bits();
                }
                page.write(all);
            }
            let found = its.act(plan.process, deed).await;
            its.note(number, found, page);
        }
        0
    };
    let thread = kernel.thread(process, plan.priority, program);
    if plan.has_page {
        thread.give_message_page(place).unwrap();
    }
    if let Some(endpoint) = plan.handler {
        let endpoint = world.endpoints.borrow()[endpoint].clone().erase();
        thread
            .set_fault_handler(Some(FaultHandler { endpoint, badge: number as u64, kept: None }))
            .unwrap();
    }
    if let Some([budget, period]) = plan.budget {
        let share = Share::new(budget, period).unwrap();
        let budget = Budget::new(share, clock::nanoseconds(), &process.quota).unwrap();
        thread.ask_budget(Some(budget));
    }
    world.threads.borrow_mut().push(thread);
}

/// Takes what is left in the queues of the endpoints.
fn drain() -> Thread {
    let receive = |endpoint| Deed::Message {
        call: Syscall::Receive,
        slot: Slot::Endpoint(endpoint, Way::Receive),
        tag: 0,
        words: [0; 8],
        sent: [Slot::Null; 4],
        wait: Wait::Now,
    };
    let deeds = (0..ENDPOINTS).flat_map(|endpoint| vec![receive(endpoint); 8]).collect();
    let (process, has_page) = (PROCESSES, true);
    Thread { process, priority: 0, has_page, budget: None, handler: None, deeds }
}

/// Runs `plan`.
pub fn run(plan: &Plan, short_cuts: bool) -> Report {
    let mut kernel = Kernel::boot();
    let _short_cuts = ShortCuts::set(short_cuts);
    let processes: Vec<_> = (0..=PROCESSES).map(|_| kernel.process("p")).collect();
    let world = Rc::new(World {
        start: clock::nanoseconds(),
        events: RefCell::default(),
        threads: RefCell::default(),
        endpoints: RefCell::default(),
        notification: RefCell::default(),
        slots: RefCell::default(),
    });
    let payer = &kernel.init.quota;
    let endpoints = (0..ENDPOINTS).map(|_| Endpoint::new(payer).unwrap());
    *world.endpoints.borrow_mut() = endpoints.collect();
    *world.notification.borrow_mut() = Some(Notification::new(payer).unwrap());
    for (badge, process) in processes.iter().enumerate() {
        let slots = slots(&world, process, &processes, badge as u64);
        world.slots.borrow_mut().push(slots);
    }
    for thread in plan.threads.iter().cloned() {
        add_thread(&mut kernel, &world, &processes[thread.process], thread);
    }
    // From here on only the programs hold the endpoints.
    world.endpoints.take();
    world.notification.take();
    for (process, slots) in processes.iter().zip(world.slots.borrow_mut().iter_mut()) {
        let threads = world.threads.borrow();
        slots.threads = threads.iter().map(|it| grant(process, it, Rights::MANAGE, 0)).collect();
    }
    for thread in world.threads.borrow().iter() {
        thread.start().unwrap();
    }
    let watched = world.clone();
    kernel.preempt = Some(Box::new(move || {
        the_most_urgent_runs(&watched.threads.borrow(), &sched::current());
        false
    }));
    kernel.run_until_idle();
    let mut left = world.left();
    let counts = Counts::now();
    add_thread(&mut kernel, &world, &processes[PROCESSES], drain());
    let drain = world.threads.borrow().last().cloned();
    drain.inspect(|drain| drain.start().unwrap());
    kernel.run_until_idle();
    left.extend(world.left());
    world.threads.take();
    Report { events: world.events.take(), left, counts }
}
