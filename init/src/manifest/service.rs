//! A service as the manifest names it.
#![forbid(unsafe_code)]

use alloc::{format, string::String, vec::Vec};
use core::ops::RangeInclusive;

use orbital_user::Rights;

/// A service. Each field is a key of its table; the defaults stand in `docs/services.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// By which others need it, and its process is called.
    pub name: String,
    /// Its file in the archive.
    pub program: String,
    /// Its command line.
    pub arguments: String,
    /// Whether it serves an endpoint.
    pub serves: bool,
    /// What it may ask.
    pub needs: Vec<Need>,
    /// The I/O ports that it may read and write.
    pub ports: Vec<RangeInclusive<u16>>,
    /// The interrupts that it may bind.
    pub interrupts: Vec<u64>,
    /// Whether it may draw.
    pub framebuffer: bool,
    /// Whether it may read the archive of programs.
    pub archive: bool,
    /// What it may do with the system.
    pub system: Rights,
    /// Frames of 4 KiB.
    pub frames: Amount,
    /// Bytes of kernel memory.
    pub kernel: Amount,
    /// Its first thread's priority.
    pub priority: u8,
    /// The CPUs that it may run on, a bit each.
    pub cpus: u64,
    /// Whether it is started anew.
    pub restart: Restart,
    /// How long that takes, in nanoseconds.
    pub backoff: u64,
    /// Whether the system ends with it.
    pub session: bool,
}

impl Service {
    /// The names of all capabilities that it is handed over by name.
    pub fn grant_names(&self) -> impl Iterator<Item = String> {
        let own = [(self.serves, SERVICE), (self.framebuffer, FRAMEBUFFER)];
        let own = own.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.into());
        let needs = self.needs.iter().map(|need| need.name.clone());
        let ports = self.ports.iter().map(port_name);
        own.chain(needs).chain(ports).chain(self.interrupts.iter().map(interrupt_name))
    }
}

/// The name under which a service finds the endpoint that it serves.
pub const SERVICE: &str = "service";
/// The name under which it finds the framebuffer's memory.
pub const FRAMEBUFFER: &str = "framebuffer";

/// The name under which it finds these ports.
pub fn port_name(ports: &RangeInclusive<u16>) -> String {
    format!("port-{:x}", ports.start())
}

/// The name under which it finds this interrupt.
pub fn interrupt_name(line: &u64) -> String {
    format!("interrupt-{line}")
}

/// Whom a service may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The name under which it finds the capability.
    pub name: String,
    /// Who that is.
    pub provider: Provider,
    /// Which of the provider's own rights the badge has.
    pub rights: u64,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Init itself.
    Supervisor,
    /// The service at this place of the manifest.
    Service(usize),
}

/// How much of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So much.
    Of(u64),
    /// So many hundredths of what init has when it starts the services.
    Percent(u64),
}

impl Amount {
    /// How much that is where there is so much.
    pub const fn out_of(self, whole: u64) -> u64 {
        match self {
            Self::Of(amount) => amount,
            Self::Percent(percent) => (whole as u128 * percent as u128 / 100) as u64,
        }
    }
}

/// When a service is started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// However it ends.
    Always,
    /// Unless it ends by itself with code 0.
    OnFailure,
    /// Not at all.
    Never,
}
