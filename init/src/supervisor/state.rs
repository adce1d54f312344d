//! What init knows of its services.
#![forbid(unsafe_code)]

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    task::{Poll, Waker},
};

use orbital_init::manifest::{Manifest, Service};
use orbital_user::{
    Endpoint, Error, Interrupt, IoPort, Notification, process::own_usage, program::Archive,
    spawn::Child,
};

/// All of it.
pub struct State {
    /// The services as they shall be.
    pub manifest: Manifest,
    /// As they are, in the same order.
    pub services: Vec<Running>,
    /// Where their programs are.
    pub archive: Archive,
    /// Where init is asked.
    pub own: Endpoint,
    /// What the session shall run.
    pub exec: Option<String>,
    verdict: Cell<Option<u64>>,
    waits: RefCell<Option<Waker>>,
}

/// A service as it is.
#[derive(Default)]
pub struct Running {
    /// What it serves, whoever serves it at the time.
    pub endpoint: Option<Endpoint>,
    /// What it may use.
    pub frames: u64,
    /// The same in bytes of kernel memory.
    pub kernel_bytes: u64,
    /// Its process, while there is one.
    pub child: RefCell<Option<Child>>,
    /// How often it was started anew.
    pub restarts: Cell<u64>,
    /// How its process ended last.
    pub ended: Cell<Option<[u64; 4]>>,
    /// Whom to tell when it is started anew, by the numbers of those who asked for it.
    pub watchers: RefCell<BTreeMap<u64, Notification>>,
    /// Its interrupts, once it has been started.
    pub interrupts: RefCell<Vec<Interrupt>>,
    /// Its ports, while it runs: the kernel writes its log to the serial port again as soon as nobody has it.
    pub ports: RefCell<Vec<IoPort>>,
}

impl State {
    /// Nothing runs yet.
    ///
    /// # Errors
    /// Those of endpoints.
    pub fn new(manifest: Manifest, archive: Archive, exec: Option<String>) -> Result<Self, Error> {
        let usage = own_usage()?;
        let frames = usage.frames_limit - usage.frames_used;
        let kernel_bytes = usage.kernel_bytes_limit - usage.kernel_bytes_used;
        let running = |service: &Service| {
            Ok(Running {
                endpoint: service.serves.then(Endpoint::create).transpose()?,
                frames: service.frames.out_of(frames),
                kernel_bytes: service.kernel.out_of(kernel_bytes),
                ..Running::default()
            })
        };
        let services = manifest.services.iter().map(running).collect::<Result<_, Error>>()?;
        Ok(Self {
            manifest,
            services,
            archive,
            own: Endpoint::create()?,
            exec,
            verdict: Cell::new(None),
            waits: RefCell::new(None),
        })
    }

    /// Ends the system, with success where the code is 0.
    pub fn end(&self, code: u64) {
        // The first one counts.
        self.verdict.set(self.verdict.get().or(Some(code)));
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }

    /// Waits until someone [ends](Self::end) the system; gives the code.
    pub async fn ended(&self) -> u64 {
        core::future::poll_fn(|context| match self.verdict.get() {
            Some(code) => Poll::Ready(code),
            None => {
                *self.waits.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}
