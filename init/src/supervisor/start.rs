//! The start of a service: it is handed over what its lines of the manifest name, and nothing else.
#![forbid(unsafe_code)]

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use orbital_init::{
    manifest::{
        Provider, Service,
        service::{FRAMEBUFFER, SERVICE, interrupt_name, port_name},
    },
    protocol::badge,
};
use orbital_user::{
    CapSlot, Error, Interrupt, IoPort, MemoryObject, Rights,
    abi::{arguments::DeviceCache, framebuffer::Framebuffer, layout::PAGE_SIZE},
    memory::whole_pages,
    spawn::{Child, Spawn},
    system,
};

use super::state::{Running, State};

/// A capability on its way.
struct Given {
    name: String,
    slot: CapSlot,
    rights: Rights,
    badge: u64,
}

/// Starts the service at this place of the manifest.
///
/// # Errors
/// Why not, in a phrase; nothing of it is left then.
pub fn start(state: &State, place: usize) -> Result<(), String> {
    let (service, running) = (&state.manifest.services[place], &state.services[place]);
    let started = devices(service, running).and_then(|()| start_process(state, place));
    match started {
        Ok(child) => {
            *running.child.borrow_mut() = Some(child);
            Ok(())
        }
        Err(reason) => {
            running.ports.take();
            Err(reason)
        }
    }
}

/// Makes what its drivers need. Interrupts stay init's, so that nobody else gets them meanwhile.
fn devices(service: &Service, running: &Running) -> Result<(), String> {
    let mut lines = running.interrupts.borrow_mut();
    for line in service.interrupts.iter().skip(lines.len()) {
        lines.push(Interrupt::create(*line).map_err(|error| format!("interrupt {line}: {error}"))?);
    }
    let ports = service.ports.iter().map(|range| {
        let [first, last] = [range.start(), range.end()];
        IoPort::create(range.clone())
            .map_err(|error| format!("ports {first:#x} to {last:#x}: {error}"))
    });
    *running.ports.borrow_mut() = ports.collect::<Result<_, _>>()?;
    Ok(())
}

/// Where it can draw, and how, where the machine has a screen that the loader has set up.
struct Screen {
    memory: MemoryObject,
    layout: String,
}

impl Screen {
    fn of(service: &Service) -> Result<Option<Self>, String> {
        let framebuffer = match system::framebuffer() {
            Ok(found) if service.framebuffer => found,
            _ => return Ok(None),
        };
        let Framebuffer { address, width, height, pitch, bits_per_pixel, .. } = framebuffer;
        let bytes = whole_pages(framebuffer.bytes()).filter(|_| address.is_multiple_of(PAGE_SIZE));
        let bytes = bytes.ok_or("the framebuffer does not begin with a page")?;
        let memory = MemoryObject::device(address, bytes, DeviceCache::WriteCombining)
            .map_err(|error| format!("the framebuffer: {error}"))?;
        let [red, green, blue] =
            [framebuffer.red, framebuffer.green, framebuffer.blue].map(|channel| channel.position);
        let layout =
            format!("framebuffer={width}x{height},{pitch},{bits_per_pixel},{red},{green},{blue}");
        Ok(Some(Self { memory, layout }))
    }
}

fn start_process(state: &State, place: usize) -> Result<Child, String> {
    let (service, running) = (&state.manifest.services[place], &state.services[place]);
    let file = state.archive.find(&service.program).ok_or("its program is not there")?;
    let screen = Screen::of(service)?;
    let given = given(state, place, screen.as_ref());
    let arguments = arguments(state, service, screen.as_ref());
    let mut spawn = Spawn::new(&service.name)
        .arguments(&arguments)
        .priority(service.priority)
        .quota(running.frames, running.kernel_bytes)
        .system(service.system);
    if service.archive {
        spawn = spawn.archive();
    }
    for given in &given {
        spawn = spawn.grant_as(&given.name, given.slot, given.rights, given.badge);
    }
    let child = spawn.prepare(file).map_err(|error| error.to_string())?;
    let begun = || {
        if service.cpus != u64::MAX {
            child.thread.set_affinity(service.cpus)?;
        }
        child.thread.start()
    };
    match begun() {
        Ok(()) => Ok(child),
        Err(error) => {
            // It has a capability to itself.
            let _ = child.process.kill();
            Err(Error::to_string(&error))
        }
    }
}

/// Its capabilities. What it serves and drives it can't hand on.
fn given(state: &State, place: usize, screen: Option<&Screen>) -> Vec<Given> {
    let (service, running) = (&state.manifest.services[place], &state.services[place]);
    let mut given = Vec::new();
    let mut give = |name: String, slot, rights, badge| {
        given.push(Given { name, slot, rights, badge });
    };
    if let Some(endpoint) = &running.endpoint {
        give(SERVICE.into(), endpoint.slot(), Rights::RECEIVE, 0);
    }
    for need in &service.needs {
        let provider = match need.provider {
            Provider::Supervisor => Some(&state.own),
            Provider::Service(place) => state.services[place].endpoint.as_ref(),
        };
        if let Some(endpoint) = provider {
            let badge = badge(place as u64 + 1, need.rights);
            give(need.name.clone(), endpoint.slot(), Rights::SEND | Rights::GRANT, badge);
        }
    }
    if let Some(screen) = screen {
        give(FRAMEBUFFER.into(), screen.memory.slot(), Rights::READ | Rights::WRITE, 0);
    }
    for (range, port) in service.ports.iter().zip(&*running.ports.borrow()) {
        give(port_name(range), port.slot(), Rights::READ | Rights::WRITE, 0);
    }
    for (line, interrupt) in service.interrupts.iter().zip(&*running.interrupts.borrow()) {
        give(interrupt_name(line), interrupt.slot(), Rights::MANAGE, 0);
    }
    given
}

/// Its command line: what the manifest says, and what it can't know.
fn arguments(state: &State, service: &Service, screen: Option<&Screen>) -> String {
    let exec = state.exec.as_ref().filter(|_| service.session);
    let exec = exec.map(|exec| format!("exec={exec}"));
    let own = Some(service.arguments.clone()).filter(|words| !words.is_empty());
    let words = [own, screen.map(|screen| screen.layout.clone()), exec];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
