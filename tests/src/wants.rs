//! What kind of machine a case wants: the words that stand behind its name in the ELF file.
//!
//! | word | machine |
//! |---|---|
//! | `cpus=1,2,4` | one for each of these numbers of CPUs; else one with 1 CPU |
//! | `memory=256M` | with so much RAM; else 128 MiB |
//! | `machine=bochs` | this one; none where all tests are to run on another |
//! | `icount` | with one virtual nanosecond per instruction; none where the machine can't do that |
//! | `nmi=240` | whose CPUs get a non-maskable interrupt every so many ticks (0.84 us) of its timer |
//! | `timed` | none where the machine's time does not keep pace with its instructions |
//! | `times=2,20` | so many, each for one run, and so many in a long run; else one |
//! | `timeout=90` | ended after so many seconds, times the host's scale; else after 60 |
//! | `general` | and twice more: where all messages go the general way (`fast_path=off`), and everything (`short_cuts=off`) |
//! | `traced` | which traces all that happens (`trace=ipc`) |
//! | `pinned` | any: the guest runs the case on its first CPU alone |
#![forbid(unsafe_code)]

use std::str::FromStr;

use xtask::cli::{Machine, MemorySize};

/// A case's wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// How many CPUs, one machine for each entry.
    pub cpus: Vec<u32>,
    /// How much RAM.
    pub memory: MemorySize,
    /// Which machine, where it is not the usual one.
    pub machine: Option<Machine>,
    /// Whether time is a count of instructions.
    pub icount: bool,
    /// Ticks of the interval timer between two non-maskable interrupts.
    pub nmi: Option<u32>,
    /// Whether it measures time that real machines and QEMU keep, and others do not.
    pub timed: bool,
    /// Whether it runs once more without a fast path of messages, and once without any short cut.
    pub general: bool,
    /// Whether the kernel traces all that happens.
    pub traced: bool,
    /// How often.
    pub times: Times,
    /// How long it may take, in seconds.
    pub timeout: u64,
}

/// How often a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// In `cargo test`.
    pub usual: u32,
    /// In a long run.
    pub soak: u32,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            cpus: vec![1],
            memory: MemorySize { mebibytes: 128 },
            machine: None,
            icount: false,
            nmi: None,
            timed: false,
            general: false,
            traced: false,
            times: Times { usual: 1, soak: 1 },
            timeout: 60,
        }
    }
}

impl FromStr for Wants {
    type Err = String;

    /// Reads words with blanks between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut wants = Self::default();
        let mut seen = Vec::new();
        for word in text.split_whitespace() {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (word, None),
            };
            if seen.contains(&key) {
                return Err(format!("{key:?} comes twice"));
            }
            seen.push(key);
            match (key, value) {
                ("cpus", Some(value)) => wants.cpus = cpus(value)?,
                ("memory", Some(value)) => wants.memory = value.parse()?,
                ("machine", Some(value)) => {
                    let wrong = |_| format!("machine={value}: no such machine");
                    wants.machine = Some(value.parse().map_err(wrong)?);
                }
                ("icount", None) => wants.icount = true,
                ("nmi", Some(value)) => wants.nmi = Some(positive(value)?),
                ("timed", None) => wants.timed = true,
                ("general", None) => wants.general = true,
                ("traced", None) => wants.traced = true,
                ("times", Some(value)) => wants.times = times(value)?,
                ("timeout", Some(value)) => wants.timeout = positive(value)?.into(),
                ("pinned", None) => {}
                _ => return Err(format!("{word:?}: no such word")),
            }
        }
        Ok(wants)
    }
}

fn cpus(text: &str) -> Result<Vec<u32>, String> {
    let counts = text.split(',').map(positive).collect::<Result<Vec<_>, _>>()?;
    let rises = counts.windows(2).all(|pair| pair[0] < pair[1]);
    if !rises || counts.last().is_some_and(|most| *most > 64) {
        return Err(format!("cpus={text}: rising numbers up to 64, with commas between them"));
    }
    Ok(counts)
}

fn times(text: &str) -> Result<Times, String> {
    let (usual, soak) = text.split_once(',').ok_or(format!("times={text}: two numbers"))?;
    Ok(Times { usual: positive(usual)?, soak: positive(soak)? })
}

fn positive(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{text:?} is no number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_words_it_is_the_usual_machine() {
        assert_eq!("".parse(), Ok(Wants::default()));
        assert_eq!(" pinned ".parse(), Ok(Wants::default()));
    }

    #[test]
    fn each_word_has_its_meaning() {
        let text = "cpus=1,2,4 memory=1G machine=bochs icount nmi=17 timed general traced \
                    times=2,20 timeout=90";
        let expected = Wants {
            cpus: vec![1, 2, 4],
            memory: MemorySize { mebibytes: 1024 },
            machine: Some(Machine::Bochs),
            icount: true,
            nmi: Some(17),
            timed: true,
            general: true,
            traced: true,
            times: Times { usual: 2, soak: 20 },
            timeout: 90,
        };
        assert_eq!(text.parse(), Ok(expected));
    }

    #[test]
    fn nonsense_is_refused_and_named() {
        for (text, part) in [
            ("cpu=2", "\"cpu=2\": no such word"),
            ("cpus", "\"cpus\": no such word"),
            ("icount=1", "\"icount=1\": no such word"),
            ("cpus=", "\"\" is no number above 0"),
            ("cpus=0", "\"0\" is no number above 0"),
            ("cpus=2,1", "rising"),
            ("cpus=1,1", "rising"),
            ("cpus=65", "up to 64"),
            ("memory=256", "M or G"),
            ("machine=vax", "machine=vax: no such machine"),
            ("times=2", "two numbers"),
            ("times=0,1", "\"0\""),
            ("timeout=soon", "\"soon\""),
            ("cpus=1 cpus=2", "twice"),
        ] {
            let error = text.parse::<Wants>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
