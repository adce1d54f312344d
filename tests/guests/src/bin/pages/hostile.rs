//! What programs do with pages that the kernel counts on: unmap them, map something else there, write them while
//! messages cross, end in the middle, and ask for more than they can pay.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use guests::{
    children,
    cpus::{be_equal, bit, leave_nothing, pairs, scaled, seed, spin},
    mapped::{READ_WRITE, do_map, do_protect, do_unmap, read, write},
    random::Random,
    raw,
    threads::{self, MIDDLE, label, settle},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, IpcError, MemoryObject, Message, MessagePage, Rights,
    abi::{
        Syscall,
        arguments::MemoryMap,
        layout::{MESSAGE_PAGES, PAGE_SIZE},
        message::REGISTER_WORDS,
    },
    endpoint::reply,
    memory::{Mapped, query},
    process::own_usage,
    thread::yield_now,
};

fn address(page: &MessagePage) -> u64 {
    page.entries().as_ptr().addr() as u64
}

/// What is mapped at an address.
fn mapped(address: u64) -> Option<Mapped> {
    query(CapSlot::NULL, address).ok().filter(|found| found.address <= address)
}

/// A message of 496 words that tell `value`.
fn full(page: &MessagePage, value: u64) -> Message {
    page.message(1, &[value; 496]).unwrap()
}

pub fn a_page_is_the_threads_own() {
    let page = MessagePage::of_thread().unwrap();
    let own = address(&page);
    assert!(MESSAGE_PAGES.contains(&own));
    assert!(page.entries().iter().all(|entry| entry.get() == 0));
    page.entries()[100].set(7);
    let expected = Mapped {
        address: own,
        bytes: PAGE_SIZE,
        offset: 0,
        rights: READ_WRITE,
        allowed: READ_WRITE,
    };
    assert_eq!(mapped(own), Some(expected));
    let other = threads::at(MIDDLE, || {
        let page = MessagePage::of_thread().unwrap();
        assert!(page.entries().iter().all(|entry| entry.get() == 0));
        address(&page)
    });
    assert_ne!(other.join(), Ok(own));
    assert_eq!(address(&MessagePage::of_thread().unwrap()), own);
    assert_eq!(page.entries()[100].get(), 7);
    // What is refused leaves nothing, and no page.
    let thread = Worker::new(MIDDLE, |_| (), 0);
    let [slot, refused] = [thread.slot(), CapSlot::NULL].map(CapSlot::bits);
    let call = Syscall::ThreadMessagePage;
    raw::refuse(call, raw::control([slot, 1]), Error::InvalidArgument);
    raw::refuse(call, raw::control([slot, own]), Error::AddressInUse);
    raw::refuse(call, raw::control([slot, 1 << 63]), Error::InvalidAddress);
    raw::refuse(call, raw::control([slot ^ 1 << 40, refused]), Error::EmptySlot);
    let place = 0x3000_0000_0000;
    assert_eq!(thread.give_message_page(place), Ok(place));
    assert_eq!(thread.give_message_page(0), Ok(place));
}

/// By its own end and by a kill, with the page mapped and not.
pub fn a_page_goes_with_its_thread() {
    fn unmaps(_: &Own) {
        let page = MessagePage::of_thread().unwrap();
        do_unmap(address(&page), PAGE_SIZE).unwrap();
    }
    fn waits(own: &Own) {
        let page = MessagePage::of_thread().unwrap();
        // For a reply that does not come.
        let _ = threads::endpoint(own.slot()).call(&full(&page, 3));
    }
    static PLACE: AtomicU64 = AtomicU64::new(0);
    leave_nothing(20, || {
        let ended = threads::at(MIDDLE, || address(&MessagePage::of_thread().unwrap()));
        let place = ended.join().unwrap();
        settle();
        assert_eq!(mapped(place), None);
        let worker = Worker::start(MIDDLE, unmaps, 0);
        assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
        let endpoint = Endpoint::create().unwrap();
        for is_taken in [false, true] {
            let worker = Worker::start(MIDDLE, waits, endpoint.slot().bits());
            settle();
            if is_taken {
                MessagePage::of_thread().unwrap();
                assert_eq!(endpoint.receive().unwrap().message.tag.words(), 496);
            }
            PLACE.store(worker.give_message_page(0).unwrap(), SeqCst);
            worker.kill().unwrap();
            settle();
            assert_eq!(mapped(PLACE.load(SeqCst)), None);
        }
    });
}

