//! The header for programs in C says what this crate says.
#![forbid(unsafe_code)]

use std::{
    collections::HashMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    CapSlot, Error, ObjectKind, Rights, Syscall, Tag,
    arguments::NAME_BYTES,
    bootstrap::{Bootstrap, GRANTED, MAGIC},
    layout::PAGE_SIZE,
    message::{IS_CALL, IS_FAULT, IS_SIGNAL},
};

const HEADER: &str = include_str!("../../../user/c/orbital.h");

/// Names without parameters, and what stands behind them.
fn defines() -> HashMap<&'static str, &'static str> {
    let pairs = HEADER.lines().filter_map(|line| line.strip_prefix("#define ORBITAL_"));
    let pairs =
        pairs.filter_map(|rest| rest.split_once(' ')).filter(|(name, _)| !name.contains('('));
    pairs.map(|(name, value)| (name, value.split("/*").next().unwrap_or(value).trim())).collect()
}

/// `CamelCase` as the header has it.
fn upper(name: &str) -> String {
    let mut text = String::new();
    for (place, character) in name.chars().enumerate() {
        if place > 0 && character.is_uppercase() {
            text.push('_');
        }
        text.extend(character.to_uppercase());
    }
    text
}

/// The names that begin with `prefix` are these, each with its number.
fn assert_all<T: core::fmt::Debug>(prefix: &str, all: &[T], number: impl Fn(&T) -> u64) {
    let defines = defines();
    for item in all {
        let name = format!("{prefix}{}", upper(&format!("{item:?}")));
        assert_eq!(defines.get(name.as_str()), Some(&number(item).to_string().as_str()), "{name}");
    }
    let count = defines.keys().filter(|name| name.starts_with(prefix)).count();
    assert_eq!(count, all.len(), "{prefix}");
}

#[test]
fn numbers_are_the_same() {
    assert_all("SYS_", Syscall::ALL, |call| *call as u64);
    assert_all("ERROR_", Error::ALL, |error| error.code());
    assert_all("KIND_", &ObjectKind::ALL, |kind| *kind as u64);
    let defines = defines();
    for (name, right) in Rights::all().iter_names() {
        let value = format!("(UINT64_C(1) << {})", right.bits().trailing_zeros());
        assert_eq!(defines.get(format!("RIGHT_{name}").as_str()), Some(&value.as_str()), "{name}");
    }
    let rights = defines.keys().filter(|name| name.starts_with("RIGHT_")).count();
    assert_eq!(rights, Rights::all().iter_names().count());
    for (name, value) in [
        ("OK", 0),
        ("PAGE_SIZE", PAGE_SIZE),
        ("IS_CALL", IS_CALL),
        ("IS_FAULT", IS_FAULT),
        ("IS_SIGNAL", IS_SIGNAL),
        ("GRANTED", GRANTED as u64),
        ("NAME_BYTES", NAME_BYTES as u64),
    ] {
        assert_eq!(defines[name], value.to_string(), "{name}");
    }
    assert_eq!(defines["NULL"], "((orbital_slot)0)");
    assert!(CapSlot::NULL.is_null());
    assert_eq!(defines["BOOTSTRAP_MAGIC"], format!("UINT64_C({MAGIC:#x})"));
}

#[test]
fn the_bootstrap_block_has_the_same_fields() {
    let start = HEADER.find("struct orbital_bootstrap {").unwrap();
    let fields: Vec<_> = HEADER[start..].lines().skip(1).take_while(|line| *line != "};").collect();
    let names = fields.iter().map(|field| field.trim().trim_end_matches(';'));
    let names: Vec<_> = names.map(|field| field.split(' ').next_back().unwrap()).collect();
    let expected = [
        ("magic", core::mem::offset_of!(Bootstrap, magic)),
        ("process", core::mem::offset_of!(Bootstrap, process)),
        ("thread", core::mem::offset_of!(Bootstrap, thread)),
        ("system", core::mem::offset_of!(Bootstrap, system)),
        ("archive", core::mem::offset_of!(Bootstrap, archive)),
        ("archive_bytes", core::mem::offset_of!(Bootstrap, archive_bytes)),
        ("granted[ORBITAL_GRANTED]", core::mem::offset_of!(Bootstrap, granted)),
        ("names[ORBITAL_GRANTED][ORBITAL_NAME_BYTES]", core::mem::offset_of!(Bootstrap, names)),
        ("command_line_bytes", core::mem::offset_of!(Bootstrap, command_line_bytes)),
        ("stack_bottom", core::mem::offset_of!(Bootstrap, stack_bottom)),
        (
            "command_line[ORBITAL_PAGE_SIZE - 56 * 8]",
            core::mem::offset_of!(Bootstrap, command_line),
        ),
    ];
    let mut offset = 0;
    for (field, (name, place)) in fields.iter().zip(expected) {
        assert!(field.ends_with(&format!(" {name};")), "{field}");
        assert_eq!(offset, place, "{name}");
        offset += match name.matches('[').count() {
            0 => 8,
            1 => 8 * GRANTED,
            _ => NAME_BYTES * GRANTED,
        };
    }
    assert_eq!(names.len(), expected.len());
}

#[test]
fn tags_are_made_the_same_way() {
    assert!(HEADER.contains("((uint64_t)(words) << 32 | (uint32_t)(label))"));
    assert_eq!(Tag::new(7, 3).unwrap().bits(), 3 << 32 | 7);
}
