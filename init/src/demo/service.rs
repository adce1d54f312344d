//! A server and its clients, each in an address space of its own; one process without a capability.
#![forbid(unsafe_code)]

use alloc::{format, string::ToString};

use orbital_init::service::{ANSWER, CALLS, STOP};
use orbital_user::{
    Endpoint, ExitReason, Message, Rights, println,
    program::Archive,
    spawn::{Child, Spawn},
};

use super::failure::{Failure, expect_exit, program};

const SUCCESS: ExitReason = ExitReason::Exited(0);

/// The running server.
pub struct Service {
    endpoint: Endpoint,
    server: Child,
}

impl Service {
    /// Starts the server, which can only receive.
    pub fn start(archive: &Archive) -> Result<Self, Failure> {
        let failed = || Failure::of("starting the server");
        let endpoint = Endpoint::create().map_err(Failure::of("an endpoint"))?;
        let server = Spawn::new("server")
            .grant(endpoint.slot(), Rights::RECEIVE, 0)
            .start(program(archive, "server")?)
            .map_err(failed())?;
        println!("server: started, with the right to receive alone");
        Ok(Self { endpoint, server })
    }

    /// Runs a client with this badge to its end.
    pub fn serve_client(&self, archive: &Archive, badge: u64) -> Result<(), Failure> {
        let client = Spawn::new("client")
            .arguments(&badge.to_string())
            .grant(self.endpoint.slot(), Rights::SEND, badge)
            .start(program(archive, "client")?)
            .map_err(Failure::of("starting a client"))?;
        expect_exit(&client, "client", SUCCESS)?;
        println!("client: {CALLS} calls, arguments and badge {badge} checked");
        Ok(())
    }

    /// Runs a process without a capability to the endpoint.
    pub fn refuse_outsider(&self, archive: &Archive) -> Result<(), Failure> {
        let outsider = Spawn::new("outsider")
            .start(program(archive, "outsider")?)
            .map_err(Failure::of("starting the outsider"))?;
        expect_exit(&outsider, "outsider", SUCCESS)?;
        println!("outsider: has no capability, got the error and not the service");
        Ok(())
    }

    /// Asks the server to end, and how many calls it has answered: those of the clients alone.
    pub fn stop(self) -> Result<(), Failure> {
        let request = Message::new(STOP, &[]).map_err(Failure::of("a message"))?;
        let answer = self.endpoint.call(&request).map_err(Failure::of("stopping the server"))?;
        let wanted = Message::new(ANSWER, &[2 * CALLS]).map_err(Failure::of("a message"))?;
        if answer != wanted {
            let words = answer.words();
            return Err(Failure::new(format!("the server has answered {words:?} calls")));
        }
        expect_exit(&self.server, "server", SUCCESS)?;
        println!("server: answered {} calls and ended", 2 * CALLS);
        Ok(())
    }
}
