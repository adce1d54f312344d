//! Tells the linker where the layout of user programs is: whoever depends on this package is linked by it, and needs no
//! build script of its own. The target file names the script.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rerun-if-changed=orbital.ld");
    println!("cargo::rustc-link-search=native={}", env!("CARGO_MANIFEST_DIR"));
}
