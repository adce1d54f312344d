//! How the kernel's toolchain is called.
#![forbid(unsafe_code)]

use std::process::Command;

use crate::setup::{paths, toolchain::Toolchain};

/// A command of the kernel's toolchain, in an environment without the calling cargo's traces.
pub fn command(toolchain: &Toolchain, program: &str) -> Command {
    let mut command = Command::new(toolchain.program(program));
    command.current_dir(paths::project());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_none_or(|name| !is_kept(name)) {
            command.env_remove(name);
        }
    }
    command
        .env("CARGO", toolchain.program("cargo"))
        .env("RUSTC", toolchain.program("rustc"))
        .env("RUSTDOC", toolchain.program("rustdoc"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", "")
        .env("CARGO_TARGET_DIR", paths::output());
    command
}

/// Whether a variable stays: none that steers rustc or cargo does, but for where registries are.
fn is_kept(name: &str) -> bool {
    const KEPT: [&str; 4] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_TERM_"];
    if ["RUSTUP_HOME", "CARGO_HOME"].contains(&name) || KEPT.iter().any(|p| name.starts_with(p)) {
        return true;
    }
    !(name.starts_with("RUST") || name.starts_with("CARGO") || name == "LD_LIBRARY_PATH")
}

#[cfg(test)]
mod tests {
    use super::is_kept;

    #[test]
    fn the_calling_cargo_leaves_no_trace() {
        for name in ["RUSTC", "RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO", "LD_LIBRARY_PATH"] {
            assert!(!is_kept(name), "{name}");
        }
        for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_REGISTRIES_X_INDEX"] {
            assert!(is_kept(name), "{name}");
        }
    }
}
