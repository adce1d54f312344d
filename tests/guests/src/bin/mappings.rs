//! Memory by random steps against a model: what is mapped where, what it allows, and what is in it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, rc::Rc, vec, vec::Vec};
use core::cell::RefCell;

use guests::{
    children,
    cpus::{count, leave_nothing, scaled, seed},
    mapped::{PLACE, do_map, do_protect, do_unmap, read, write},
    option, places,
    random::Random,
    suite,
};
use orbital_user::{
    CapSlot, Error, MemoryObject, Rights,
    abi::{
        Syscall,
        arguments::{MemoryMap, SystemLog},
        layout::PAGE_SIZE,
    },
    memory::query,
    process::own_usage,
    start::bootstrap,
    syscall::harmless,
    thread,
};

suite! {
    parallel: [random_steps_are_as_a_model_says],
    on "cpus=1,2,4 memory=512M": [random_steps_of_several_threads_are_as_their_models_say],
    roles: [walks],
}

/// Pages of the area that is mapped and unmapped: over several leaf tables.
const AREA: u64 = 2000;
/// Frames that this program keeps for itself, to start another with.
const OWN: u64 = 512;
/// Pages of the objects, from few to more than a large page.
const SIZES: [u64; 4] = [5, 40, 90, 1100];

/// The first word of each page of an object.
type Content = Rc<RefCell<Vec<u64>>>;

/// What the model knows of a page of the area.
#[derive(Clone)]
struct Page {
    content: Content,
    number: u64,
    rights: Rights,
}

struct World {
    random: Random,
    /// Where its area begins.
    place: u64,
    objects: Vec<(MemoryObject, Content)>,
    area: Vec<Option<Page>>,
}

impl World {
    fn new(seed: u64, place: u64) -> Self {
        let object = |pages| {
            let content = Rc::new(RefCell::new(vec![0; pages as usize]));
            (MemoryObject::create(pages * PAGE_SIZE).unwrap(), content)
        };
        Self {
            random: Random::new(seed),
            place,
            objects: SIZES.map(object).into(),
            area: vec![None; AREA as usize],
        }
    }

    fn address(&self, page: u64) -> u64 {
        self.place + page * PAGE_SIZE
    }

    fn rights(&mut self) -> Rights {
        match self.random.below(5) {
            0 => Rights::empty(),
            1 | 2 => Rights::READ,
            _ => Rights::READ | Rights::WRITE,
        }
    }

    /// A range of the area, most often a short one.
    fn range(&mut self) -> (u64, u64) {
        let longest = if self.random.once_in(4) { AREA } else { 40 };
        let from = self.random.below(AREA);
        (from, from + 1 + self.random.below(longest.min(AREA - from)))
    }

    fn pages(&mut self, from: u64, to: u64) -> &mut [Option<Page>] {
        &mut self.area[from as usize..to as usize]
    }

    fn map(&mut self) {
        let number = self.random.below(4) as usize;
        let size = SIZES[number];
        let first = if self.random.once_in(2) { 0 } else { self.random.below(size) };
        let pages = 1 + self.random.below(size - first);
        // Some of the largest where a large page can be.
        let aligned = number == 3 && self.random.once_in(2);
        let (first, pages) = if aligned { (0, size) } else { (first, pages) };
        let large = (self.place + 1).next_multiple_of(512 * PAGE_SIZE);
        let from = if aligned { (large - self.place) / PAGE_SIZE } else { self.random.below(AREA) };
        let to = from + pages;
        if to > AREA {
            return;
        }
        let rights = self.rights();
        let (memory, content) = (self.objects[number].0.slot(), self.objects[number].1.clone());
        let is_free = self.pages(from, to).iter().all(Option::is_none);
        let mapped = do_map(MemoryMap {
            process: CapSlot::NULL,
            memory,
            address: self.address(from),
            offset: first * PAGE_SIZE,
            bytes: pages * PAGE_SIZE,
            rights,
        });
        assert_eq!(mapped, if is_free { Ok(()) } else { Err(Error::AddressInUse) });
        if is_free {
            for (number, page) in (first..).zip(self.pages(from, to)) {
                *page = Some(Page { content: content.clone(), number, rights });
            }
        }
    }

