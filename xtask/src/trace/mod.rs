//! `cargo run -- --trace FILE`: the kernel's events, as it leaves them by QEMU's debug console at its end, become a file
//! that Perfetto and chrome://tracing open.
#![forbid(unsafe_code)]

mod arrows;
mod chart;
mod dump;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::Failure;

/// What the kernel's command line needs, before the user's words: those may want less.
pub const WORDS: &str = "trace=ipc trace_dump=1";

/// A trace to be written.
pub struct Recording {
    file: File,
    path: PathBuf,
    folder: TempDir,
}

impl Recording {
    /// One that goes to `path`, which is made at once.
    ///
    /// # Errors
    /// [`Status::Usage`](crate::Status::Usage) when it can't be.
    pub fn to(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(Failure::of(path.display()))?;
        let folder = tempfile::tempdir().map_err(Failure::of("a temporary folder"))?;
        Ok(Self { file, path: path.to_owned(), folder })
    }

    /// Where the machine's debug console has to go.
    pub fn console(&self) -> PathBuf {
        self.folder.path().join("events")
    }

    /// Writes what the machine has left. It has ended.
    ///
    /// # Errors
    /// [`Status::Usage`](crate::Status::Usage) when the file can't be written.
    pub fn finish(self) -> Result<(), Failure> {
        // A machine that did not start has not made it.
        let dump = dump::read(&fs::read(self.console()).unwrap_or_default());
        if dump.is_none() {
            eprintln!("xtask: the machine ended without leaving its events: the trace has none");
        }
        let chart = chart::chart(&dump.unwrap_or_default());
        let mut file = BufWriter::new(self.file);
        serde_json::to_writer(&mut file, &chart)
            .map_err(std::io::Error::from)
            .and_then(|()| file.flush())
            .map_err(Failure::of(self.path.display()))
    }
}
