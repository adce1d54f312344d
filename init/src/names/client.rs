//! The side that asks: a program that others find by a name, or that finds another one so.
#![forbid(unsafe_code)]

use core::fmt;

use orbital_user::{
    Endpoint, Error, Rights,
    rpc::{self, CallError},
    start::take_named,
};

use crate::protocol::names::{Answer, NAME, Question};

/// A client of the name service.
pub type Client = rpc::Client<Question, Answer>;

/// Why a name can't be registered or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The program has no capability to the name service.
    NotGiven,
    /// No capability could be made of the endpoint that others may have.
    NoCopy(Error),
    /// The service could not be asked.
    Call(CallError),
    /// It has refused.
    Refused(Answer),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGiven => f.write_str("this program was not given the name service"),
            Self::NoCopy(error) => error.fmt(f),
            Self::Call(error) => write!(f, "the name service: {error}"),
            Self::Refused(answer) => f.write_str(match answer {
                Answer::Unknown => "no such service",
                Answer::Taken => "another client has that name",
                Answer::Invalid => "a name has 1 to 64 bytes",
                Answer::NotAllowed => "the name service does not allow that",
                Answer::Full => "the name service has no room for it",
                Answer::Done | Answer::Found | Answer::Names(_) => {
                    "the name service's answer makes no sense"
                }
            }),
        }
    }
}

impl core::error::Error for Failure {}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// The name service that the program was given: the first time.
///
/// # Errors
/// [`Failure::NotGiven`].
pub fn given() -> Result<Client, Failure> {
    let given = take_named(NAME).ok_or(Failure::NotGiven)?;
    Ok(Client::new(Endpoint::from_slot(given.into_slot())))
}

/// Lets others find `endpoint` by this name, to send to it and to pass that on.
///
/// # Errors
/// A [`Failure`].
pub fn register(names: &Client, name: &str, endpoint: &Endpoint) -> Result<(), Failure> {
    let offered = endpoint.copy(Rights::SEND | Rights::GRANT, 0).map_err(Failure::NoCopy)?;
    match names.call_with(&Question::Register(name.into()), &[offered.slot()])?.0 {
        Answer::Done => Ok(()),
        refused => Err(Failure::Refused(refused)),
    }
}

/// Finds the endpoint of this name.
///
/// # Errors
/// A [`Failure`]; [`Answer::Unknown`] where nobody has that name.
pub fn look_up(names: &Client, name: &str) -> Result<Endpoint, Failure> {
    let (answer, found) = names.call_with(&Question::LookUp(name.into()), &[])?;
    match (answer, found.into_iter().next()) {
        (Answer::Found, Some(found)) => Ok(Endpoint::from_slot(found.into_slot())),
        (refused, _) => Err(Failure::Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use orbital_user::IpcError;

    use super::*;

    #[test]
    fn failures_are_told_in_words() {
        for (failure, expected) in [
            (Failure::NotGiven, "this program was not given the name service"),
            (Failure::NoCopy(Error::QuotaExceeded), "the quota is used up"),
            (CallError::Ipc(IpcError::PeerGone).into(), "the name service: the partner is gone"),
            (CallError::Refused.into(), "the name service: the server does not understand"),
            (Failure::Refused(Answer::Unknown), "no such service"),
            (Failure::Refused(Answer::Taken), "another client has that name"),
            (Failure::Refused(Answer::Found), "makes no sense"),
        ] {
            assert!(failure.to_string().contains(expected), "{failure}");
        }
    }
}
