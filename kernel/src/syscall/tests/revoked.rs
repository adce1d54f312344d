//! What has begun with a capability takes no effect when a revoke of that has returned, at whatever step it was: it is
//! done before, or never.
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use orbital_abi::arguments::SystemLog;

use super::{
    CapSlot, Error, Kernel, MemoryMap, Never, Process, Ref, Rights, Syscall, SystemObject, grant,
    user,
};
use crate::{
    arch::{
        Access,
        host::{clock, serial},
    },
    boot::CommandLine,
    capability::transfer,
    log,
    object::Object,
    tests::{
        kernel::{CHILD_FRAMES, endpoint},
        page,
    },
    vm::{AddressSpace, MemoryObject, address_space::Mapping},
};

const PAGE: u64 = 4096;
const AT: u64 = 0x4000_0000;
/// Longer than a slice, in nanoseconds: each step is a turn.
const LONG: u64 = 10_000_000;
const PAGES: u64 = 100;

/// An operation by a capability that may be gone.
type Operation = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// Two processes. The second one has a copy of the first one's capability to an object.
struct Case {
    owner: Ref<Process>,
    user: Ref<Process>,
    root: CapSlot,
    copy: CapSlot,
    kernel: Kernel,
}

fn case<T: Object>(object: impl FnOnce(&Kernel) -> Ref<T>, rights: Rights) -> Case {
    let kernel = Kernel::boot();
    let (owner, user) = (kernel.process("owner"), kernel.process("user"));
    let object = object(&kernel);
    let mut case = Case { owner, user, root: CapSlot::NULL, copy: CapSlot::NULL, kernel };
    case.derive(&object, rights);
    case
}

impl Case {
    /// The capabilities are to this object from here on.
    fn derive<T: Object>(&mut self, object: &Ref<T>, rights: Rights) {
        let (rights, to) = (rights | Rights::GRANT, &self.user);
        self.root = grant(&self.owner, object, rights, 0);
        let copy = transfer::copy(&self.owner.table, self.root, (rights, 0), &to.table, &to.quota);
        self.copy = copy.unwrap();
    }

    /// Revokes the copy so many turns after `operation` has begun. Whether that was done, which `is_done` tells.
    fn run(
        self,
        turns: u32,
        operation: Operation,
        is_done: impl Fn(&Process) -> bool + 'static,
    ) -> bool {
        let (answer, is_done) = self.answer(turns, operation, is_done);
        assert_eq!(answer.is_ok(), is_done);
        is_done
    }

    /// The same: its answer, and whether what was done is so.
    fn answer(
        mut self,
        turns: u32,
        operation: Operation,
        is_done: impl Fn(&Process) -> bool + 'static,
    ) -> (Result<(), Error>, bool) {
        clock::set_pace(LONG);
        let [(_, idle), (_, own_idle)] = [endpoint(&self.user), endpoint(&self.owner)];
        let result = Rc::new(Cell::new(None));
        let told = result.clone();
        self.kernel.spawn(&self.user, 7, async move {
            told.set(Some(operation.await));
            user::receive(idle, Never).await.unwrap();
        });
        let (root, process, done) = (self.root, self.user.clone(), Rc::new(Cell::new(false)));
        let (was_done, is_done) = (done.clone(), Rc::new(is_done));
        let look = is_done.clone();
        self.kernel.spawn(&self.owner, 7, async move {
            for _ in 0..turns {
                user::give_way().await;
            }
            user::revoke(root).await.unwrap();
            was_done.set(look(&process));
            // It lives on, with what it has.
            user::receive(own_idle, Never).await.unwrap();
        });
        self.kernel.run_until_idle();
        assert_eq!(is_done(&self.user), done.get(), "it was done after {turns} turns and a revoke");
        let answer = result.get().expect("an answer");
        assert!(matches!(answer, Ok(()) | Err(Error::StaleCapability)), "{answer:?}");
        (answer, done.get())
    }
}

/// Both come out in some of the turns: it was done, and it was not.
fn both(run: impl Fn(u32) -> bool) {
    let done: Vec<_> = (0..60).map(run).collect();
    assert!(done.contains(&true) && done.contains(&false), "{done:?}");
}

fn memory(kernel: &Kernel, pages: u64) -> Ref<MemoryObject> {
    MemoryObject::new(pages * PAGE, &kernel.init.quota).unwrap()
}

fn touch(object: &Ref<MemoryObject>) {
    for page in 0..object.pages() {
        object.write(page * PAGE, b"touched").unwrap();
    }
}

