//! Cutting off a badge: what goes, what stays, and who gets in its way.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error, Rights};

use super::trees::{MANY, Tables};
use crate::{
    capability::{
        Capability,
        revoke::{Begun, Revoking},
    },
    system::SystemObject,
    tests::kernel::Kernel,
};

fn begin(tables: &Tables, slot: CapSlot, badge: u64) -> Result<Begun, Error> {
    Revoking::begin_cut(&tables.tables[0], slot, badge)
}

/// One that nobody else is in the way of.
fn own(tables: &Tables, slot: CapSlot, badge: u64) -> Revoking {
    match begin(tables, slot, badge) {
        Ok(Begun::Own(revoking)) => revoking,
        Ok(Begun::Other(_)) => panic!("another goes on"),
        Ok(Begun::Nothing) => panic!("there is nothing to cut off"),
        Err(error) => panic!("{error}"),
    }
}

fn finish(mut revoking: Revoking) {
    while revoking.step().goes_on() {}
    revoking.end();
}

#[test]
fn one_client_goes_with_all_that_it_passed_on() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(3);
    let root = tables.root(0);
    let plain = tables.copy(0, root, 1).unwrap();
    let mint = |from, slot, badge, to| tables.mint(from, slot, badge, to).unwrap();
    let gone = [mint(0, root, 7, 1), mint(1, plain, 7, 2), mint(0, root, 7, 0)];
    let passed = [tables.copy(1, gone[0], 2).unwrap(), tables.copy(2, gone[1], 0).unwrap()];
    let stays = [mint(0, root, 8, 1), mint(1, plain, 9, 1), tables.copy(1, plain, 1).unwrap()];
    let further = tables.copy(1, stays[0], 2).unwrap();
    finish(own(&tables, root, 7));
    for (table, slot) in [(1, gone[0]), (2, gone[1]), (0, gone[2]), (2, passed[0]), (0, passed[1])]
    {
        assert!(!tables.is_there(table, slot));
    }
    assert!(stays.iter().all(|slot| tables.is_there(1, *slot)));
    assert!(tables.is_there(2, further) && tables.is_there(1, plain) && tables.is_there(0, root));
    // The badge can be given out again.
    let again = mint(0, root, 7, 1);
    finish(own(&tables, root, 7));
    assert!(!tables.is_there(1, again));
}

#[test]
fn what_has_a_badge_itself_has_all_or_nothing_beneath_it() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let client = tables.mint(0, root, 7, 0).unwrap();
    let copy = tables.copy(0, client, 1).unwrap();
    assert!(matches!(begin(&tables, client, 8), Ok(Begun::Nothing)));
    assert!(tables.is_there(1, copy));
    finish(own(&tables, client, 7));
    assert!(tables.is_there(0, client) && !tables.is_there(1, copy));
    // Of what has no badges nothing has one.
    let system = Capability::new(SystemObject::new().unwrap(), Rights::all());
    let system = tables.tables[0].lock().insert(system, &tables.quota).unwrap();
    let copy = tables.copy(0, system, 1).unwrap();
    assert!(matches!(begin(&tables, system, 7), Ok(Begun::Nothing)));
    assert!(tables.is_there(1, copy));
    assert!(matches!(begin(&tables, CapSlot::NULL, 7), Err(Error::EmptySlot)));
    tables.close(0, client).unwrap();
    assert!(matches!(begin(&tables, client, 7), Err(Error::StaleCapability)));
}

#[test]
fn others_are_not_disturbed() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let plain = tables.copy(0, root, 0).unwrap();
    let client = tables.mint(0, root, 7, 1).unwrap();
    let other = tables.mint(0, plain, 8, 1).unwrap();
    let mut revoking = own(&tables, root, 7);
    for (badge, slot, table) in [(7, root, 0), (7, plain, 0), (0, client, 1)] {
        assert_eq!(tables.mint(table, slot, badge, 0).err(), Some(Error::Revoked));
    }
    for (table, slot) in [(0, root), (0, plain), (1, client)] {
        assert_eq!(tables.relocate(table, slot, 0).err(), Some(Error::Revoked));
    }
    let copies = [tables.copy(1, other, 0), tables.copy(0, plain, 0), tables.mint(0, plain, 9, 0)];
    let moved = tables.relocate(1, other, 0).unwrap();
    while revoking.step().goes_on() {}
    assert_eq!(tables.mint(0, root, 7, 0).err(), Some(Error::Revoked), "it has not ended");
    revoking.end();
    assert!(copies.iter().all(|copy| tables.is_there(0, copy.unwrap())));
    assert!(tables.is_there(0, moved) && !tables.is_there(1, client));
    assert!(tables.mint(0, root, 7, 0).is_ok() && tables.relocate(0, plain, 1).is_ok());
}

