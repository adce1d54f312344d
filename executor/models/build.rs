fn main() { println!("cargo::rustc-cfg=loom"); }
