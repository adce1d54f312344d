//! A revoke of mappings on one CPU, and what another does with them, at each point of either.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{
    CapSlot, Deadline::Never, Error, Rights, arguments::MemoryMap, layout::PAGE_SIZE,
};

use super::{
    Kernel, pinned,
    points::{at_every_point, step_with},
    spin, user,
};
use crate::{
    arch::host::paging,
    capability::transfer,
    memory::frame::Frame,
    object::Ref,
    process::Process,
    tests::{
        cpus::{Cpus, Place},
        kernel::{endpoint, grant},
    },
    thread::Tcb,
    vm::MemoryObject,
};

const AT: u64 = 0x4000_0000;
const PAGES: u64 = 4;
const RIGHTS: Rights = Rights::READ.union(Rights::WRITE).union(Rights::GRANT);

/// What the user is about to do with a capability that is being revoked, or with what it has mapped by it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Map,
    Unmap,
    /// A part of it.
    Divide,
    Touch,
    CopyAndMap,
    Close,
    Move,
    /// Its process ends.
    End,
}

const STEPS: [Step; 8] = [
    Step::Map,
    Step::Unmap,
    Step::Divide,
    Step::Touch,
    Step::CopyAndMap,
    Step::Close,
    Step::Move,
    Step::End,
];

/// CPU 1 has the user, which is about to do its step, and CPU 0 the owner, which is about to revoke.
struct Scene {
    cpus: Rc<Cpus>,
    user: Ref<Process>,
    revoker: Ref<Tcb>,
    /// The frames of the object.
    frames: Vec<Frame>,
    is_over: Rc<Cell<bool>>,
    /// Goes last: it finds that the others are gone.
    kernel: Kernel,
}

async fn map(memory: CapSlot, address: u64) -> Result<(), Error> {
    let (offset, bytes, process) = (0, PAGES * PAGE_SIZE, CapSlot::NULL);
    let rights = Rights::READ | Rights::WRITE;
    user::map(MemoryMap { process, memory, address, offset, bytes, rights }).await
}

async fn play(step: Step, slot: CapSlot, idle: CapSlot, over: Rc<Cell<bool>>) {
    // It has begun before the revoke was over: the kernel was entered by the test's own step.
    let was_over = over.get();
    match step {
        Step::Map => {
            let mapped = map(slot, AT + 64 * PAGE_SIZE).await;
            assert!(mapped.is_err() || !was_over, "mapped after the revoke");
        }
        Step::Unmap => {
            let _ = user::unmap(CapSlot::NULL, AT, PAGES * PAGE_SIZE).await;
        }
        Step::Divide => {
            let _ = user::unmap(CapSlot::NULL, AT + PAGE_SIZE, PAGE_SIZE).await;
        }
        Step::Touch => user::touch(AT, 1).await,
        Step::CopyAndMap => {
            if let Ok(copy) = user::copy(slot, CapSlot::NULL, Rights::all(), 0).await {
                let _ = map(copy, AT + 64 * PAGE_SIZE).await;
            }
        }
        Step::Close => drop(user::close(slot).await),
        Step::Move => drop(user::relocate(slot).await),
        Step::End => return,
    }
    let _ = user::receive(idle, Never).await;
}

fn scene(step: Step) -> Scene {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let (owner, process) = (kernel.process("owner"), kernel.process("user"));
    let object = kernel.on(0, || MemoryObject::new(PAGES * PAGE_SIZE, &owner.quota).unwrap());
    let root = grant(&owner, &object, RIGHTS, 0);
    let slot =
        transfer::copy(&owner.table, root, (RIGHTS, 0), &process.table, &process.quota).unwrap();
    let (_, idle) = endpoint(&process);
    let (is_ready, is_over) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let (ready, over) = (is_ready.clone(), is_over.clone());
    let user = pinned(&mut kernel, &process, 1, 10, async move {
        map(slot, AT).await.unwrap();
        user::touch(AT, PAGES).await;
        ready.set(true);
        user::give_way().await;
        play(step, slot, idle, over).await;
    });
    user.start().unwrap();
    cpus.run_until(1, || is_ready.get());
    let frames = (0..PAGES).map(|page| object.frame(page).unwrap()).collect();
    drop(object);
    let over = is_over.clone();
    let (_, own_idle) = endpoint(&owner);
    let revoker = pinned(&mut kernel, &owner, 0, 10, async move {
        user::revoke(root).await.unwrap();
        over.set(true);
        let _ = user::receive(own_idle, Never).await;
    });
    revoker.start().unwrap();
    cpus.run_until(0, || cpus.place(0) == Place::User);
    Scene { cpus, user: process, revoker, frames, is_over, kernel }
}

