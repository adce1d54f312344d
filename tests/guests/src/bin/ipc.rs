//! Messages between processes.
#![cfg_attr(target_os = "none", no_std, no_main)]

use guests::{children, suite};
use orbital_user::{
    Endpoint, Message, Rights,
    server::{Next, serve},
    start::take_granted,
};

suite! {
    cases: [basic_ipc],
    roles: [echo_server, echo_client],
}

const ECHO: u32 = 1;
const STOP: u32 = 2;

fn granted_endpoint() -> Endpoint {
    Endpoint::from_slot(take_granted(0).expect("an endpoint").into_slot())
}

fn echo_server() {
    serve(&granted_endpoint(), |request| match request.message.label() {
        STOP => Next::ReplyAndStop(request.message),
        _ => Next::Reply(request.message),
    })
    .unwrap();
}

fn echo_client() {
    let server = granted_endpoint();
    for count in 0..=8 {
        let words: [u64; 8] = core::array::from_fn(|word| (count * 100 + word) as u64);
        let message = Message::new(ECHO, &words[..count]).unwrap();
        assert_eq!(server.call(&message).unwrap(), message);
    }
    let stop = Message::new(STOP, &[]).unwrap();
    assert_eq!(server.call(&stop).unwrap(), stop);
}

/// An echo server and an echo client, each a process: every message length comes back as it was
/// sent, and both end with exit code 0.
fn basic_ipc() {
    let endpoint = Endpoint::create().unwrap();
    let server = children::start("echo_server", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 0));
    let client = children::start("echo_client", |s| s.grant(endpoint.slot(), Rights::SEND, 0));
    children::succeed(&client);
    children::succeed(&server);
}
