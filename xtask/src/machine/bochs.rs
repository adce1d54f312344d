//! Bochs: another machine than QEMU's, with another idea of the same processor. It has no device
//! that carries a verdict, so the kernel's last line does.
#![forbid(unsafe_code)]

use std::{fs, path::Path, process::Command};

use crate::{Failure, cli::RunOptions};

/// The command that starts Bochs with `image`, its settings in `folder`. The serial port's output
/// comes on stderr: stdout has Bochs' own.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) when the settings can't be written.
pub fn command(options: &RunOptions, image: &Path, folder: &Path) -> Result<Command, Failure> {
    let display = if options.display {
        "display_library: x"
    } else {
        // Without a viewer that connects, this one does not wait.
        r#"display_library: rfb, options="timeout=0""#
    };
    let settings = format!(
        "megs: {memory}\n\
         cpu: model=corei7_skylake_x, count={cpus}, ips=100000000, reset_on_triple_fault=0\n\
         romimage: file=/usr/share/bochs/BIOS-bochs-latest\n\
         vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n\
         ata0-master: type=cdrom, path=\"{image}\", status=inserted\n\
         boot: cdrom\n\
         com1: enabled=1, mode=file, dev=/dev/stderr\n\
         log: {folder}/bochs.log\n\
         panic: action=fatal\n\
         {display}\n",
        memory = options.memory.mebibytes,
        cpus = options.cpus(),
        image = image.display(),
        folder = folder.display(),
    );
    let (settings_file, debugger) = (folder.join("bochsrc"), folder.join("debugger"));
    fs::write(&settings_file, settings).map_err(Failure::of("Bochs' settings"))?;
    // Debian's Bochs stops in its debugger first.
    fs::write(&debugger, "c\n").map_err(Failure::of("Bochs' settings"))?;
    let mut bochs = Command::new("bochs");
    bochs.arg("-q").arg("-f").arg(settings_file).arg("-rc").arg(debugger);
    Ok(bochs)
}
