//! Per-CPU variables: the container and this CPU's index. Each layer declares its own variables
//! with it; what is truly global stands in a `static` of its own.

use crate::arch;

/// How many CPUs the kernel can run on. A power of two.
pub const MAX_CPUS: usize = 16;

/// A variable of which every CPU has its own.
pub struct PerCpu<T>([T; MAX_CPUS]);

// SAFETY: `here` gives a CPU only its own value. A reference can't get to another CPU: the kernel
// has no threads that move, and a `&T` of a `T` that is not `Sync` can't be stored in a static.
unsafe impl<T> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// The variable with these values.
    pub const fn new(values: [T; MAX_CPUS]) -> Self {
        Self(values)
    }

    /// This CPU's value.
    #[inline]
    pub fn here(&self) -> &T {
        &self.0[arch::cpu_index()]
    }

    /// The same, where a lock may be held, or it is asked that often that simulated CPUs need no more points here.
    #[inline]
    pub fn here_locked(&self) -> &T {
        &self.0[arch::cpu_index_locked()]
    }
}

impl<T: Sync> PerCpu<T> {
    /// The value of CPU `cpu`, below [`MAX_CPUS`].
    pub fn of(&self, cpu: usize) -> &T {
        &self.0[cpu]
    }
}
