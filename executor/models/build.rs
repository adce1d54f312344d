//! Sets `cfg(loom)` for this package alone: the executor's sources and the models.

fn main() {
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rerun-if-changed=build.rs");
}
