//! The compiler's targets: target files at the project's top level.
#![forbid(unsafe_code)]

use crate::setup::paths;

/// What code is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Without floating-point and vector registers: the kernel, and programs that need none. A thread
    /// of theirs needs no room for them.
    Soft,
    /// With those registers: programs whose package says so. They have a red zone, too, below their stack
    /// pointers, since nobody else ever writes there: the kernel has stacks of its own for everything.
    Float,
}

impl Target {
    /// The name, without the file's ending.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Soft => "x86_64-orbital",
            Self::Float => "x86_64-orbital-user",
        }
    }

    /// Options for cargo that build for this target, `core` and `alloc` too.
    pub fn options(self) -> [String; 4] {
        let file = paths::project().join(self.name()).with_extension("json");
        [
            "-Zbuild-std=core,alloc,compiler_builtins".to_owned(),
            "-Zbuild-std-features=compiler-builtins-mem".to_owned(),
            "-Zjson-target-spec".to_owned(),
            format!("--target={}", file.display()),
        ]
    }
}
