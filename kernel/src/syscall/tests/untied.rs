//! What was set through a capability that is revoked is as if it had never been: fault handlers, timers' notifications,
//! bindings. What was set through others stays.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{Deadline::At, fault::RESUME};

use super::{
    CapSlot, Error, ExitReason, Kernel, Never, Process, Ref, Rights, Syscall, grant, user,
};
use crate::{
    arch::host::clock,
    capability::transfer,
    object::Object,
    tests::kernel::{endpoint, notification},
    thread::{Tcb, state::ThreadState},
};

const ADDRESS: u64 = 0x1000;
/// Of the timers, in nanoseconds.
const PERIOD: u64 = 1_000_000;

/// An object's owner, and a user with two capabilities that were derived from the owner's. Both live until the end.
struct Case {
    owner: Ref<Process>,
    user: Ref<Process>,
    root: CapSlot,
    copy: CapSlot,
    beside: CapSlot,
    kernel: Kernel,
}

fn case<T: Object>(make: impl FnOnce(&Kernel, &Ref<Process>) -> Ref<T>, badges: [u64; 2]) -> Case {
    let mut kernel = Kernel::boot();
    let (owner, user) = (kernel.process("owner"), kernel.process("user"));
    let object = make(&kernel, &owner);
    let root = grant(&owner, &object, Rights::all(), 0);
    let [copy, beside] = badges.map(|badge| {
        let rights = (Rights::all(), badge);
        transfer::copy(&owner.table, root, rights, &user.table, &user.quota).unwrap()
    });
    for process in [&owner, &user] {
        let (_, idle) = endpoint(process);
        kernel.spawn(process, 1, async move {
            let _ = user::receive(idle, Never).await;
        });
    }
    kernel.run_until_idle();
    Case { owner, user, root, copy, beside, kernel }
}

impl Case {
    /// A program of the user's runs as far as it comes.
    fn run(&mut self, program: impl Future<Output = ()> + 'static) -> Ref<Tcb> {
        let thread = self.kernel.spawn(&self.user, 10, program);
        self.kernel.run_until_idle();
        thread
    }

    /// The owner revokes the copy alone: what it was derived from has no other child but that.
    fn revoke(&mut self, badge: u64) {
        let root = self.root.bits();
        self.kernel.spawn(&self.owner, 10, async move {
            user::control(Syscall::CapabilityRevoke, [root, badge, 0, 0]).await.unwrap();
        });
        self.kernel.run_until_idle();
    }

    /// A thread of the user's that is about to fault, and the capability to it.
    fn faulting(&mut self) -> (Ref<Tcb>, CapSlot) {
        let thread = self.kernel.thread(&self.user, 10, async {
            user::fault(ADDRESS).await;
            0
        });
        let slot = grant(&self.user, &thread, Rights::MANAGE, 0);
        (thread, slot)
    }

    /// The owner answers all faults; how many came.
    fn serve(&mut self) -> Rc<Cell<u32>> {
        let (root, count) = (self.root, Rc::new(Cell::new(0)));
        let counted = count.clone();
        self.kernel.spawn(&self.owner, 20, async move {
            while let Ok(request) = user::receive(root, Never).await {
                assert!(request.is_fault);
                counted.set(counted.get() + 1);
                user::reply(user::message(RESUME, &[])).await.unwrap();
            }
        });
        self.kernel.run_until_idle();
        count
    }

    fn start(&mut self, thread: &Ref<Tcb>) -> Option<ExitReason> {
        thread.start().unwrap();
        self.kernel.run_until_idle();
        thread.exit_reason()
    }
}

async fn set_handler(thread: CapSlot, endpoint: CapSlot) -> Result<(), Error> {
    let words = [thread.bits(), endpoint.bits(), 0, 0];
    user::control(Syscall::ThreadSetFaultHandler, words).await.map(|_| ())
}

/// Whether it ended for its fault.
fn has_faulted(reason: Option<ExitReason>) -> bool {
    matches!(reason, Some(ExitReason::Faulted(fault)) if fault.address == ADDRESS)
}

