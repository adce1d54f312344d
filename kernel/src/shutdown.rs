//! The machine's end, with a verdict for whoever started it.
#![forbid(unsafe_code)]

use orbital_abi::ExitReason;

use crate::{
    arch::power,
    object::Ref,
    process::{Process, all},
    trace::dump::Dump,
};

/// Powers off for init, which ended its work with `code`; 0 means success.
pub fn off(code: u64) -> ! {
    off_with(if code == 0 { power::VERDICT_SUCCESS } else { power::VERDICT_FAILURE })
}

fn off_with(verdict: u8) -> ! {
    dump_trace();
    log::info!(target: "power", "off, verdict {verdict:#x}");
    power::off(verdict)
}

/// All that was traced, if that is wanted.
fn dump_trace() {
    let Some(dump) = Dump::begin() else { return };
    let mut next = all::at_or_after(0);
    while let Some(process) = next {
        dump.name(process.id, &process.name);
        next = all::at_or_after(process.id + 1);
    }
    dump.rings();
}

/// Says why init could not be started, and powers off.
pub fn init_failed(reason: impl core::fmt::Display) -> ! {
    log::error!(target: "init", "can't be started: {reason}");
    off_with(power::VERDICT_FAILURE)
}

/// Waits for the end of init, which should not come: it powers off instead.
pub async fn watch(init: Ref<Process>) {
    let reason: ExitReason = init.wait().await;
    log::error!(target: "init", "{reason}");
    off_with(power::VERDICT_FAILURE)
}
