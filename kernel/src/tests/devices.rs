//! What a program of a test can do with devices: each of these is awaited, as those of [`user`].
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, Syscall,
    arguments::{
        InterruptBind, InterruptCreate, IoPortCreate, IoPortNarrow, IoPortRead, IoPortWrite,
        PortRange, PortWidth,
    },
};

use super::user;

async fn make(call: Syscall, words: [u64; 4]) -> Result<CapSlot, Error> {
    let answer = user::control(call, words).await?;
    assert_eq!(answer[1..], [0; 3]);
    Ok(CapSlot::from_bits(answer[0]))
}

async fn done(call: Syscall, words: [u64; 4]) -> Result<(), Error> {
    assert_eq!(user::control(call, words).await?, [0; 4]);
    Ok(())
}

/// Makes a capability to ports.
pub async fn ports(system: CapSlot, first: u16, last: u16) -> Result<CapSlot, Error> {
    let call = IoPortCreate { system, ports: PortRange { first, last } };
    make(Syscall::IoPortCreate, call.encode().control).await
}

/// Makes one to fewer.
pub async fn narrow(port: CapSlot, first: u16, last: u16) -> Result<CapSlot, Error> {
    let call = IoPortNarrow { port, ports: PortRange { first, last } };
    make(Syscall::IoPortNarrow, call.encode().control).await
}

/// Reads ports.
pub async fn read(slot: CapSlot, port: u16, width: PortWidth) -> Result<u64, Error> {
    let call = IoPortRead { slot, port, width };
    let answer = user::control(Syscall::IoPortRead, call.encode().control).await?;
    assert_eq!(answer[1..], [0; 3]);
    Ok(answer[0])
}

/// Writes ports.
pub async fn write(slot: CapSlot, port: u16, width: PortWidth, value: u32) -> Result<(), Error> {
    let call = IoPortWrite { slot, port, width, value };
    done(Syscall::IoPortWrite, call.encode().control).await
}

/// Takes a line.
pub async fn line(system: CapSlot, line: u64) -> Result<CapSlot, Error> {
    make(Syscall::InterruptCreate, InterruptCreate { system, line }.encode().control).await
}

/// Binds it.
pub async fn bind(interrupt: CapSlot, notification: CapSlot, bits: u64) -> Result<(), Error> {
    let call = InterruptBind { interrupt, notification, bits };
    done(Syscall::InterruptBind, call.encode().control).await
}

/// Lets it signal nobody.
pub async fn unbind(interrupt: CapSlot) -> Result<(), Error> {
    bind(interrupt, CapSlot::NULL, 0).await
}

/// Acknowledges its interrupt.
pub async fn acknowledge(interrupt: CapSlot) -> Result<(), Error> {
    done(Syscall::InterruptAcknowledge, [interrupt.bits(), 0, 0, 0]).await
}