    fn unmap(&mut self) {
        let (from, to) = self.range();
        do_unmap(self.address(from), (to - from) * PAGE_SIZE).unwrap();
        self.pages(from, to).fill(None);
    }

    fn protect(&mut self) {
        let (from, to) = self.range();
        let rights = self.rights();
        let is_mapped = self.pages(from, to).iter().all(Option::is_some);
        let is_done = do_protect(self.address(from), (to - from) * PAGE_SIZE, rights);
        assert_eq!(is_done, if is_mapped { Ok(()) } else { Err(Error::InvalidAddress) });
        if is_mapped {
            self.pages(from, to).iter_mut().flatten().for_each(|page| page.rights = rights);
        }
    }

    /// Reads a page, and writes it where it may be written; asks the kernel to where it may not be read.
    fn touch(&mut self) {
        let at = self.random.below(AREA);
        let value = self.random.bits();
        match &self.area[at as usize] {
            Some(page) if page.rights.contains(Rights::READ) => {
                let content = &mut page.content.borrow_mut()[page.number as usize];
                assert_eq!(read(self.address(at)), *content, "page {at}");
                assert_eq!(read(self.address(at) + PAGE_SIZE - 8), 0, "page {at}");
                if page.rights.contains(Rights::WRITE) {
                    write(self.address(at), value);
                    *content = value;
                }
            }
            page => {
                let system = bootstrap().system;
                let line = SystemLog { system, text: self.address(at), bytes: 1 };
                let refused = harmless(Syscall::SystemLog, &line.encode()).map(drop);
                assert_eq!(refused, Err(Error::InvalidAddress), "page {at}");
                let found = query(CapSlot::NULL, self.address(at)).map(|found| found.address);
                let is_here = found.is_ok_and(|start| start <= self.address(at));
                assert_eq!(is_here, page.is_some(), "page {at}");
            }
        }
    }

    /// An object gives way to a clone of itself; what is mapped of it stays.
    fn clone_object(&mut self) {
        let number = self.random.below(4) as usize;
        let (memory, content) = &self.objects[number];
        let clone = memory.clone_pages().unwrap();
        let content = Rc::new(RefCell::new(content.borrow().clone()));
        self.objects[number] = (clone, content);
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..10 => self.map(),
            10..15 => self.unmap(),
            15..20 => self.protect(),
            20 => self.clone_object(),
            _ => self.touch(),
        }
    }
}

/// So many steps in an area; then all of it is unmapped.
fn walk(steps: u64, seed: u64, place: u64) {
    let mut world = World::new(seed, place);
    (0..steps).for_each(|_| world.step());
    do_unmap(place, AREA * PAGE_SIZE).unwrap();
}

/// Maps, touches, protects, clones and unmaps. When all is gone, the counters are what they were.
fn random_steps_are_as_a_model_says() {
    let (steps, seed) = (scaled(100_000), seed());
    leave_nothing(1, || walk(steps, seed, PLACE));
}

/// Threads of one process, each in an area of its own; the areas share tables.
fn walks() {
    let number = |key| option(key).and_then(|text| text.parse::<u64>().ok()).unwrap();
    let (threads, steps, seed) = (number("threads"), number("steps"), number("seed"));
    let place = |number| PLACE + number * (AREA + 1) * PAGE_SIZE;
    let start = |number| thread::spawn(move || walk(steps, seed + number, place(number)));
    let threads: Vec<_> = (0..threads).map(|number| start(number).unwrap()).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// The same by a thread for each CPU and one more, in a process whose own heap and locks end with it, and which
/// may have all frames that there are: the second time too.
fn random_steps_of_several_threads_are_as_their_models_say() {
    let threads = count() as u64 + 1;
    let (steps, seed) = (scaled(100_000) / 2 / threads, seed());
    places::pave(16 << 20);
    let arguments = format!("threads={threads} steps={steps} seed={seed}");
    leave_nothing(2, || {
        let usage = own_usage().unwrap();
        let frames = usage.frames_limit - usage.frames_used - OWN;
        let child = children::start_with_arguments("walks", &arguments, |spawn| {
            spawn.quota(frames, 4 << 20)
        });
        children::succeed(&child);
    });
}
