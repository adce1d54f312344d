//! What the services are asked, and what they answer: values for [`rpc`](orbital_user::rpc).
//!
//! | service | what it does | who serves it |
//! |---|---|---|
//! | [`console`] | shows text, gives what a person types | `bin/console` |
//! | [`log`] | keeps the system's log | `bin/log` |
//! | [`names`] | endpoints by name | `bin/names` |
//! | [`processes`] | starts programs, and tells how they end | `bin/processes` |
//! | [`supervisor`] | the services themselves | init |
//!
//! What a client may ask stands in the badge of its capability, which init sets as the manifest says: the lowest eight bits
//! are the service's rights, the others number the client. So a server need not know who its clients are, and nobody can
//! add to what he was given.
#![forbid(unsafe_code)]

pub mod console;
pub mod log;
pub mod names;
pub mod processes;
pub mod supervisor;

/// How many bits of a badge are rights.
pub const RIGHT_BITS: u32 = 8;

/// A right of a service's own: its word in a manifest, and its bit in a badge.
pub type Right = (&'static str, u64);

/// The rights that the service knows; none where there is no such service among those above.
pub fn rights(service: &str) -> &'static [Right] {
    match service {
        "console" => console::RIGHTS,
        "log" => log::RIGHTS,
        "names" => names::RIGHTS,
        "processes" => processes::RIGHTS,
        "supervisor" => supervisor::RIGHTS,
        _ => &[],
    }
}

/// The badge of client number `client`, from 1 on, with these rights.
pub const fn badge(client: u64, rights: u64) -> u64 {
    client << RIGHT_BITS | rights
}

/// Whether a badge has a right.
pub const fn may(badge: u64, right: Right) -> bool {
    badge & right.1 != 0
}