/// Words come and go by the page, whatever is mapped in its place; that keeps what it has, and stays.
pub fn what_is_mapped_over_a_page_is_not_touched() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let server = threads::at(MIDDLE, move || {
        let place = address(&MessagePage::of_thread().unwrap());
        do_unmap(place, PAGE_SIZE).unwrap();
        let memory = MemoryObject::create(PAGE_SIZE).unwrap();
        let (process, memory) = (CapSlot::NULL, memory.slot());
        do_map(MemoryMap {
            process,
            memory,
            address: place,
            offset: 0,
            bytes: PAGE_SIZE,
            rights: READ_WRITE,
        })
        .unwrap();
        let words = || (place..place + PAGE_SIZE).step_by(8);
        words().for_each(|word| write(word, word));
        let received = threads::endpoint(slot).receive().unwrap();
        reply(&received.message).unwrap();
        assert!(words().all(|word| read(word) == word));
        place
    });
    let page = MessagePage::of_thread().unwrap();
    let sent = full(&page, 9);
    page.entries()[REGISTER_WORDS..].iter().zip(100..).for_each(|(entry, word)| entry.set(word));
    settle();
    let own = address(&page);
    let call = move || threads::endpoint(slot).call(&sent);
    assert_eq!(call(), Ok(sent));
    assert_eq!((read(own + 8 * 8), read(own + 495 * 8)), (100, 100 + 487));
    let place = server.join().unwrap();
    settle();
    // The thread is gone, and its page; what was put there is not.
    assert_eq!((read(place), read(place + 4088)), (place, place + 4088));
    do_unmap(place, PAGE_SIZE).unwrap();
}

pub fn a_page_is_never_executable() {
    let page = MessagePage::of_thread().unwrap();
    let place = address(&page);
    let execute = Rights::READ | Rights::EXECUTE;
    assert_eq!(do_protect(place, PAGE_SIZE, execute), Err(Error::MissingRights));
    let all = execute | Rights::WRITE;
    assert_eq!(do_protect(place, PAGE_SIZE, all), Err(Error::WriteAndExecute));
    do_protect(place, PAGE_SIZE, Rights::READ).unwrap();
    assert_eq!(do_protect(place, PAGE_SIZE, execute), Err(Error::MissingRights));
    // What the program may not write, messages still do.
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let sender = threads::at(MIDDLE, move || {
        let page = MessagePage::of_thread().unwrap();
        threads::endpoint(slot).send(&full(&page, 5))
    });
    let received = endpoint.receive().unwrap();
    assert!(page.words(&received.message).eq([5; 496]));
    assert_eq!(sender.join(), Ok(Ok(())));
}

/// A process with a small quota, whose threads all want a page.
pub fn hoarder() {
    let threads: Vec<_> = (0..40).map(|_| Worker::new(MIDDLE, |_| (), 0)).collect();
    let before = own_usage().unwrap();
    for rest in [0, 1, 4, 10] {
        let used = own_usage().unwrap();
        let left = used.frames_limit - used.frames_used - rest;
        // An object of so many takes some for its books.
        let pages = left - left.div_ceil(512);
        let filler = MemoryObject::create(pages * PAGE_SIZE).unwrap();
        let has_page = |thread: &&Worker| match thread.give_message_page(0) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, Error::QuotaExceeded);
                false
            }
        };
        let count = threads.iter().take_while(has_page).count();
        assert!(count < 20, "{count} of {rest}");
        let full = own_usage().unwrap();
        assert!(!has_page(&&threads[count]));
        assert_eq!(own_usage(), Ok(full), "what fails takes nothing");
        drop(filler);
    }
    for thread in &threads {
        thread.give_message_page(0).unwrap();
    }
    drop(threads);
    settle();
    assert!(own_usage().unwrap().frames_used <= before.frames_used);
}

pub fn a_quota_ends_the_pages() {
    children::succeed(&children::start("hoarder", |s| s.quota(700, 256 * 1024)));
}