#[test]
fn a_clone_of_memory() {
    both(|turns| {
        let case = case(|kernel| memory(kernel, PAGES), Rights::READ);
        let copy = case.copy;
        let clone = Box::pin(async move {
            user::control(Syscall::MemoryClone, [copy.bits(), 0, 0, 0]).await.map(|_| ())
        });
        // In the slot behind that of the endpoint at which its thread waits.
        case.run(turns, clone, |user| user.still_has(CapSlot::new(2, 1)))
    });
}

#[test]
fn a_mapping_for_which_memory_has_to_come_back() {
    both(|turns| {
        let case = case(|kernel| memory(kernel, 1), Rights::READ);
        let (memory, user) = (case.copy, case.user.clone());
        let map = Box::pin(async move {
            // All frames: there are none for tables.
            let all = (0..CHILD_FRAMES)
                .rev()
                .find_map(|pages| MemoryObject::new(pages * PAGE, &user.quota).ok().inspect(touch));
            drop(all);
            let (process, rights) = (CapSlot::NULL, Rights::READ);
            user::map(MemoryMap { process, memory, address: AT, offset: 0, bytes: PAGE, rights })
                .await
        });
        let (answer, is_done) = case.answer(turns, map, |user| user.space.query(AT).is_ok());
        assert!(!is_done, "what was mapped before the revoke is unmapped by it");
        answer.is_ok()
    });
}

/// By a capability to a thread whose process has no frame until memory has come back.
#[test]
fn a_message_page_for_which_memory_has_to_come_back() {
    both(|turns| {
        let mut case = case(|kernel| memory(kernel, 1), Rights::READ);
        let target = case.kernel.process("target");
        let thread = case.kernel.thread(&target, 7, async { 0 });
        case.derive(&thread, Rights::MANAGE);
        drop(thread);
        let (copy, payer) = (case.copy, target.clone());
        let give = Box::pin(async move {
            let all = (0..CHILD_FRAMES).rev().find_map(|pages| {
                MemoryObject::new(pages * PAGE, &payer.quota).ok().inspect(touch)
            });
            drop(all);
            page::give(copy, AT).await.map(|address| assert_eq!(address, AT))
        });
        case.run(turns, give, move |_| target.space.query(AT).is_ok_and(|it| it.start == AT))
    });
}

/// The text stands in memory that is being cloned.
#[test]
fn a_line_for_the_log_that_can_t_be_read_for_a_moment() {
    both(|turns| {
        let mut case = case(|_| SystemObject::new().unwrap(), Rights::LOG);
        log::init(&CommandLine::new("log=info"));
        let object = memory(&case.kernel, PAGES);
        case.kernel.on(0, || {
            touch(&object);
            let mapping = Mapping::whole(&object, AT, Access::Read);
            AddressSpace::map(&case.user.space, mapping).unwrap();
        });
        let source = grant(&case.user, &object, Rights::READ, 0);
        drop(object);
        case.kernel.spawn(&case.user, 7, async move {
            user::control(Syscall::MemoryClone, [source.bits(), 0, 0, 0]).await.unwrap();
        });
        let system = case.copy;
        let say = Box::pin(async move {
            let arguments = SystemLog { system, text: AT, bytes: 7 };
            user::syscall(Syscall::SystemLog as u64, arguments.encode()).await.map(|_| ())
        });
        serial::take();
        let said = RefCell::new(String::new());
        case.run(turns, say, move |_| {
            *said.borrow_mut() += &serial::take();
            said.borrow().contains(".user: touched\n")
        })
    });
}

/// By a capability to the process: another change goes on when it is called.
#[test]
fn an_unmapping_that_waits_for_another() {
    both(|turns| {
        let mut case = case(|kernel| memory(kernel, PAGES), Rights::READ);
        let target = case.kernel.process("target");
        case.derive(&target, Rights::MANAGE);
        let (copy, space) = (case.copy, &target.space);
        case.kernel.on(0, || {
            let object = memory(&case.kernel, PAGES);
            touch(&object);
            for address in [AT, 2 * AT] {
                let mapping = Mapping::whole(&object, address, Access::Read);
                AddressSpace::map(space, mapping).unwrap();
            }
            AddressSpace::begin_unmap(space, AT, PAGES * PAGE, 0).unwrap();
        });
        let unmap = Box::pin(async move { user::unmap(copy, 2 * AT, PAGES * PAGE).await });
        // Its first step is its beginning.
        case.run(turns, unmap, move |_| target.space.translate(2 * AT).is_none())
    });
}
