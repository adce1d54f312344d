//! What a program gets of the capabilities that came with the question to start it.
#![forbid(unsafe_code)]

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use orbital_user::{
    CapSlot, Rights,
    abi::arguments::NAME_BYTES,
    capability::{Capability, inspect},
    output::OUTPUT,
};

/// A capability, and how the program gets it.
pub(super) struct Given<'a> {
    pub(super) name: &'a str,
    pub(super) slot: CapSlot,
    pub(super) rights: Rights,
}

/// What `came`, by `names`.
///
/// # Errors
/// Why a program can't have that, in a phrase.
pub(super) fn given<'a>(
    names: &'a [String],
    came: &[Capability],
) -> Result<Vec<Given<'a>>, String> {
    check(names, came.len())?;
    let given = names.iter().zip(came).map(|(name, capability)| {
        let slot = capability.slot();
        let rights = inspect(slot).map_err(|error| error.to_string())?.rights;
        // It prints there, and hands it to nobody.
        let rights = if name == OUTPUT { Rights::SEND } else { rights };
        Ok(Given { name, slot, rights })
    });
    given.collect()
}

/// Whether these names tell `count` capabilities apart in a bootstrap block.
fn check(names: &[String], count: usize) -> Result<(), String> {
    if names.len() != count {
        return Err(format!("names for {} capabilities, but {count} came", names.len()));
    }
    for (place, name) in names.iter().enumerate() {
        // A block fills names up with zeros.
        if name.is_empty() || name.len() > NAME_BYTES || name.contains('\0') {
            return Err(format!("a capability's name has 1 to {NAME_BYTES} bytes, none of them 0"));
        }
        if names[..place].contains(name) {
            return Err(format!("two capabilities have the name {name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(names: &[&str], count: usize) -> Result<(), String> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        check(&names, count)
    }

    #[test]
    fn names_that_tell_capabilities_apart_are_fine() {
        assert_eq!(checked(&[], 0), Ok(()));
        assert_eq!(checked(&["output", "names", "x", "sixteen bytes é"], 4), Ok(()));
    }

    #[test]
    fn each_capability_has_a_name_and_each_name_a_capability() {
        for (names, count) in [(&[][..], 1), (&["output"], 0), (&["output"], 2), (&["a", "b"], 1)] {
            let reason = checked(names, count).unwrap_err();
            assert_eq!(reason, format!("names for {} capabilities, but {count} came", names.len()));
        }
    }

    #[test]
    fn what_a_block_can_not_hold_is_no_name() {
        for name in ["", "sixteen bytes, é", "\0", "names\0", &"x".repeat(1 << 16)] {
            let reason = checked(&["output", name], 2).unwrap_err();
            assert_eq!(reason, "a capability's name has 1 to 16 bytes, none of them 0", "{name:?}");
        }
    }

    #[test]
    fn a_name_comes_once() {
        let reason = checked(&["names", "output", "names"], 3).unwrap_err();
        assert_eq!(reason, "two capabilities have the name names");
    }
}
