//! Where a program's text goes.
#![forbid(unsafe_code)]

use alloc::{string::String, vec::Vec};

use guests::children;
use orbital_user::{
    Endpoint, MessagePage, Rights,
    capability::revoke,
    output::{OUTPUT, Output},
    print, println,
    rpc::{Answer, Call, serve},
    spawn::Child,
};

const LENGTHS: [usize; 9] = [0, 1, 60, 61, 62, 63, 126, 127, 256];
const LAST: &str = "without an end";

fn line(length: usize) -> String {
    (0..length).map(|place| char::from(b'a' + (place % 26) as u8)).collect()
}

fn start(endpoint: &Endpoint) -> Child {
    children::start("prints", |spawn| spawn.grant_as(OUTPUT, endpoint.slot(), Rights::SEND, 7))
}

/// A role: prints lines, with messages of its own under way.
pub fn prints() {
    let page = MessagePage::of_thread().unwrap();
    let word = |place: usize| place as u64 * 0x0101_0101;
    page.entries().iter().enumerate().for_each(|(place, entry)| entry.set(word(place)));
    for length in LENGTHS {
        println!("{}", line(length));
    }
    println!("{}", line(300));
    print!("{LAST}");
    assert!((8..496).all(|place| page.entries()[place].get() == word(place)));
}

/// Each line comes whole, also when the server ends over it once.
pub fn what_a_program_prints_goes_to_its_output() {
    let endpoint = Endpoint::create().unwrap();
    let child = start(&endpoint);
    let mut expected: Vec<String> = LENGTHS.map(|length| line(length) + "\n").into();
    // Too long for one.
    expected.extend([line(256) + "\n", line(300).split_off(256) + "\n", String::from(LAST) + "\n"]);
    let mut found = Vec::new();
    let mut is_again = false;
    serve(&endpoint, |Call { question: Output::Write(text), badge, .. }| {
        assert_eq!(badge, 7);
        is_again = !is_again;
        if is_again {
            // As if it had ended now.
            return Answer::Later;
        }
        found.push(text);
        if found.len() < expected.len() { Answer::Reply(()) } else { Answer::Stop(()) }
    })
    .unwrap();
    children::succeed(&child);
    assert_eq!(found, expected);
}

/// What it prints goes into the log then, in the middle of it perhaps.
pub fn an_output_that_is_revoked_keeps_nobody() {
    let endpoint = Endpoint::create().unwrap();
    let child = start(&endpoint);
    revoke(endpoint.slot()).unwrap();
    children::succeed(&child);
}
