//! Tells the linker where the kernel's layout is. The target file names the script.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rerun-if-changed=orbital.ld");
    println!("cargo::rustc-link-search=native={}", env!("CARGO_MANIFEST_DIR"));
}