/// The pages of a sender and of a receiver.
static PAGES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static STOP: AtomicBool = AtomicBool::new(false);
/// What is written to both at any time, beside what the sender sends.
const NOISE: [u64; 2] = [0x1111_1111_1111_1111, 0x2222_2222_2222_2222];
const SENT: u64 = 0x3333_3333_3333_3333;

fn writes(own: &Own) {
    while !STOP.load(SeqCst) {
        let page = PAGES[own.part(0)].load(SeqCst);
        for word in 0..512 {
            write(page + 8 * word, NOISE[own.part(0)]);
        }
        yield_now();
    }
}

fn echoes(own: &Own) {
    let page = MessagePage::of_thread().unwrap();
    let endpoint = threads::endpoint(own.slot());
    let mut received = endpoint.receive();
    while let Ok(call) = received {
        // Each word is one that someone wrote there as a whole.
        let is_known = |word: u64| [SENT, NOISE[0], NOISE[1]].contains(&word);
        assert!(page.words(&call.message).all(is_known));
        if call.message.label() == 2 {
            reply(&label(3)).unwrap();
            return;
        }
        received = endpoint.reply_receive(&full(&page, SENT));
    }
}

/// Others write both pages all the time: what arrives is what stood there, word for word; the words in registers
/// are the sender's own.
pub fn pages_are_written_while_they_are_copied() {
    be_equal();
    let page = MessagePage::of_thread().unwrap();
    let rounds = scaled(2_000);
    for (from, to) in pairs() {
        STOP.store(false, SeqCst);
        let endpoint = Endpoint::create().unwrap();
        let server = Worker::on(bit(to), MIDDLE, echoes, endpoint.slot().bits());
        PAGES[0].store(address(&page), SeqCst);
        PAGES[1].store(server.give_message_page(0).unwrap(), SeqCst);
        let writers: Vec<_> = [(from, 1), (to, 0)]
            .map(|(cpu, page)| Worker::on(bit(cpu), MIDDLE, writes, page))
            .into();
        guests::own_thread().set_affinity(bit(from)).unwrap();
        for _ in 0..rounds {
            let answer = endpoint.call(&full(&page, SENT)).unwrap();
            assert_eq!((answer.tag.words(), answer.words), (496, [SENT; REGISTER_WORDS]));
        }
        STOP.store(true, SeqCst);
        for writer in &writers {
            assert_eq!(writer.wait(), Ok(ExitReason::Exited(0)));
        }
        assert_eq!(endpoint.call(&label(2)), Ok(label(3)));
        assert_eq!(server.wait(), Ok(ExitReason::Exited(0)));
    }
}

fn calls(own: &Own) {
    let page = MessagePage::of_thread().unwrap();
    let endpoint = threads::endpoint(own.slot());
    loop {
        match endpoint.call(&full(&page, SENT)) {
            Ok(answer) => assert!(page.words(&answer).eq([SENT; 496])),
            Err(error) => {
                let known = [IpcError::EndpointGone, IpcError::StaleCapability, IpcError::PeerGone];
                assert!(known.contains(&error), "{error}");
                return;
            }
        }
    }
}

/// One side is killed at any time: the other is told, or goes on waiting; pages and all else come back.
pub fn threads_are_killed_while_their_pages_are_copied() {
    be_equal();
    let mut random = Random::new(seed());
    leave_nothing(scaled(300), || {
        for (from, to) in pairs() {
            let endpoint = Endpoint::create().unwrap();
            let slot = endpoint.slot().bits();
            let server = Worker::on(bit(to), MIDDLE, echoes, slot);
            let client = Worker::on(bit(from), MIDDLE, calls, slot);
            for _ in 0..random.below(4) {
                yield_now();
            }
            spin(random.below(2_000));
            match random.once_in(2) {
                true => server.kill().unwrap(),
                false => client.kill().unwrap(),
            }
            drop(endpoint);
            for worker in [&server, &client] {
                let ended = worker.wait();
                let expected = [Ok(ExitReason::Killed), Ok(ExitReason::Exited(0))];
                assert!(expected.contains(&ended), "{ended:?}");
            }
        }
    });
}
