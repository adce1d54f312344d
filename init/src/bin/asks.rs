//! To be tried in the shell: asks whoever is found by the name that is its first argument for the others in capital letters.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, string::String};

use orbital_init::{
    capitals::{Answer, Question},
    names::client::{given, look_up},
};
use orbital_user::{
    IpcError, entry, println,
    rpc::{CallError, Client},
    start::bootstrap,
};

entry!(main);

fn main() -> Result<(), String> {
    let (name, text) = bootstrap()
        .command_line()
        .trim()
        .split_once(char::is_whitespace)
        .ok_or("usage: asks NAME WORDS...")?;
    let found = given().and_then(|names| look_up(&names, name));
    let server = Client::new(found.map_err(|failure| format!("{name}: {failure}"))?);
    let asked: Result<Answer, _> = server.call(&Question::Capitals(text.trim_start().into()));
    let answer = asked.map_err(|error| match error {
        CallError::Ipc(IpcError::EndpointGone) => format!("{name}: whoever served it has ended"),
        error => format!("{name}: {error}"),
    })?;
    println!("{answer}");
    Ok(())
}
