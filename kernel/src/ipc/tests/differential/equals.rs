//! Threads of equal priorities, which are interrupted anywhere: their order is not decided, and a direct switch goes
//! before who waits. But what each client is told does not depend on that: servers answer by what they are asked
//! alone, ask only servers of a higher layer, and take the messages of one client in its order.
#![forbid(unsafe_code)]

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use orbital_abi::{
    CapSlot,
    Deadline::Never,
    ExitReason, Message, Rights,
    fault::{END, FaultMessage, RESUME},
};

use super::world::{ShortCuts, the_most_urgent_runs};
use crate::{
    object::Ref,
    sched,
    tests::{
        cpus::Random,
        kernel::{Kernel, endpoint, grant},
        user::{self, message},
    },
    thread::{FaultHandler, Tcb},
};

const LAYERS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Deed {
    Call(usize),
    Send(usize),
    Work(u64),
    Yield,
    /// It reads there; its handler lets it go on where that is even.
    Fault(u64),
}

#[derive(Debug)]
pub struct Client {
    priority: u8,
    handler: usize,
    deeds: Vec<Deed>,
}

#[derive(Debug)]
pub struct Plan {
    /// The priorities of each layer's servers.
    servers: Vec<Vec<u8>>,
    clients: Vec<Client>,
}

impl Plan {
    /// The plan that `random` gives.
    pub fn random(random: &Random) -> Self {
        let priority = || [10, 20][random.below(2)];
        let deed = |_| match random.below(10) {
            0..5 => Deed::Call(random.below(LAYERS)),
            5 | 6 => Deed::Send(random.below(LAYERS)),
            7 => Deed::Work(1 + random.below(1_500_000) as u64),
            8 => Deed::Yield,
            _ => Deed::Fault(0x1000 + u64::from(random.one_in(6))),
        };
        let client = |_| Client {
            priority: priority(),
            handler: random.below(LAYERS),
            deeds: (0..2 + random.below(8)).map(deed).collect(),
        };
        Self {
            servers: (0..LAYERS)
                .map(|_| (0..1 + random.below(2)).map(|_| priority()).collect())
                .collect(),
            clients: (0..1 + random.below(4)).map(client).collect(),
        }
    }
}

/// What does not depend on the order.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    /// What each client was answered, and how it ended.
    clients: Vec<(Vec<Message>, Option<ExitReason>)>,
    /// What each layer was told by each client.
    told: BTreeMap<(usize, u64), Vec<u64>>,
}

type Told = Rc<RefCell<BTreeMap<(usize, u64), Vec<u64>>>>;

/// The answer of `layer` to a request of a client, after what the layer above has answered.
fn answer(layer: usize, request: Message) -> Message {
    let words: Vec<u64> = request.words().iter().map(|word| word * 3 + layer as u64).collect();
    message(request.label() + 1, &words)
}

/// Whether a layer asks the one above.
fn asks(request: &Message) -> bool {
    request.words()[1].is_multiple_of(2)
}

async fn serve(layer: usize, own: CapSlot, above: Option<CapSlot>, told: Told) {
    let mut received = user::receive(own, Never).await.unwrap();
    loop {
        if received.is_fault {
            let address = FaultMessage::decode(&received.message).unwrap().fault.address;
            told.borrow_mut().entry((layer, received.badge)).or_default().push(address);
            let verdict = message(if address.is_multiple_of(2) { RESUME } else { END }, &[]);
            received = user::reply_receive(own, verdict, Never).await.unwrap();
            continue;
        }
        let mut request = received.message;
        let [client, number, ..] = request.words() else { panic!("{received:?}") };
        if received.badge != u64::MAX {
            assert_eq!(received.badge, *client);
            told.borrow_mut().entry((layer, *client)).or_default().push(*number);
        }
        if let Some(above) = above
            && asks(&request)
        {
            request = user::call(above, request, Never).await.unwrap();
        }
        received = match received.is_call {
            true => user::reply_receive(own, answer(layer, request), Never).await,
            false => user::receive(own, Never).await,
        }
        .unwrap();
    }
}

async fn ask(
    client: usize,
    deeds: Vec<Deed>,
    slots: [CapSlot; LAYERS],
    answers: Rc<RefCell<Vec<Message>>>,
) {
    for (number, deed) in deeds.into_iter().enumerate() {
        let words = [client as u64, number as u64, 7, 8, 9, 10, 11, 12];
        // Every length that holds the first two.
        let request = message(100, &words[..2 + number % 7]);
        match deed {
            Deed::Call(layer) => {
                let answer = user::call(slots[layer], request, Never).await.unwrap();
                answers.borrow_mut().push(answer);
            }
            Deed::Send(layer) => user::send(slots[layer], request, Never).await.unwrap(),
            Deed::Work(time) => user::work(time).await,
            Deed::Yield => user::give_way().await,
            Deed::Fault(address) => user::fault(address).await,
        }
    }
}

/// Runs `plan`, interrupted where `random` says.
pub fn run(plan: &Plan, short_cuts: bool, random: Random) -> Report {
    let mut kernel = Kernel::boot();
    let _short_cuts = ShortCuts::set(short_cuts);
    let (process, other) = (kernel.process("servers"), kernel.process("clients"));
    let told = Told::default();
    let ends: [_; LAYERS] = core::array::from_fn(|_| endpoint(&process));
    let mut threads: Vec<Ref<Tcb>> = Vec::new();
    for (layer, servers) in plan.servers.iter().enumerate() {
        let above =
            ends.get(layer + 1).map(|(end, _)| grant(&process, end, Rights::SEND, u64::MAX));
        for priority in servers {
            let program = serve(layer, ends[layer].1, above, told.clone());
            threads.push(kernel.spawn(&process, *priority, program));
        }
    }
    let mut answers = Vec::new();
    let first_client = threads.len();
    for (number, client) in plan.clients.iter().enumerate() {
        let slots = ends.each_ref().map(|(end, _)| grant(&other, end, Rights::SEND, number as u64));
        let (deeds, answered) = (client.deeds.clone(), Rc::default());
        answers.push(Rc::clone(&answered));
        let thread = kernel.thread(&other, client.priority, async move {
            ask(number, deeds, slots, answered).await;
            0
        });
        let endpoint = ends[client.handler].0.clone().erase();
        thread
            .set_fault_handler(Some(FaultHandler { endpoint, badge: number as u64, kept: None }))
            .unwrap();
        thread.start().unwrap();
        threads.push(thread);
    }
    let watched = threads.clone();
    kernel.preempt = Some(Box::new(move || {
        the_most_urgent_runs(&watched, &sched::current());
        random.one_in(5)
    }));
    kernel.run_until_idle();
    let clients = threads[first_client..].iter().zip(answers);
    let clients = clients.map(|(thread, answers)| {
        let exit = thread.exit_reason();
        assert!(exit.is_some(), "a client hangs");
        (answers.take(), exit)
    });
    let mut report = Report { clients: clients.collect(), told: told.take() };
    for ((layer, client), numbers) in &mut report.told {
        // Two servers of a layer may be interrupted between taking a message and noting it.
        if plan.servers[*layer].len() > 1 {
            numbers.sort();
        }
        // Faults have no number.
        let sent: Vec<u64> = numbers.iter().copied().filter(|number| *number < 0x1000).collect();
        assert!(sent.is_sorted_by(|a, b| a < b), "layer {layer}, client {client}: {numbers:?}");
    }
    report
}
