//! The shell: a person's commands, or those of the kernel's command line.
//!
//! ```text
//!   console ──► reader ──► events ──► session ──► table ──► commands ──► services, the kernel
//!                            ▲           ▲                      │
//!             watchers ──────┘        line, words               ▼
//!             a program's text ──► listener ──────────────► terminal ──► console
//! ```
//! | module | what |
//! |---|---|
//! | [`keys`], [`mod@line`] | typed bytes as keys, and keys as an edited line |
//! | [`words`] | a line as commands |
//! | [`terminal`] | what is shown, with the line that is being typed always last |
//! | [`events`] | what the shell waits for |
//! | [`programs`] | programs that it has started |
//! | [`services`] | services that were started anew |
//! | [`state`], [`table`], [`commands`] | what commands have at hand, which there are, and what they do |
//! | [`session`] | from the first prompt on |
//!
//! Its threads: the session; one that waits for what is typed; one that shows what programs print, so that this stands above
//! the line that is being typed; one for each program that runs, which waits for its end; and, for a person, one that waits for
//! init's word of services.
#![forbid(unsafe_code)]

pub mod commands;
pub mod events;
pub mod keys;
pub mod line;
pub mod programs;
pub mod services;
pub mod session;
pub mod state;
pub mod table;
pub mod terminal;
pub mod words;
