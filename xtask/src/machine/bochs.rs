//! Bochs: another machine than QEMU's, with another idea of the same processor. It has no device
//! that carries a verdict, so the kernel's last line does. Its standard streams have its own
//! messages, so the serial port's output comes through a named pipe.
#![forbid(unsafe_code)]

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{fcntl::OFlag, sys::stat::Mode, unistd::mkfifo};

use super::cmos;
use crate::{
    Failure,
    cli::{MemorySize, RunOptions},
};

/// How many instructions of a CPU make a second of the machine's time, which bears no relation to the
/// host's. With several CPUs Bochs interprets their waiting too, so seconds should be short; but a
/// millisecond, the scheduler's slice, has to be long enough for some system calls.
const INSTRUCTIONS_PER_SECOND: u32 = 20_000_000;

/// How much RAM Bochs gives a machine.
pub const MOST_MEMORY: MemorySize = MemorySize { mebibytes: 2048 };

/// The named pipe in `folder`.
#[derive(Debug)]
pub struct SerialPipe(PathBuf);

impl SerialPipe {
    /// Makes it.
    ///
    /// # Errors
    /// [`Status::Usage`](crate::Status::Usage) when that can't be done.
    pub fn create(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("serial");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(Failure::of(path.display()))?;
        Ok(Self(path))
    }

    /// Its reading end, which is opened at the first read: that waits for a writer.
    pub fn reader(&self) -> impl Read + Send + 'static {
        enum Reader {
            Closed(PathBuf),
            Open(File),
        }
        impl Read for Reader {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if let Self::Closed(path) = self {
                    *self = Self::Open(File::open(path)?);
                }
                match self {
                    Self::Open(file) => file.read(buffer),
                    Self::Closed(_) => Ok(0),
                }
            }
        }
        Reader::Closed(self.0.clone())
    }

    /// Lets a reader go that waits for a writer who is gone.
    pub fn release(&self) {
        let writer =
            OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&self.0);
        // Without a reader there is nobody to release.
        drop(writer);
    }
}

/// The command that starts Bochs with `image`, its settings in `folder`.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) when the settings can't be written.
pub fn command(
    options: &RunOptions,
    image: &Path,
    serial: &SerialPipe,
    folder: &Path,
) -> Result<Command, Failure> {
    let display = if options.display {
        "display_library: x"
    } else {
        // Without a viewer that connects, this one does not wait.
        r#"display_library: rfb, options="timeout=0""#
    };
    let settings = format!(
        "megs: {memory}\n\
         cpu: model=corei7_skylake_x, count={cpus}, ips={speed}, reset_on_triple_fault=0\n\
         cmosimage: file={folder}/cmos, rtc_init=time0\n\
         romimage: file=/usr/share/bochs/BIOS-bochs-latest\n\
         vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n\
         ata0-master: type=cdrom, path=\"{image}\", status=inserted\n\
         boot: cdrom\n\
         com1: enabled=1, mode=file, dev={serial}\n\
         log: {folder}/bochs.log\n\
         panic: action=fatal\n\
         {display}\n",
        memory = options.memory.mebibytes,
        cpus = options.cpus(),
        speed = INSTRUCTIONS_PER_SECOND,
        image = image.display(),
        serial = serial.0.display(),
        folder = folder.display(),
    );
    let (settings_file, debugger) = (folder.join("bochsrc"), folder.join("debugger"));
    fs::write(&settings_file, settings).map_err(Failure::of("Bochs' settings"))?;
    fs::write(folder.join("cmos"), cmos::image(options.memory.mebibytes))
        .map_err(Failure::of("Bochs' settings"))?;
    // Debian's Bochs stops in its debugger first.
    fs::write(&debugger, "c\n").map_err(Failure::of("Bochs' settings"))?;
    let mut bochs = Command::new("bochs");
    bochs.arg("-q").arg("-f").arg(settings_file).arg("-rc").arg(debugger);
    Ok(bochs)
}
