//! The numbers that kernel and programs agree on. A program built against other numbers would go
//! wrong silently, so they are written down here a second time.

use std::{collections::BTreeSet, string::ToString};

use crate::{Error, FaultKind, IpcError, ObjectKind, Rights, Syscall, statistics::Statistic};

/// Numbers near those in use, and such as equal them in their lower bits.
fn candidates() -> impl Iterator<Item = u64> {
    let far =
        [8, 16, 31, 32, 63].into_iter().flat_map(|bit| (0..128).map(move |low| 1 << bit | low));
    (0..=0x1_0000).chain(far).chain([u64::MAX - 1, u64::MAX])
}

#[test]
fn errors_have_their_codes_and_no_other_code_is_an_error() {
    let codes: BTreeSet<_> = Error::ALL.iter().map(|error| error.code()).collect();
    assert_eq!(Error::ALL.len(), 30);
    assert!(codes.iter().copied().eq(1..=30), "distinct, and never the 0 of success");
    for error in Error::ALL {
        assert_eq!(Error::from_code(error.code()), Some(*error));
    }
    for code in candidates() {
        assert_eq!(Error::from_code(code).is_some(), codes.contains(&code), "{code:#x}");
    }
}

#[test]
fn errors_say_different_things() {
    let texts: BTreeSet<_> = Error::ALL.iter().map(|error| error.to_string()).collect();
    assert_eq!(texts.len(), Error::ALL.len());
    assert!(texts.iter().all(|text| !text.is_empty()));
}

#[test]
fn every_message_error_is_an_error_and_comes_back() {
    for ipc in IpcError::ALL {
        let error = Error::from(ipc);
        assert_eq!(error.code(), ipc as u64);
        assert_eq!(IpcError::try_from(error), Ok(ipc));
        assert_eq!(ipc.to_string(), error.to_string());
    }
    // The fallback of the conversion would hide a code that is none.
    let errors: BTreeSet<_> = IpcError::ALL.map(|ipc| Error::from(ipc).code()).into();
    assert_eq!(errors.len(), IpcError::ALL.len());
}

#[test]
fn errors_that_no_message_operation_answers_are_given_back() {
    let others = Error::ALL.iter().filter(|error| IpcError::try_from(**error) == Err(**error));
    let others: BTreeSet<_> = others.map(|error| error.code()).collect();
    assert_eq!(others, [1, 8, 9, 10, 11, 12, 13, 14, 15, 23, 24, 29].into());
}

#[test]
fn system_calls_keep_their_numbers_and_no_other_number_is_one() {
    let numbers: BTreeSet<_> = Syscall::ALL.iter().map(|call| *call as u64).collect();
    let groups = [
        0..=5,
        16..=31,
        32..=36,
        48..=57,
        64..=64,
        72..=74,
        80..=86,
        88..=91,
        96..=106,
        112..=112,
        120..=121,
        124..=126,
    ];
    assert_eq!(numbers, groups.into_iter().flatten().collect());
    assert_eq!(numbers.len(), Syscall::ALL.len());
    for call in Syscall::ALL {
        assert_eq!(Syscall::from_number(*call as u64), Some(*call));
    }
    for number in candidates() {
        let found = Syscall::from_number(number).is_some();
        assert_eq!(found, numbers.contains(&number), "{number:#x}");
    }
}

#[test]
fn counters_keep_their_numbers_and_no_other_number_is_one() {
    assert!(
        Statistic::ALL
            .iter()
            .map(|statistic| *statistic as u64)
            .eq((0..18).chain(20..24).chain(40..42))
    );
    for statistic in Statistic::ALL {
        assert_eq!(Statistic::from_number(statistic as u64), Some(statistic));
    }
    for number in candidates() {
        let exists = [0..18, 20..24, 40..42].iter().any(|range| range.contains(&number));
        assert_eq!(Statistic::from_number(number).is_some(), exists, "{number:#x}");
    }
}

#[test]
fn object_kinds_keep_their_numbers_and_no_other_number_is_one() {
    assert!(ObjectKind::ALL.iter().map(|kind| *kind as u64).eq(1..=10));
    for kind in ObjectKind::ALL {
        assert_eq!(ObjectKind::from_number(kind as u64), Some(kind));
    }
    for number in candidates() {
        let found = ObjectKind::from_number(number).is_some();
        assert_eq!(found, (1..=10).contains(&number), "{number:#x}");
    }
}

#[test]
fn fault_kinds_keep_their_numbers_and_names() {
    assert!(FaultKind::ALL.iter().map(|kind| *kind as u64).eq(1..=12));
    let names: BTreeSet<_> = FaultKind::ALL.iter().map(|kind| kind.to_string()).collect();
    assert_eq!(names.len(), FaultKind::ALL.len());
}

#[test]
fn rights_are_the_lowest_thirteen_bits() {
    assert_eq!(Rights::all().bits(), 0x1fff);
    let bits: BTreeSet<_> = Rights::all().iter().map(|right| right.bits()).collect();
    assert_eq!(bits, (0..13).map(|bit| 1 << bit).collect());
}
