//! Random sequences of all that can be asked of a thread, from all CPUs, one after the other and two at
//! once; what is known of the outcome is checked after each step.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use guests::{
    cpus::{self, ALL, bit, leave_nothing, pairs, scaled, seed},
    places,
    random::Random,
    scene::{At, Scene, Stage},
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::{
    Endpoint, Error, Message,
    abi::{Registers, Syscall},
    endpoint::reply,
    syscall::harmless,
};

use super::{
    exits,
    model::{Model, Wish},
};

/// A thread on one CPU that asks on behalf of the case. Nobody but the case is above it.
struct Hand {
    endpoint: Endpoint,
    _worker: Worker,
}

/// The label of a call that asks what came of the last wish.
const REPORT: u32 = 0;

fn asks(own: &Own) {
    let orders = endpoint(own.slot());
    let mut last = 0;
    while let Ok(order) = orders.receive() {
        if order.is_call {
            reply(&label(last)).expect("the case waits");
            continue;
        }
        let [slot, number, value] = order.message.words() else { panic!("an order of three") };
        let syscall = Syscall::from_number(*number).expect("a call");
        let answer = harmless(syscall, &Registers::control([*slot, *value, 0, 0]));
        last = answer.map_or_else(|error| error.code() as u32, |_| 0);
    }
}

impl Hand {
    fn on(cpu: usize) -> Self {
        let endpoint = Endpoint::create().unwrap();
        let worker = Worker::on(bit(cpu), 254, asks, endpoint.slot().bits());
        Self { endpoint, _worker: worker }
    }

    /// Lets it ask; the answer comes later.
    fn begin(&self, scene: &Scene<'_>, wish: Wish) {
        let (syscall, value) = wish.call();
        let words = [scene.worker.slot().bits(), syscall as u64, value];
        self.endpoint.send(&Message::new(1, &words).unwrap()).unwrap();
    }

    fn answer(&self) -> Result<(), Error> {
        let code = self.endpoint.call(&label(REPORT)).unwrap().label();
        if code == 0 { Ok(()) } else { Err(Error::from_code(code.into()).expect("an error")) }
    }
}

fn wish(random: &mut Random) -> Wish {
    match random.below(9) {
        0..=2 => Wish::Suspend,
        3..=5 => Wish::Resume,
        6 => Wish::Kill,
        7 => Wish::Priority(random.below(u64::from(MIDDLE) + 1) as u8),
        _ if random.once_in(3) => Wish::Move(ALL),
        _ => Wish::Move(bit(random.below(cpus::count() as u64) as usize)),
    }
}

/// One to three wishes from different CPUs, as far as there are that many, at the same time.
fn step(random: &mut Random, hands: &[Hand], scene: &Scene<'_>, model: &mut Model<'_, '_>) {
    let first = random.below(hands.len() as u64) as usize;
    let many = (1 + random.below(3) as usize).min(hands.len());
    let hands = (0..many).map(|n| &hands[(first + n) % hands.len()]);
    let asked: Vec<_> = hands.map(|hand| (hand, wish(random))).collect();
    for (hand, wish) in &asked {
        hand.begin(scene, *wish);
    }
    let answers: Vec<_> = asked.iter().map(|(hand, _)| hand.answer()).collect();
    let wishes: Vec<_> = asked.iter().map(|(_, wish)| *wish).collect();
    model.answered(&wishes, &answers);
}

fn sequence(random: &mut Random, stages: &[(usize, usize)], hands: &[Hand]) {
    let (here, there) = random.pick(stages);
    let stage = Stage::new(exits, here, there);
    // One that is killed as its memory has just been made leaves its process the capability.
    let at = match random.pick(&At::ALL) {
        At::Working => At::StoppedByItself,
        at => at,
    };
    let scene = stage.scene(at);
    let mut model = Model::new(&scene);
    for _ in 0..3 + random.below(8) {
        if !model.is_released && !model.is_over() && random.once_in(5) {
            scene.release();
            model.released();
            model.check();
        } else {
            step(random, hands, &scene, &mut model);
        }
        if model.is_stopped() && !model.is_released {
            scene.stands_still();
        }
    }
    if !model.is_over() {
        let resumed = scene.worker.resume();
        model.answered(&[Wish::Resume], &[resumed]);
    }
    if !model.is_over() && !model.is_released && scene.at.can_finish() {
        scene.release();
        model.released();
    }
    if model.is_over() {
        model.check();
        if !model.is_released {
            scene.is_gone();
        }
    } else if scene.at.can_finish() {
        scene.finishes();
    } else {
        scene.is_killed();
    }
}

/// A thousand sequences, in any scene; at the end all is given back.
pub(super) fn random_sequences_have_exact_outcomes() {
    places::pave(1 << 30);
    let (count, mut random) = (scaled(1000), Random::new(seed()));
    let stages: Vec<_> = pairs().chain((0..cpus::count()).map(|cpu| (cpu, cpu))).collect();
    let hands: Vec<_> = (0..cpus::count()).map(Hand::on).collect();
    let mut warm_ups = 3;
    leave_nothing(1, || {
        let sequences = if warm_ups > 0 { 5 } else { count };
        warm_ups -= 1;
        (0..sequences).for_each(|_| sequence(&mut random, &stages, &hands));
    });
}
