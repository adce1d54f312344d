//! What a benchmark says in the log (`bench/src/main.rs` has the other side):
//!
//! ```text
//! [    0.011186] cpu0 INFO  init: bench NAME: overhead 3, per 2
//! [    0.011201] cpu0 INFO  init: bench NAME: samples 541 541 541
//! [    0.011325] cpu0 INFO  init: bench NAME: end, 3 samples
//! ```
//! Anything else behind `init: bench ` is an error: a figure must not come from half a log.
#![forbid(unsafe_code)]

/// What stands before each of its lines, behind time and CPU. Only the first process has this module.
const MARK: &str = " INFO  init: bench ";

/// What a benchmark found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// What measuring itself takes, and is still in each sample.
    pub overhead: u64,
    /// How many times a sample does what the figure is about; not 0.
    pub per: u64,
    /// The samples, at least one.
    pub samples: Vec<u64>,
}

/// Reads what the benchmark `name` said in `log`.
///
/// # Errors
/// In one phrase, what is missing or malformed.
pub fn read(name: &str, log: &str) -> Result<Samples, String> {
    let mut read = Reading::default();
    for line in log.lines() {
        let Some(said) = said(line) else { continue };
        let wrong = || format!("{said:?} is no line of its own");
        let about = said.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        read.take(about.ok_or_else(wrong)?).ok_or_else(wrong)?;
    }
    read.finish().ok_or_else(|| "its log is not whole".to_owned())
}

/// What stands behind the mark, which only follows a CPU's number.
fn said(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("] cpu")?;
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.strip_prefix(MARK).map(str::trim_end)
}

#[derive(Default)]
struct Reading {
    head: Option<(u64, u64)>,
    samples: Vec<u64>,
    has_ended: bool,
}

impl Reading {
    /// Takes the next line; `None` where it can't stand there.
    fn take(&mut self, said: &str) -> Option<()> {
        if self.has_ended {
            return None;
        }
        let (word, rest) = said.split_once(' ')?;
        match (word, self.head) {
            ("overhead", None) => {
                let (overhead, per) = rest.split_once(", per ")?;
                self.head = Some((number(overhead)?, number(per).filter(|per| *per > 0)?));
            }
            ("samples", Some(_)) => {
                for sample in rest.split(' ') {
                    self.samples.push(number(sample)?);
                }
            }
            ("end,", Some(_)) => {
                let count = number(rest.strip_suffix(" samples")?)?;
                self.has_ended = count > 0 && count == self.samples.len() as u64;
                return self.has_ended.then_some(());
            }
            _ => return None,
        }
        Some(())
    }

    fn finish(self) -> Option<Samples> {
        let (overhead, per) = self.head.filter(|_| self.has_ended)?;
        Some(Samples { overhead, per, samples: self.samples })
    }
}

/// A number in digits alone.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> String {
        let line = |line: &&str| format!("[    0.000001] cpu0 INFO  init: {line}\r\n");
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_whole_log_is_understood_among_other_lines() {
        let text = log(&[
            "something else",
            "bench x: overhead 3, per 2",
            "bench x: samples 10 11",
            "bench x: samples 12",
            "bench x: end, 3 samples",
        ]);
        let forged = "[    0.1] cpu0 INFO  user.x: ] cpu0 INFO  init: bench x: samples 1\n";
        let text = format!("Orbital kernel starting...\n{forged}{text}");
        let expected = Samples { overhead: 3, per: 2, samples: vec![10, 11, 12] };
        assert_eq!(read("x", &text), Ok(expected));
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let (head, samples, end) =
            ("bench x: overhead 3, per 1", "bench x: samples 10 11", "bench x: end, 2 samples");
        assert!(read("x", &log(&[head, samples, end])).is_ok());
        for lines in [
            &[][..],
            &[head],
            &[head, samples],
            &[samples, end],
            &[head, end],
            &[head, samples, samples, end],
            &[head, head, samples, end],
            &[head, samples, end, end],
            &[head, samples, end, samples],
        ] {
            assert!(read("x", &log(lines)).is_err(), "{lines:?}");
        }
        assert!(read("y", &log(&[head, samples, end])).is_err());
    }

    #[test]
    fn malformed_lines_are_refused_and_named() {
        let (head, samples, end) =
            ("bench x: overhead 3, per 1", "bench x: samples 10", "bench x: end, 1 samples");
        for (lines, part) in [
            ([head, "bench x: samples 10x", end], "samples 10x"),
            ([head, "bench x: samples -10", end], "samples -10"),
            ([head, "bench x: samples +10", end], "samples +10"),
            ([head, "bench x: samples 99999999999999999999", end], "99999999999999999999"),
            ([head, "bench x: samples", end], "\"x: samples\""),
            ([head, "bench x: samples 1  2", end], "1  2"),
            ([head, samples, "bench x: end, 1"], "end, 1"),
            (["bench x: overhead 3", samples, end], "overhead 3"),
            (["bench x: overhead 3, per 0", samples, end], "per 0"),
            (["bench x: there is no such benchmark", samples, end], "there is no"),
            (["bench", "bench xx: end", end], "xx: end"),
        ] {
            let why = read("x", &log(&lines)).unwrap_err();
            assert!(why.contains(part), "{lines:?}: {why}");
        }
    }
}
