//! Typed calls: a client asks with a value, and the server's handler gives one for the answer. Values are encoded by
//! [`postcard`], as far as they fit into a message; larger ones travel in a memory object. Both may bring capabilities.
//!
//! ```
//! # use orbital_user::{Endpoint, IpcError, rpc::{Answer, CallError, Client, serve}};
//! # use serde::{Deserialize, Serialize};
//! #[derive(Serialize, Deserialize)]
//! enum Question {
//!     Sum(Vec<u64>),
//! }
//!
//! fn server(endpoint: &Endpoint) -> Result<(), IpcError> {
//!     serve(endpoint, |call| match call.question {
//!         Question::Sum(numbers) => Answer::Reply(numbers.iter().sum::<u64>()),
//!     })
//! }
//!
//! fn client(endpoint: Endpoint) -> Result<u64, CallError> {
//!     Client::<Question, u64>::new(endpoint).call(&Question::Sum(vec![1, 2, 3]))
//! }
//! ```
//!
//! | a message | label | words | capabilities |
//! |---|---|---|---|
//! | a value of up to 3,968 bytes | its length in bytes | the bytes, the first in the lowest place | the caller's |
//! | a larger one, up to 1 MiB | its length in bytes | none | a memory object with the bytes, then the caller's, up to three |
//! | a question that the server can't read, as its answer | `u32::MAX` | none | none |
#![forbid(unsafe_code)]

mod client;
mod frame;
mod server;

pub use client::{CallError, Client};
pub use server::{Answer, Call, Server, answer, answer_with, receive, serve, serve_with};
