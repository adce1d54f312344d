//! Which of Debian's packages a task needs, and how one sees that they are there.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use super::{apt, paths, toolchain};
use crate::{
    Failure,
    cli::{Boot, Machine, RunOptions},
};

/// Something that must be there: how to see it, and what brings it.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// What is missing, for the user.
    pub what: &'static str,
    is_there: fn() -> bool,
    packages: &'static [&'static str],
}

const QEMU: Need = Need {
    what: "qemu-system-x86_64",
    is_there: || paths::program("qemu-system-x86_64").is_some(),
    packages: &["qemu-system-x86"],
};
const QEMU_WINDOW: Need = Need {
    what: "QEMU's window",
    is_there: || exists("/usr/lib/x86_64-linux-gnu/qemu/ui-gtk.so"),
    packages: &["qemu-system-gui"],
};
const GRUB: Need = Need {
    what: "grub-mkrescue",
    is_there: || {
        ["grub-mkrescue", "xorriso", "mformat"].iter().all(|name| paths::program(name).is_some())
            && exists("/usr/lib/grub/i386-pc/modinfo.sh")
    },
    packages: &["grub-pc-bin", "grub-common", "xorriso", "mtools"],
};
const GRUB_EFI: Need = Need {
    what: "GRUB for UEFI",
    is_there: || exists("/usr/lib/grub/x86_64-efi/modinfo.sh"),
    packages: &["grub-efi-amd64-bin"],
};
const OVMF: Need =
    Need { what: "UEFI firmware", is_there: || firmware().is_some(), packages: &["ovmf"] };
const BOCHS: Need = Need {
    what: "bochs",
    is_there: || paths::program("bochs").is_some() && exists("/usr/share/bochs/BIOS-bochs-latest"),
    packages: &["bochs", "bochs-x", "bochsbios", "vgabios"],
};

fn exists(file: &str) -> bool {
    Path::new(file).exists()
}

/// OVMF's code and, where it is beside it, its variables.
pub fn firmware() -> Option<(PathBuf, PathBuf)> {
    ["_4M", ""]
        .iter()
        .map(|size| {
            let file = |part: &str| PathBuf::from(format!("/usr/share/OVMF/OVMF_{part}{size}.fd"));
            (file("CODE"), file("VARS"))
        })
        .find(|(code, _)| code.exists())
}

/// All packages that any command may install.
pub fn all() -> Vec<&'static str> {
    let needs = [QEMU, QEMU_WINDOW, GRUB, GRUB_EFI, OVMF, BOCHS];
    let lists = needs.iter().map(|need| need.packages);
    lists.chain([toolchain::DEBIAN, toolchain::DEBIAN_TIDY]).flatten().copied().collect()
}

/// What an image needs.
pub const IMAGE: &[Need] = &[GRUB];

/// What a run with these options needs.
pub fn for_run(options: &RunOptions) -> Vec<Need> {
    let mut needs = Vec::new();
    needs.push(if options.machine == Machine::Bochs { BOCHS } else { QEMU });
    if options.boot != Boot::Direct {
        needs.push(GRUB);
    }
    if options.boot == Boot::Uefi {
        needs.extend([GRUB_EFI, OVMF]);
    }
    if options.display && options.machine != Machine::Bochs {
        needs.push(QEMU_WINDOW);
    }
    needs
}

/// Installs what is missing.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) when that can't be done: the line says what to do.
pub fn ensure(needs: &[Need]) -> Result<(), Failure> {
    let missing = |needs: &[Need]| {
        needs.iter().copied().filter(|need| !(need.is_there)()).collect::<Vec<_>>()
    };
    let before = missing(needs);
    if before.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = before.iter().map(|need| need.what).collect();
    let packages: Vec<_> = before.iter().flat_map(|need| need.packages).copied().collect();
    apt::install(&names.join(", "), &packages, || Ok(()))?;
    match missing(&before).first() {
        Some(need) => Err(Failure::usage(format!("{} is missing even now", need.what))),
        None => Ok(()),
    }
}