#[test]
fn a_fault_whose_handler_was_revoked_is_one_without_a_handler() {
    for closes in [false, true] {
        // Those with badge 7 go.
        let mut case = case(|_, owner| endpoint(owner).0, [7, 8]);
        let count = case.serve();
        let (copy, beside) = (case.copy, case.beside);
        let [(lost, first), (kept, second), (early, third)] = [(); 3].map(|()| case.faulting());
        case.run(async move {
            set_handler(first, copy).await.unwrap();
            set_handler(second, beside).await.unwrap();
            set_handler(third, copy).await.unwrap();
            if closes {
                let moved = user::relocate(copy).await.unwrap();
                user::close(moved).await.unwrap();
            }
        });
        assert_eq!(case.start(&early), Some(ExitReason::Exited(0)), "it is handled until then");
        case.revoke(7);
        assert!(has_faulted(case.start(&lost)));
        assert_eq!(case.start(&kept), Some(ExitReason::Exited(0)));
        assert_eq!(count.get(), 2);
        let (other, slot) = case.faulting();
        case.run(async move {
            assert_eq!(set_handler(slot, copy).await, Err(Error::StaleCapability));
            set_handler(slot, beside).await.unwrap();
        });
        case.revoke(0);
        assert!(has_faulted(case.start(&other)), "with all others");
    }
}

