//! The side that answers.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use orbital_abi::{IpcError, Received};
use serde::{Serialize, de::DeserializeOwned};

use super::frame::{ACCEPTS, Frame, read};
use crate::{capability::Capability, endpoint::Endpoint, passing::reply_with, reply::Reply};

/// A question that has come.
#[derive(Debug)]
pub struct Call<Q> {
    /// The question.
    pub question: Q,
    /// The badge of the capability by which it was asked.
    pub badge: u64,
    /// What came with it.
    pub capabilities: Vec<Capability>,
}

/// What a handler wants.
#[derive(Debug)]
pub enum Answer<A> {
    /// Answer this, and go on.
    Reply(A),
    /// The same with copies of these capabilities, up to four, or three with more than 3,968 bytes. They need the right
    /// `GRANT`, and are closed afterwards.
    ReplyWith(A, Vec<Capability>),
    /// Go on without an answer: the call is kept ([`Reply::keep`](crate::Reply::keep)), or it is to be dropped.
    Later,
    /// Answer this, and leave the loop.
    Stop(A),
}

/// What serves an endpoint whose thread has signals too.
pub trait Server<Q, A> {
    /// A question.
    fn call(&mut self, call: Call<Q>) -> Answer<A>;

    /// These bits came by the notification that is [bound](crate::Notification::bind) to the thread. No answer is sent
    /// meanwhile; what is kept may be.
    fn signals(&mut self, bits: u64);
}

/// A handler that has no use for signals.
struct Handler<F>(F);

impl<Q, A, F: FnMut(Call<Q>) -> Answer<A>> Server<Q, A> for Handler<F> {
    fn call(&mut self, call: Call<Q>) -> Answer<A> {
        (self.0)(call)
    }

    fn signals(&mut self, _: u64) {}
}

/// Serves `endpoint` until the handler has enough. Questions that can't be read are refused. Messages that are no calls,
/// signals among them, are passed over. Where an answer can't be sent, since it is too long or the caller accepts no
/// capabilities, the caller gets [`IpcError::PeerGone`].
///
/// # Errors
/// [`IpcError::EndpointGone`] and whatever else keeps it from receiving.
pub fn serve<Q: DeserializeOwned, A: Serialize>(
    endpoint: &Endpoint,
    handler: impl FnMut(Call<Q>) -> Answer<A>,
) -> Result<(), IpcError> {
    serve_with(endpoint, &mut Handler(handler))
}

/// The same for a server that has signals, too.
///
/// # Errors
/// As [`serve`].
pub fn serve_with<Q: DeserializeOwned, A: Serialize>(
    endpoint: &Endpoint,
    server: &mut impl Server<Q, A>,
) -> Result<(), IpcError> {
    let mut reply = None;
    loop {
        let (received, capabilities) = next(endpoint, reply.take())?;
        if !received.is_call {
            if received.signals != 0 {
                server.signals(received.signals);
            }
            continue;
        }
        let (frame, is_last) = handle(&received, capabilities, server);
        if is_last {
            // A caller that is gone, or accepts no capabilities, has its own affairs.
            let _ = frame.map(|frame| reply_with(&frame.message, frame.capabilities()));
            return Ok(());
        }
        if frame.is_none() {
            drop_call();
        }
        reply = frame;
    }
}

/// Tells the caller whose call the thread owes still, if there is one, that it gets no answer.
fn drop_call() {
    // It is kept by someone else, or its caller is gone.
    drop(Reply::keep());
}

/// Sends the answer, if there is one, and takes the next message.
fn next(
    endpoint: &Endpoint,
    answer: Option<Frame>,
) -> Result<(Received, Vec<Capability>), IpcError> {
    if let Some(answer) = answer {
        let next = endpoint.reply_receive_with(&answer.message, answer.capabilities(), ACCEPTS);
        match next {
            Ok(_) | Err(IpcError::EndpointGone) => return next,
            Err(_) => drop_call(),
        }
    }
    endpoint.receive_with(ACCEPTS)
}

/// The answer to a call, if there is one now, and whether it is the last.
fn handle<Q: DeserializeOwned, A: Serialize>(
    received: &Received,
    mut capabilities: Vec<Capability>,
    server: &mut impl Server<Q, A>,
) -> (Option<Frame>, bool) {
    let Some(question) = read(&received.message, &mut capabilities) else {
        return (Some(Frame::refusal()), false);
    };
    let framed = |value, brought| Frame::new(&value, brought).ok();
    match server.call(Call { question, badge: received.badge, capabilities }) {
        Answer::Reply(value) => (framed(value, Vec::new()), false),
        Answer::ReplyWith(value, brought) => (framed(value, brought), false),
        Answer::Later => (None, false),
        Answer::Stop(value) => (framed(value, Vec::new()), true),
    }
}

/// Waits for the next question, for who answers it later or elsewhere: gives it with the [`Reply`] to answer it by. What
/// [`serve`] passes over or refuses, this does too.
///
/// # Errors
/// As [`serve`].
pub fn receive<Q: DeserializeOwned>(endpoint: &Endpoint) -> Result<(Call<Q>, Reply), IpcError> {
    loop {
        let (received, mut capabilities) = endpoint.receive_with(ACCEPTS)?;
        // A caller that is gone wants no answer.
        let Some(reply) = received.is_call.then(Reply::keep).and_then(Result::ok) else { continue };
        match read(&received.message, &mut capabilities) {
            Some(question) => {
                return Ok((Call { question, badge: received.badge, capabilities }, reply));
            }
            // The same.
            None => drop(reply.answer(&Frame::refusal().message)),
        }
    }
}

/// Answers a call that was kept.
///
/// # Errors
/// As [`answer_with`].
pub fn answer<A: Serialize>(reply: Reply, value: &A) -> Result<(), IpcError> {
    answer_with(reply, value, Vec::new())
}

/// The same with copies of these capabilities, which are closed afterwards.
///
/// # Errors
/// [`IpcError::PeerGone`] when the caller is gone; [`IpcError::NoRoom`] when it accepts no capabilities and they, or an
/// answer of more than 3,968 bytes, need that; those of [`Reply::answer_with`].
pub fn answer_with<A: Serialize>(
    reply: Reply,
    value: &A,
    capabilities: Vec<Capability>,
) -> Result<(), IpcError> {
    let frame = Frame::new(value, capabilities)?;
    reply.answer_with(&frame.message, frame.capabilities())
}
