//! To be tried in the shell: lets others find it by the name that is its argument, and answers `asks` until it is ended.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{
    format,
    string::{String, ToString},
};

use orbital_init::{
    capitals::{Answer, Question},
    names::client::{given, register},
};
use orbital_user::{Endpoint, entry, println, rpc, start::bootstrap};

entry!(main);

fn main() -> Result<(), String> {
    let mut words = bootstrap().command_line().split_whitespace();
    let (Some(name), None) = (words.next(), words.next()) else {
        return Err("usage: serves NAME".into());
    };
    let own = Endpoint::create().map_err(|error| error.to_string())?;
    let registered = given().and_then(|names| register(&names, name, &own));
    registered.map_err(|failure| format!("{name}: {failure}"))?;
    println!("serving {name}");
    rpc::serve(&own, answer).map_err(|error| format!("{name}: {error}"))
}

fn answer(call: rpc::Call<Question>) -> rpc::Answer<Answer> {
    let Question::Capitals(text) = call.question;
    rpc::Answer::Reply(text.to_uppercase())
}
