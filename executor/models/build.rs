//! Sets `cfg(loom)` for this package alone: the executor's sources and the models.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rerun-if-changed=build.rs");
}
