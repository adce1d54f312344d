//! QEMU's command line.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Failure,
    cli::{Boot, Machine, RunOptions},
    setup::packages,
};

/// Where the kernel tells its verdict: an I/O port that the kernel knows too.
const DEBUG_EXIT: &str = "isa-debug-exit,iobase=0xf4,iosize=0x04";

/// Files that a machine loads.
#[derive(Clone, Debug)]
pub enum Files {
    /// A bootable image.
    Image(PathBuf),
    /// What QEMU loads itself.
    Direct {
        /// The kernel.
        kernel: PathBuf,
        /// The archive of programs.
        archive: PathBuf,
        /// The kernel's command line.
        command_line: String,
    },
}

/// Whether the user's terminal is the machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// What is typed goes to the machine; Ctrl-A X ends it.
    Terminal,
    /// What comes in on stdin goes to the machine, whatever it is.
    Input,
    /// The serial port's output alone.
    Output,
}

/// The command that starts QEMU.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) without firmware for UEFI.
pub fn command(options: &RunOptions, files: &Files, console: Console) -> Result<Command, Failure> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-nodefaults", "-no-reboot", "-cpu", "max"]);
    qemu.args(["-device", DEBUG_EXIT]);
    qemu.arg("-m").arg(options.memory.to_string());
    qemu.arg("-smp").arg(options.cpus().to_string());
    match options.machine {
        Machine::Pc => qemu.args(["-machine", "pc", "-vga", "std"]),
        Machine::Microvm => qemu.args(["-machine", "microvm,isa-serial=on,pic=on,pit=on,rtc=on"]),
        Machine::Q35 | Machine::Bochs => qemu.args(["-machine", "q35", "-vga", "std"]),
    };
    match console {
        Console::Terminal => qemu.args(["-chardev", "stdio,id=serial,mux=on,signal=off"]),
        Console::Input | Console::Output => {
            qemu.args(["-chardev", "stdio,id=serial,mux=off,signal=off"])
        }
    };
    qemu.args(["-serial", "chardev:serial"]);
    qemu.args(["-display", if options.display { "gtk" } else { "none" }]);
    if options.icount {
        qemu.args(["-icount", "shift=0,sleep=off"]);
        qemu.args(["-rtc", "base=2020-01-01,clock=vm", "-seed", "1"]);
    }
    if let Some(file) = &options.debug_console {
        // A comma in a value is written twice.
        let path = file.display().to_string().replace(',', ",,");
        qemu.arg("-chardev").arg(format!("file,id=events,path={path}"));
        qemu.args(["-device", "isa-debugcon,iobase=0xe9,chardev=events"]);
    }
    if options.gdb {
        qemu.args(["-s", "-S"]);
    }
    if options.boot == Boot::Uefi {
        firmware(&mut qemu)?;
    }
    match files {
        Files::Image(image) => qemu.arg("-cdrom").arg(image),
        Files::Direct { kernel, archive, command_line } => {
            qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(archive);
            qemu.arg("-append").arg(command_line)
        }
    };
    Ok(qemu)
}

/// The firmware's code is read only; what it writes into its variables is forgotten.
fn firmware(qemu: &mut Command) -> Result<(), Failure> {
    let (code, variables) =
        packages::firmware().ok_or_else(|| Failure::usage("UEFI firmware is missing"))?;
    let mut flash = |file: &Path, option: &str| {
        qemu.arg("-drive").arg(format!("if=pflash,format=raw,{option}=on,file={}", file.display()));
    };
    flash(&code, "readonly");
    if variables.exists() {
        flash(&variables, "snapshot");
    }
    Ok(())
}
