//! The last capability to receive by goes, and another CPU does something at the endpoint at each point of that.
#![forbid(unsafe_code)]

use std::{cell::RefCell, rc::Rc};

use orbital_abi::{CapSlot, Deadline::Never, Error, Rights};

use super::{Kernel, pinned, points::at_every_point, user};
use crate::{
    object::Ref,
    process::Process,
    tests::{
        cpus::Place,
        kernel::{endpoint, grant},
    },
};

/// More than one step tells.
const WAITERS: usize = 20;

type Told = Rc<RefCell<Vec<Result<(), Error>>>>;

/// A thread of CPU 1 that sends by `slot`, and notes what comes of it.
fn sender(kernel: &mut Kernel, process: &Ref<Process>, slot: CapSlot, told: &Told) {
    let told = told.clone();
    let sender = pinned(kernel, process, 1, 10, async move {
        let result = user::send(slot, user::message(1, &[]), Never).await;
        told.borrow_mut().push(result);
    });
    sender.start().unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    /// The last capability of all is closed, too.
    Close,
    /// One comes that sends.
    Send,
}

#[test]
fn everyone_is_told_whatever_another_cpu_does() {
    for deed in [Deed::Close, Deed::Send] {
        at_every_point(|point| {
            let mut kernel = Kernel::boot_with(2, 0);
            let cpus = kernel.cpus();
            let [server, client, late] = ["server", "client", "late"].map(|it| kernel.process(it));
            let (object, receiver) = endpoint(&server);
            let sends = grant(&client, &object, Rights::SEND, 0);
            drop(object);
            let told = Told::default();
            for _ in 0..WAITERS {
                sender(&mut kernel, &client, sends, &told);
            }
            cpus.run_alone(1);
            let closes = pinned(&mut kernel, &server, 0, 20, async move {
                user::give_way().await;
                user::close(receiver).await.unwrap();
            });
            closes.start().unwrap();
            if deed == Deed::Send {
                let object = client.capability(sends).unwrap().object(Rights::SEND).unwrap();
                let slot = grant::<crate::ipc::Endpoint>(&late, &object, Rights::SEND, 0);
                drop(object);
                sender(&mut kernel, &late, slot, &told);
            }
            cpus.run_until(0, || cpus.place(0) == Place::User);
            cpus.step(0);
            let others = cpus.clone();
            cpus.at_point(point, move || match deed {
                Deed::Close => client.close(sends).unwrap(),
                Deed::Send => others.run_alone(1),
            });
            for _ in 0..10 {
                cpus.step_if(0, || true);
                cpus.step_if(1, || true);
            }
            let came = !cpus.has_not_come();
            kernel.run_until_idle();
            let expected = WAITERS + usize::from(deed == Deed::Send);
            assert_eq!(
                *told.borrow(),
                vec![Err(Error::EndpointGone); expected],
                "{deed:?}, {point}"
            );
            came
        });
    }
}