#[test]
fn a_fault_that_waits_for_its_handler_ends_with_the_capability_by_which_that_was_set() {
    // Which handler its thread gets while it waits: none, by the same capability, by the one that stays.
    for then in 0..4 {
        let mut case = case(|_, owner| endpoint(owner).0, [7, 8]);
        let (copy, beside) = (case.copy, case.beside);
        let [(gone, first), (stays, second)] = [(); 2].map(|()| case.faulting());
        case.run(async move {
            set_handler(first, copy).await.unwrap();
            set_handler(second, beside).await.unwrap();
        });
        for thread in [&gone, &stays] {
            assert_eq!(case.start(thread), None);
            assert_eq!(thread.state(), ThreadState::Blocked);
        }
        case.run(async move {
            for (thread, other) in [(first, beside), (second, copy)] {
                match then {
                    0 => {}
                    1 => set_handler(thread, CapSlot::NULL).await.unwrap(),
                    2 => set_handler(thread, other).await.unwrap(),
                    _ => {
                        set_handler(thread, other).await.unwrap();
                        set_handler(thread, CapSlot::NULL).await.unwrap();
                    }
                }
            }
        });
        case.revoke(7);
        assert!(has_faulted(gone.exit_reason()), "{then}");
        assert_eq!(stays.exit_reason(), None, "{then}");
        assert_eq!(case.serve().get(), 1);
        assert_eq!(stays.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

#[test]
fn a_fault_that_was_taken_before_a_revoke_is_answered() {
    let mut case = case(|_, owner| endpoint(owner).0, [0, 0]);
    let (root, copy) = (case.root, case.copy);
    let (thread, slot) = case.faulting();
    case.run(async move { set_handler(slot, copy).await.unwrap() });
    assert_eq!(case.start(&thread), None);
    case.kernel.spawn(&case.owner, 10, async move {
        assert!(user::receive(root, Never).await.unwrap().is_fault);
        user::revoke(root).await.unwrap();
        user::reply(user::message(RESUME, &[])).await.unwrap();
    });
    case.kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
}

#[test]
fn a_timer_signals_no_more_when_its_notification_was_revoked() {
    let mut case = case(|_, owner| notification(owner).0, [1, 6]);
    let (root, copy, beside) = (case.root, case.copy, case.beside);
    // As long as they are armed, the machine does not come to rest.
    case.kernel.spawn(&case.user, 10, async move {
        let gone = user::timer(copy, 1).await.unwrap();
        let goes_on = user::timer(beside, 2).await.unwrap();
        let start = clock::nanoseconds();
        for timer in [gone, goes_on] {
            user::set_timer(timer, start + PERIOD, PERIOD).await.unwrap();
        }
    });
    let waits = move |times: u32| async move {
        let mut bits = 0;
        for _ in 0..times {
            bits |= user::wait_signal(root, At(clock::nanoseconds() + 3 * PERIOD)).await.unwrap();
            user::work(PERIOD).await;
        }
        bits
    };
    case.kernel.spawn(&case.owner, 10, async move {
        assert_eq!(waits(4).await, 3, "both come");
        user::control(Syscall::CapabilityRevoke, [root.bits(), 1, 0, 0]).await.unwrap();
        // What came until then.
        let _ = user::wait_signal(root, super::Now).await;
        assert_eq!(waits(4).await, 2, "one comes after the revoke");
        user::revoke(root).await.unwrap();
        let _ = user::wait_signal(root, super::Now).await;
        let later = At(clock::nanoseconds() + 10 * PERIOD);
        assert_eq!(user::wait_signal(root, later).await, Err(Error::TimedOut));
    });
    case.kernel.run_until_idle();
    let timers = [1, 2].map(|behind| CapSlot::new(beside.index() + behind, 1));
    case.run(async move {
        for timer in timers {
            let set = user::set_timer(timer, clock::nanoseconds() + PERIOD, 0).await;
            // Behind the two copies and the idle thread's endpoint.
            assert!(matches!(set, Err(Error::Revoked | Error::WrongKind)), "{set:?}");
        }
        assert_eq!(user::timer(copy, 1).await, Err(Error::StaleCapability));
    });
}

#[test]
fn a_bound_endpoint_is_free_when_the_capability_was_revoked_by_which_it_was_bound() {
    for by_copy in [false, true] {
        let mut case = case(|_, owner| endpoint(owner).0, [0, 0]);
        let (thread, slot) = case.faulting();
        let object = case.owner.capability(case.root).unwrap().object;
        let own = case.user.install(crate::capability::Capability {
            object,
            rights: Rights::all(),
            badge: 0,
        });
        let (copy, own, root) = (case.copy, own.unwrap(), case.root);
        let by = if by_copy { copy } else { own };
        case.run(async move { user::bind(Syscall::EndpointBind, by, slot).await.unwrap() });
        let receive = move || async move { user::receive(root, super::Now).await.map(|_| ()) };
        let result = Rc::new(Cell::new(Ok(())));
        for expected in [false, true] {
            let told = result.clone();
            case.kernel.spawn(&case.owner, 10, async move { told.set(receive().await) });
            case.kernel.run_until_idle();
            let is_free = expected && by_copy;
            let error = if is_free { Error::WouldBlock } else { Error::BoundToAnother };
            assert_eq!(result.get(), Err(error));
            case.revoke(0);
        }
        // It can be bound anew, where it is not.
        case.run(async move {
            let expected = if by_copy { Ok(()) } else { Err(Error::AlreadyBound) };
            assert_eq!(user::bind(Syscall::EndpointBind, own, slot).await, expected);
        });
        drop(thread);
    }
}

#[test]
fn a_bound_notification_ends_no_receive_when_the_capability_was_revoked() {
    let mut case = case(|_, owner| notification(owner).0, [0, 0]);
    let (_, receiver) = endpoint(&case.user);
    let (copy, root) = (case.copy, case.root);
    let told = Rc::new(Cell::new(0));
    let tells = told.clone();
    let thread = case.kernel.thread(&case.user, 10, async move {
        while user::receive(receiver, Never).await.is_ok() {
            tells.set(tells.get() + 1);
        }
        0
    });
    let slot = grant(&case.user, &thread, Rights::MANAGE, 0);
    case.run(async move { user::bind(Syscall::NotificationBind, copy, slot).await.unwrap() });
    assert_eq!(case.start(&thread), None);
    for expected in [1, 1] {
        case.kernel.spawn(&case.owner, 10, async move {
            user::signal(root, 1).await.unwrap();
        });
        case.kernel.run_until_idle();
        assert_eq!(told.get(), expected);
        case.revoke(0);
        assert!(!thread.has_notification());
    }
    case.kernel.spawn(&case.owner, 10, async move {
        assert_eq!(user::wait_signal(root, super::Now).await, Ok(1), "it stayed where it was");
    });
    case.kernel.run_until_idle();
    thread.kill();
    case.kernel.run_until_idle();
}
