//! What the environment asks of all tests at once: `cargo xtask soak` sets it from its options.
#![forbid(unsafe_code)]

use std::str::FromStr;

use xtask::{Failure, cli::Machine, soak};

/// Multiplies the watchdog of each test.
const TIMEOUT_SCALE: &str = "ORBITAL_TIMEOUT_SCALE";

/// What is asked of all tests at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// How many CPUs each machine has, in place of what its case wants.
    pub smp: Option<u32>,
    /// The machine of all cases, in place of what each wants.
    pub machine: Option<Machine>,
    /// Whether full counts are wanted.
    pub is_soak: bool,
    /// What the cases that draw start from.
    pub seed: Option<u64>,
    /// Slow hosts multiply their watchdogs by this.
    pub timeout_scale: f64,
}

impl Default for Environment {
    fn default() -> Self {
        Self { smp: None, machine: None, is_soak: false, seed: None, timeout_scale: 1.0 }
    }
}

impl Environment {
    /// Reads this process's environment.
    ///
    /// # Errors
    /// [`Status::Usage`](xtask::Status::Usage) for a value that is none: to go on with another would
    /// test something else than was asked for.
    pub fn read() -> Result<Self, Failure> {
        Self::read_from(|name| std::env::var(name).ok())
    }

    fn read_from(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let otherwise = Self::default();
        let scale = parsed(&variable, TIMEOUT_SCALE, |scale: &f64| *scale > 0.0 && *scale < 1e6)?;
        Ok(Self {
            smp: parsed(&variable, soak::SMP, |smp| (1..=64).contains(smp))?,
            machine: parsed(&variable, soak::MACHINE, |_| true)?,
            is_soak: variable(soak::FULL).is_some(),
            seed: parsed(&variable, soak::SEED, |_| true)?,
            timeout_scale: scale.unwrap_or(otherwise.timeout_scale),
        })
    }
}

fn parsed<T: FromStr>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    fits: impl Fn(&T) -> bool,
) -> Result<Option<T>, Failure> {
    let Some(text) = variable(name) else { return Ok(None) };
    match text.parse().ok().filter(fits) {
        Some(value) => Ok(Some(value)),
        None => Err(Failure::usage(format!("{name}={text}: no such value"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, Failure> {
        Environment::read_from(|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_empty_environment_asks_for_nothing() {
        assert_eq!(read(&[]).unwrap(), Environment::default());
    }

    #[test]
    fn what_soak_sets_is_understood() {
        let all = [
            (soak::FULL, "1"),
            (soak::SMP, "4"),
            (soak::MACHINE, "bochs"),
            (soak::SEED, "18446744073709551615"),
            (TIMEOUT_SCALE, "2.5"),
        ];
        let expected = Environment {
            smp: Some(4),
            machine: Some(Machine::Bochs),
            is_soak: true,
            seed: Some(u64::MAX),
            timeout_scale: 2.5,
        };
        assert_eq!(read(&all).unwrap(), expected);
    }

    #[test]
    fn nonsense_is_refused_with_its_name() {
        for (name, value) in [
            (soak::SMP, "0"),
            (soak::SMP, "65"),
            (soak::MACHINE, "vax"),
            (soak::SEED, "-1"),
            (TIMEOUT_SCALE, "0"),
            (TIMEOUT_SCALE, "NaN"),
            (TIMEOUT_SCALE, "inf"),
        ] {
            let failure = read(&[(name, value)]).unwrap_err();
            assert_eq!(failure.to_string(), format!("{name}={value}: no such value"));
        }
    }
}