impl Scene {
    /// Nothing is mapped any more, and no CPU remembers anything.
    fn look(&self, case: &str) {
        assert!(self.is_over.get(), "{case}: the revoke is not over");
        for number in [0, 1, 2, 64] {
            assert_eq!(self.user.space.translate(AT + number * PAGE_SIZE), None, "{case}");
        }
        let is_there = |at: u64| self.user.space.query(at).is_ok_and(|found| found.start == at);
        assert!(![0, 2, 64].iter().any(|number| is_there(AT + number * PAGE_SIZE)), "{case}");
        for frame in &self.frames {
            assert_eq!(paging::stale_on(*frame), [], "{case}");
        }
    }

    /// Lets both go on until the revoke has returned.
    fn finish(&mut self) {
        while !self.is_over.get() && !self.revoker.is_ended() {
            let went = [0, 1].map(|cpu| self.cpus.step_if(cpu, || true));
            assert!(went.contains(&true), "the revoke does not come to its end");
        }
    }
}

#[test]
fn a_revoke_meets_every_point_of_what_a_user_does() {
    for step in STEPS {
        at_every_point(|point| {
            let mut scene = scene(step);
            let case = format!("{step:?}, point {point}");
            println!("{case}");
            let (cpus, revoker) = (scene.cpus.clone(), scene.revoker.clone());
            let came = step_with(&scene.cpus, 1, point, move || {
                // As far as it gets without the other CPU.
                for _ in 0..20 {
                    if !cpus.step_if(0, || !revoker.is_ended()) {
                        break;
                    }
                }
            });
            scene.finish();
            scene.look(&case);
            scene.kernel.run_until_idle();
            scene.look(&case);
            came
        });
    }
}

#[test]
fn what_a_user_does_meets_every_point_of_a_revoke() {
    for step in STEPS {
        // Steps of the revoke that have passed before.
        for steps in 0..6 {
            at_every_point(|point| {
                let mut scene = scene(step);
                let case = format!("{step:?}, step {steps}, point {point}");
                for _ in 0..steps {
                    scene.cpus.step_if(0, || true);
                }
                let cpus = scene.cpus.clone();
                let came = step_with(&scene.cpus, 0, point, move || {
                    cpus.step_if(1, || true);
                });
                scene.finish();
                scene.look(&case);
                scene.kernel.run_until_idle();
                scene.look(&case);
                came && point < 60
            });
        }
    }
}

#[test]
fn a_kill_of_the_revoker_meets_every_point_of_the_revoke() {
    for steps in 0..8 {
        at_every_point(|point| {
            let mut scene = scene(Step::Touch);
            pinned(&mut scene.kernel, &scene.user, 1, 10, spin());
            for _ in 0..steps {
                scene.cpus.step_if(0, || true);
            }
            let killed = scene.revoker.clone();
            let came = step_with(&scene.cpus, 0, point, move || {
                killed.kill();
            });
            let case = format!("step {steps}, point {point}");
            scene.kernel.run_until_idle();
            // Its process ends with it, whose reaper finishes what it has begun. Where it had not begun, nothing has changed.
            let is_mapped = scene.user.space.query(AT).is_ok_and(|found| found.start == AT);
            let is_there = scene.user.space.translate(AT).is_some();
            assert_eq!(is_mapped, is_there, "{case}");
            assert!(!scene.user.space.is_changing(), "{case}");
            let left = scene.user.table.lock().lookup(CapSlot::new(0, 1)).is_ok();
            assert_eq!(is_mapped, left, "{case}: a mapping and its capability go together");
            came && point < 60
        });
    }
}
