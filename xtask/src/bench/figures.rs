//! What follows from a benchmark's samples.
#![forbid(unsafe_code)]

use super::protocol::Samples;

/// Which of a benchmark's figures is its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The median.
    Median,
    /// The maximum: for what must never be worse.
    Maximum,
}

/// A benchmark's figures, without the overhead of measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The one that counts.
    pub value: u64,
    /// The least sample.
    pub min: u64,
    /// The one in the middle; of an even number, the greater of the two.
    pub median: u64,
    /// The greatest.
    pub max: u64,
}

impl Figures {
    /// The figures of `samples`. What does not divide evenly counts as one more.
    ///
    /// # Errors
    /// In one phrase, for no samples, and for one that is less than its overhead.
    pub fn of(samples: &Samples, value: Value) -> Result<Self, String> {
        let net = |sample: &u64| {
            let net = sample.checked_sub(samples.overhead);
            let net = net.ok_or(format!("sample {sample} is less than its overhead"))?;
            Ok(net.div_ceil(samples.per.max(1)))
        };
        let mut sorted = samples.samples.iter().map(net).collect::<Result<Vec<_>, String>>()?;
        sorted.sort_unstable();
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            return Err("it has no samples".to_owned());
        };
        let (min, max, median) = (*min, *max, sorted[sorted.len() / 2]);
        let value = match value {
            Value::Median => median,
            Value::Maximum => max,
        };
        Ok(Self { value, min, median, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(overhead: u64, per: u64, samples: &[u64], value: Value) -> Result<Figures, String> {
        Figures::of(&Samples { overhead, per, samples: samples.to_vec() }, value)
    }

    #[test]
    fn overhead_is_subtracted_and_the_rest_shared_out() {
        let found = figures(3, 2, &[24, 23, 103], Value::Median).unwrap();
        assert_eq!(found, Figures { value: 11, min: 10, median: 11, max: 50 });
        let found = figures(0, 1, &[5, 1, 9], Value::Maximum).unwrap();
        assert_eq!(found, Figures { value: 9, min: 1, median: 5, max: 9 });
    }

    #[test]
    fn the_median_of_an_even_number_is_the_worse_one() {
        assert_eq!(figures(0, 1, &[1, 2, 3, 4], Value::Median).unwrap().median, 3);
        assert_eq!(figures(0, 1, &[7], Value::Median).unwrap().median, 7);
        assert_eq!(figures(0, 1, &[u64::MAX, 0], Value::Median).unwrap().median, u64::MAX);
    }

    #[test]
    fn samples_that_can_not_be_are_refused() {
        assert!(figures(3, 1, &[2], Value::Median).is_err());
        assert!(figures(0, 1, &[], Value::Median).is_err());
    }
}
