//! A thread that waits for its fault handler, and what comes in between from another CPU: at each point of the
//! fault, of its taking, and of the answer.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{
    Deadline::Never,
    ExitReason,
    fault::{RESUME, RegisterBank},
};

use super::{
    Kernel, pinned,
    points::{at_every_point, step_with},
    user,
};
use crate::{
    object::Ref,
    process::Process,
    tests::{cpus::Cpus, kernel::endpoint},
    thread::{FaultHandler, Tcb, state::ThreadState},
};

/// How far the handler on CPU 0 has come with the fault of the thread on CPU 1.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// The thread faults, while its handler waits or before that comes.
    Faulting { is_awaited: bool },
    /// The handler takes it.
    Taking,
    /// The handler answers.
    Answering,
}

const STEPS: [Step; 4] = [
    Step::Faulting { is_awaited: true },
    Step::Faulting { is_awaited: false },
    Step::Taking,
    Step::Answering,
];

/// What the handler has done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Done {
    Nothing,
    Taken,
    Answered,
    Refused,
}

/// Both threads, one step before the one that is of interest.
struct Scene {
    cpus: Rc<Cpus>,
    process: Ref<Process>,
    thread: Ref<Tcb>,
    handler: Ref<Tcb>,
    done: Rc<Cell<Done>>,
    /// Goes last: it finds that the others are gone.
    kernel: Kernel,
}

fn scene(step: Step) -> Scene {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let (server, process) = (kernel.process("server"), kernel.process("client"));
    let (told, receiver) = endpoint(&server);
    let (done, ready) = (Rc::new(Cell::new(Done::Nothing)), Rc::new(Cell::new(false)));
    let (does, is_ready) = (done.clone(), ready.clone());
    let handler = pinned(&mut kernel, &server, 0, 9, async move {
        user::receive(receiver, Never).await.unwrap();
        does.set(Done::Taken);
        user::work(1).await;
        let answer = user::reply(user::message(RESUME, &[])).await;
        does.set(if answer.is_ok() { Done::Answered } else { Done::Refused });
    });
    let thread = pinned(&mut kernel, &process, 1, 9, async move {
        is_ready.set(true);
        user::work(1).await;
        user::fault(0x1000).await;
    });
    let own = FaultHandler { endpoint: told.erase(), badge: 3, kept: None };
    thread.set_fault_handler(Some(own)).unwrap();
    // To where it is about to fault.
    thread.start().unwrap();
    cpus.run_until(1, || ready.get());
    cpus.step(1);
    match step {
        Step::Faulting { is_awaited } => {
            if is_awaited {
                handler.start().unwrap();
                cpus.run_alone(0);
            }
        }
        Step::Taking => {
            cpus.run_alone(1);
            handler.start().unwrap();
            // It is in user mode then, before its call.
            cpus.run_until(0, || handler.state() == ThreadState::Running);
        }
        Step::Answering => {
            cpus.run_alone(1);
            handler.start().unwrap();
            cpus.run_until(0, || done.get() == Done::Taken);
            cpus.step(0);
        }
    }
    Scene { cpus, process, thread, handler, done, kernel }
}

impl Scene {
    /// Plays `step` with the deed in between at `point`, and then all the rest; whether it came.
    fn play(&mut self, step: Step, point: usize, deed: impl FnOnce() + 'static) -> bool {
        let cpu = usize::from(matches!(step, Step::Faulting { .. }));
        let came = step_with(&self.cpus, cpu, point, deed);
        // It may have been started, or killed.
        let _ = self.handler.start();
        self.kernel.run_until_idle();
        came
    }
}

#[test]
fn whoever_looks_at_the_registers_meanwhile_keeps_nobody_from_the_answer() {
    for step in STEPS {
        at_every_point(|point| {
            let mut scene = scene(step);
            let looked_at = scene.thread.clone();
            let came = scene.play(step, point, move || {
                if let Some(claim) = looked_at.claim_fault() {
                    let bank = claim.with_registers(|it| it.bank(RegisterBank::First));
                    assert_eq!(bank[1], 0x7000_0000);
                    claim.taken();
                }
            });
            let reason = scene.thread.exit_reason();
            assert_eq!(reason, Some(ExitReason::Exited(0)), "{step:?} {point}");
            assert_eq!(scene.done.get(), Done::Answered, "{step:?} {point}");
            assert!(scene.thread.claim_fault().is_none());
            came
        });
    }
}

#[test]
fn a_kill_comes_before_the_answer_or_after_it() {
    for step in STEPS {
        let (mut before, mut after) = (0, 0);
        at_every_point(|point| {
            let mut scene = scene(step);
            let killed = scene.thread.clone();
            let came = scene.play(step, point, move || {
                killed.kill();
            });
            let (reason, done) = (scene.thread.exit_reason(), scene.done.get());
            if came {
                match done {
                    Done::Answered => after += 1,
                    // It may wait for ever for a fault that has gone.
                    Done::Refused | Done::Nothing => before += 1,
                    Done::Taken => panic!("{step:?} {point}: neither answered nor refused"),
                }
                assert_eq!(reason, Some(ExitReason::Killed), "{step:?} {point}");
            } else {
                assert_eq!((reason, done), (Some(ExitReason::Exited(0)), Done::Answered));
            }
            came
        });
        // An answer is written before the first point.
        let is_answer = step == Step::Answering;
        assert!(is_answer || before > 0, "{step:?}: {before} before, {after} after");
        assert!(!is_answer || after > 0, "{step:?}: {before} before, {after} after");
    }
}

#[test]
fn the_end_of_the_process_comes_before_the_answer_or_after_it() {
    for step in STEPS {
        at_every_point(|point| {
            let mut scene = scene(step);
            let ended = scene.process.clone();
            let came = scene.play(step, point, move || {
                ended.end(ExitReason::Killed);
            });
            let (reason, done) = (scene.process.exit_reason(), scene.done.get());
            let expected = if came { ExitReason::Killed } else { ExitReason::Exited(0) };
            assert_eq!(reason, Some(expected), "{step:?} {point}");
            assert!(came || done == Done::Answered, "{step:?} {point}");
            assert_ne!(done, Done::Taken, "{step:?} {point}");
            came
        });
    }
}

#[test]
fn a_handler_that_is_killed_has_answered_or_lets_the_thread_end() {
    for step in STEPS {
        at_every_point(|point| {
            let mut scene = scene(step);
            let killed = scene.handler.clone();
            let came = scene.play(step, point, move || {
                killed.kill();
            });
            let (reason, done) = (scene.thread.exit_reason(), scene.done.get());
            match (reason, done) {
                (Some(ExitReason::Exited(0) | ExitReason::Faulted(_)), _) => {}
                // Nobody has taken it: another might.
                (None, Done::Nothing) => assert_eq!(scene.thread.state(), ThreadState::Blocked),
                other => panic!("{step:?} {point}: {other:?}"),
            }
            assert!(done != Done::Answered || reason == Some(ExitReason::Exited(0)));
            came
        });
    }
}
