//! The command line of Orbital's host side; all it does stands in the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    xtask::main()
}
