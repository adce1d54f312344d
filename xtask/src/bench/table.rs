//! The benchmarks: each has a line here and one in `bench/src/main.rs`, and a page in
//! `docs/performance.md` says how the figures of others were measured.
#![forbid(unsafe_code)]

use super::figures::Value;
use crate::Failure;

/// A benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Benchmark {
    /// Its name, in the program too.
    pub name: &'static str,
    /// Of what its figures are numbers.
    pub unit: &'static str,
    /// Which of its figures is its value.
    pub value: Value,
    /// seL4's figure.
    pub sel4: Option<u64>,
    /// Linux's.
    pub linux: Option<u64>,
    /// What Orbital's value shall not exceed.
    pub bar: Option<u64>,
    /// What the kernel's command line has beside its name.
    pub options: &'static str,
}

const fn instructions(
    name: &'static str,
    sel4: Option<u64>,
    linux: Option<u64>,
    bar: u64,
) -> Benchmark {
    let (unit, value) = ("instructions", Value::Median);
    Benchmark { name, unit, value, sel4, linux, bar: Some(bar), options: "" }
}

/// All of them, in the order in which they are shown.
pub const ALL: &[Benchmark] = &[
    Benchmark { bar: None, ..instructions("overhead", None, None, 0) },
    instructions("syscall_null", Some(89), Some(309), 60),
    instructions("ipc_call_reply_0", Some(408), Some(7_083), 260),
    instructions("ipc_call_reply_8", Some(1_563), Some(9_048), 320),
    instructions("ipc_call_reply_64", Some(2_123), Some(9_286), 500),
    instructions("ipc_call_reply_496", None, Some(10_944), 1_500),
    instructions("ipc_call_reply_cap", None, Some(15_129), 1_500),
    Benchmark {
        options: " fast_path=off",
        ..instructions("ipc_call_reply_general_0", Some(1_386), None, 1_000)
    },
    instructions("notify_round_trip", Some(2_009), Some(7_083), 900),
    instructions("yield_switch", Some(271), Some(1_581), 200),
    instructions("page_map_unmap", Some(1_308), Some(11_265), 1_000),
    instructions("page_fault_zero", None, Some(2_421), 1_300),
    instructions("fault_handle", Some(1_214), Some(3_594), 900),
    instructions("cap_copy_close", Some(1_540), Some(896), 500),
    instructions("cap_revoke_per_child", Some(279), None, 150),
    instructions("thread_create", Some(8_549), Some(23_032), 5_000),
    instructions("process_spawn", None, Some(101_690), 30_000),
    instructions("boot_kernel", Some(1_500_000), Some(1_560_000_000), 1_500_000),
    Benchmark {
        unit: "bytes",
        ..instructions("bytes_blocked_thread", Some(4_096), Some(26_444), 1_024)
    },
    Benchmark { value: Value::Maximum, ..instructions("irq_off_worst", None, None, 10_000) },
];

/// Those whose names contain `filter`.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) when there are none.
pub fn matching(filter: &str) -> Result<Vec<&'static Benchmark>, Failure> {
    let found: Vec<_> = ALL.iter().filter(|benchmark| benchmark.name.contains(filter)).collect();
    if found.is_empty() {
        let names: Vec<_> = ALL.iter().map(|benchmark| benchmark.name).collect();
        return Err(Failure::usage(format!(
            "--filter {filter:?} matches no benchmark; there are {}",
            names.join(", ")
        )));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    #[test]
    fn a_filter_is_a_part_of_a_name() {
        let names = |filter| {
            let found = matching(filter).unwrap();
            found.iter().map(|benchmark| benchmark.name).collect::<Vec<_>>()
        };
        assert_eq!(names("syscall_null"), ["syscall_null"]);
        assert_eq!(
            names("call_reply"),
            [
                "ipc_call_reply_0",
                "ipc_call_reply_8",
                "ipc_call_reply_64",
                "ipc_call_reply_496",
                "ipc_call_reply_cap",
                "ipc_call_reply_general_0"
            ]
        );
        assert_eq!(names("").len(), ALL.len());
    }

    #[test]
    fn a_filter_that_matches_nothing_is_wrong_usage_in_one_line() {
        for filter in ["nonsense", "SYSCALL", " ", "a\nb"] {
            let failure = matching(filter).unwrap_err();
            assert_eq!(failure.status, Status::Usage);
            assert_eq!(failure.to_string().lines().count(), 1, "{failure}");
        }
    }

    #[test]
    fn names_are_words_and_no_two_are_equal() {
        for (at, benchmark) in ALL.iter().enumerate() {
            // They go to the command line and into JSON as they are.
            let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(benchmark.name.chars().all(is_word), "{benchmark:?}");
            assert!(ALL[..at].iter().all(|other| other.name != benchmark.name), "{benchmark:?}");
        }
    }
}
