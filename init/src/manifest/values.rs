//! What stands in the manifest's strings. Each gives `None` for what is none.
#![forbid(unsafe_code)]

use core::ops::RangeInclusive;

use orbital_user::Rights;

use super::service::{Amount, Restart};

/// The words for rights on the system.
const SYSTEM: &[(&str, Rights)] = &[
    ("devices", Rights::DEVICES),
    ("grant", Rights::GRANT),
    ("log", Rights::LOG),
    ("log-read", Rights::LOG_READ),
    ("shutdown", Rights::SHUTDOWN),
    ("statistics", Rights::STATISTICS),
];
/// The most of an amount: what a machine can have, and far from where sums wrap.
const MOST: u64 = 1 << 48;

/// A right on the system.
pub(super) fn system_right(word: &str) -> Option<Rights> {
    SYSTEM.iter().find(|(known, _)| *known == word).map(|(_, right)| *right)
}

/// A name: it is part of log lines, and of a process's 16 bytes.
pub(super) fn is_name(text: &str) -> bool {
    let is_fine = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    (1..=16).contains(&text.len()) && text.bytes().all(is_fine)
}

/// `0x3f8-0x3ff`, or one port alone.
pub(super) fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

fn port(text: &str) -> Option<u16> {
    let digits = text.trim().strip_prefix("0x")?;
    // The number's own sign is none of the digits.
    digits.bytes().all(|c| c.is_ascii_hexdigit()).then_some(())?;
    u16::from_str_radix(digits, 16).ok()
}

/// A number and what stands behind it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit))
}

/// `40%`.
pub(super) fn percent(text: &str) -> Option<Amount> {
    let (number, unit) = number(text)?;
    (unit == "%" && (1..=100).contains(&number)).then_some(Amount::Percent(number))
}

/// `128K`, `2M`.
pub(super) fn bytes(text: &str) -> Option<Amount> {
    let (number, unit) = number(text)?;
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        _ => return None,
    };
    amount(number.checked_mul(1 << shift)?)
}

/// A number as an amount.
pub(super) fn amount(number: u64) -> Option<Amount> {
    (1..=MOST).contains(&number).then_some(Amount::Of(number))
}

/// `100ms`, `2s`, `50us`: in nanoseconds; an hour at most.
pub(super) fn time(text: &str) -> Option<u64> {
    let (number, unit) = number(text)?;
    let unit = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit).filter(|time| *time <= 3_600_000_000_000)
}

/// When to start anew.
pub(super) fn restart(text: &str) -> Option<Restart> {
    match text {
        "always" => Some(Restart::Always),
        "on-failure" => Some(Restart::OnFailure),
        "never" => Some(Restart::Never),
        _ => None,
    }
}

/// Numbers of CPUs, as bits.
pub(super) fn cpus(numbers: &[u64]) -> Option<u64> {
    let bit = |number: &u64| 1_u64.checked_shl(u32::try_from(*number).ok()?);
    let mask = numbers.iter().map(bit).try_fold(0, |mask, bit| Some(mask | bit?))?;
    (mask != 0).then_some(mask)
}