#[test]
fn a_full_revoke_refuses_all_beside_a_cut() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let client = tables.mint(0, root, 7, 1).unwrap();
    let cut = own(&tables, root, 7);
    let mut all = tables.begin(0, root).unwrap();
    assert_eq!(tables.mint(0, root, 8, 0).err(), Some(Error::Revoked));
    while all.step().goes_on() {}
    all.end();
    assert!(!tables.is_there(1, client));
    assert!(tables.mint(0, root, 8, 0).is_ok());
    assert_eq!(tables.mint(0, root, 7, 0).err(), Some(Error::Revoked));
    finish(cut);
    assert!(tables.mint(0, root, 7, 0).is_ok());
}

#[test]
fn nobody_escapes_behind_the_walk_s_back() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    // At the end of the list, behind many others.
    let plain = tables.copy(0, root, 0).unwrap();
    let client = tables.mint(0, plain, 7, 1).unwrap();
    let chain: Vec<_> = (0..5).map(|_| tables.copy(1, client, 1).unwrap()).collect();
    for _ in 0..MANY {
        tables.mint(0, root, 8, 0).unwrap();
    }
    let mut revoking = own(&tables, root, 7);
    assert!(revoking.step().goes_on());
    // Their children come to the front, where it has been.
    tables.close(1, client).unwrap();
    tables.close(0, plain).unwrap();
    tables.tidy(0);
    tables.tidy(1);
    while revoking.step().goes_on() {}
    assert!(!chain.iter().any(|slot| tables.is_there(1, *slot)));
    revoking.end();
}

#[test]
fn a_step_looks_at_few() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(1);
    let root = tables.root(0);
    let client = tables.mint(0, root, 7, 0).unwrap();
    for badge in 0..100 * MANY as u64 {
        let other = tables.mint(0, root, 8 + badge, 0).unwrap();
        if badge % 100 == 0 {
            (0..50).for_each(|_| assert!(tables.copy(0, other, 0).is_ok()));
        }
    }
    let mut revoking = own(&tables, root, 7);
    let steps = (0..).take_while(|_| revoking.step().goes_on()).count();
    revoking.end();
    assert!((100 * MANY / 64..100 * MANY / 64 + 10).contains(&steps), "{steps}");
    assert!(!tables.is_there(0, client));
}

#[test]
fn who_wants_another_helps_and_the_abandoned_is_finished() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let clients = [7, 8, 9].map(|badge| tables.mint(0, root, badge, 1).unwrap());
    let first = own(&tables, root, 7);
    let Ok(Begun::Other(help)) = begin(&tables, root, 8) else { panic!("one goes on") };
    finish(help);
    assert!(!tables.is_there(1, clients[0]) && tables.is_there(1, clients[1]));
    // It was ended by the one who helped; another can begin, and the first finds that it is over.
    let second = own(&tables, root, 8);
    finish(first);
    assert!(second.step().goes_on());
    drop(second);
    assert_eq!(tables.tables[0].lock().unfinished(), 1);
    tables.tidy(0);
    assert!(!tables.is_there(1, clients[1]) && tables.is_there(1, clients[2]));
    // Abandoned, and finished by one who helps.
    drop(own(&tables, root, 9));
    let Ok(Begun::Other(help)) = begin(&tables, root, 8) else { panic!("one goes on") };
    tables.close(0, root).unwrap();
    finish(help);
    assert_eq!(tables.tables[0].lock().unfinished(), 0);
    assert!(!tables.is_there(1, clients[2]));
}
