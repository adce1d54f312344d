//! Revokes that tell those who wait, and what another CPU does to them at each point.
#![forbid(unsafe_code)]

use std::{cell::RefCell, rc::Rc};

use orbital_abi::{CapSlot, Deadline::Never, Error, Rights};

use super::{Kernel, pinned, points::at_every_point, user};
use crate::tests::{
    cpus::Place,
    kernel::{endpoint, notification},
};

/// More than one step looks at.
const WAITERS: usize = 20;

/// The walk goes from the last to the first: one that is still to be visited may step behind it.
#[test]
fn who_changes_its_place_while_others_are_told_is_told_too() {
    for (signals, priority) in [(false, 3), (false, 15), (true, 3)] {
        at_every_point(|point| {
            let mut kernel = Kernel::boot_with(2, 0);
            let cpus = kernel.cpus();
            let process = kernel.process("p");
            let root = if signals { notification(&process).1 } else { endpoint(&process).1 };
            let told = Rc::<RefCell<Vec<Result<(), Error>>>>::default();
            let waiters: Vec<_> = (0..WAITERS)
                .map(|_| {
                    let told = told.clone();
                    let waiter = pinned(&mut kernel, &process, 1, 10, async move {
                        let slot = user::copy(root, CapSlot::NULL, Rights::all(), 0).await.unwrap();
                        let result = match signals {
                            true => user::wait_signal(slot, Never).await.map(drop),
                            false => user::send(slot, user::message(1, &[]), Never).await,
                        };
                        told.borrow_mut().push(result);
                    });
                    waiter.start().unwrap();
                    waiter
                })
                .collect();
            cpus.run_alone(1);
            let revoker = pinned(&mut kernel, &process, 0, 20, async move {
                user::give_way().await;
                user::revoke(root).await.unwrap();
            });
            revoker.start().unwrap();
            cpus.run_until(0, || cpus.place(0) == Place::User);
            cpus.step(0);
            let others = cpus.clone();
            cpus.at_point(point, move || {
                for waiter in &waiters {
                    let _ = waiter.ask_priority(priority);
                }
                others.run_alone(1);
            });
            // More than one step: the revoke waits for the other CPU in between.
            for _ in 0..10 {
                cpus.step_if(0, || true);
                cpus.step_if(1, || true);
            }
            let came = !cpus.has_not_come();
            kernel.run_until_idle();
            assert_eq!(*told.borrow(), [Err(Error::Revoked); WAITERS], "point {point}, {priority}");
            came
        });
    }
}
