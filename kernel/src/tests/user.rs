//! What a program of a test can do. Each of these is awaited: the program gives the CPU to the
//! fixture, which enters the kernel on its behalf, and goes on once its thread runs again.
#![forbid(unsafe_code)]

use core::cell::Cell;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

use orbital_abi::{
    CapSlot, Deadline, Error, ExitReason, Fault, FaultKind, Message, Received, Registers, Rights,
    Syscall,
    arguments::{
        CapabilityCopy, MemoryMap, MemoryProtect, MemoryUnmap, NotificationSignal,
        NotificationWait, TimerCreate, TimerSet,
    },
    layout::PAGE_SIZE,
};

use crate::arch::Trap;

/// Why a program gives up the CPU.
pub enum Request {
    /// It executes `syscall` with this number.
    Call(u64, Registers),
    /// It computes for so many nanoseconds.
    Work(u64),
    /// It is interrupted here, or does what it may not.
    Trap(Trap),
}

type Answer = Result<Registers, Error>;

std::thread_local! {
    static REQUEST: Cell<Option<Request>> = const { Cell::new(None) };
    static ANSWER: Cell<Option<Answer>> = const { Cell::new(None) };
}

/// What the program that was just polled wants.
pub fn request() -> Request {
    REQUEST.take().expect("programs await nothing but the functions of this module")
}

/// The program that is about to be polled finds this.
pub fn resume(answer: Answer) {
    ANSWER.set(Some(answer));
}

/// One stay in the kernel.
struct Ask(Option<Request>);

impl Future for Ask {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer> {
        match self.0.take() {
            Some(request) => {
                REQUEST.set(Some(request));
                Poll::Pending
            }
            None => Poll::Ready(ANSWER.take().expect("polled once for each answer")),
        }
    }
}

/// A system call by its number, which need not exist.
pub async fn syscall(number: u64, registers: Registers) -> Answer {
    Ask(Some(Request::Call(number, registers))).await
}

/// A system call that takes and gives control words.
pub async fn control(call: Syscall, words: [u64; 4]) -> Result<[u64; 4], Error> {
    Ok(syscall(call as u64, Registers::control(words)).await?.control)
}

/// Computes.
pub async fn work(nanoseconds: u64) {
    let _ = Ask(Some(Request::Work(nanoseconds))).await;
}

/// Is interrupted, or makes an exception.
pub async fn trap(trap: Trap) {
    let _ = Ask(Some(Request::Trap(trap))).await;
}

/// Writes to each of so many pages from `address` on.
pub async fn touch(address: u64, pages: u64) {
    for page in 0..pages {
        let (kind, address) = (FaultKind::PageWrite, address + page * PAGE_SIZE);
        trap(Trap::PageFault(Fault { kind, address, instruction_pointer: 1 })).await;
    }
}

/// Reads what is not there.
pub async fn fault(address: u64) {
    trap(Trap::PageFault(Fault { kind: FaultKind::PageRead, address, instruction_pointer: 1 }))
        .await;
}

/// Ends the thread.
pub async fn exit(code: u64) {
    let _ = control(Syscall::ThreadExit, [code, 0, 0, 0]).await;
    unreachable!("ThreadExit returned");
}

/// Lets others of the same priority run.
pub async fn give_way() {
    control(Syscall::ThreadYield, [0; 4]).await.unwrap();
}

/// A message.
pub fn message(label: u32, words: &[u64]) -> Message {
    Message::new(label, words).unwrap()
}

fn operation(endpoint: CapSlot, message: &Message, deadline: Deadline) -> Registers {
    Registers {
        control: [endpoint.bits(), message.tag.bits(), deadline.bits(), 0],
        words: message.words,
    }
}

fn received(registers: Registers) -> Received {
    let [first, _, marks, rest] = registers.control;
    assert!(matches!(marks, 0 | 1 | 3 | 4) && rest == 0, "{registers:?}");
    assert!(marks != 4 || registers == Registers::control([first, 0, 4, 0]), "{registers:?}");
    Received::decode(&registers).unwrap()
}

/// Sends.
pub async fn send(endpoint: CapSlot, message: Message, deadline: Deadline) -> Result<(), Error> {
    let registers = operation(endpoint, &message, deadline);
    let answer = syscall(Syscall::Send as u64, registers).await?;
    assert_eq!(answer, Registers::default());
    Ok(())
}

/// Receives.
pub async fn receive(endpoint: CapSlot, deadline: Deadline) -> Result<Received, Error> {
    let registers = operation(endpoint, &Message::default(), deadline);
    syscall(Syscall::Receive as u64, registers).await.map(received)
}

/// Calls.
pub async fn call(
    endpoint: CapSlot,
    message: Message,
    deadline: Deadline,
) -> Result<Message, Error> {
    let registers = operation(endpoint, &message, deadline);
    let answer = received(syscall(Syscall::Call as u64, registers).await?);
    assert!(answer.badge == 0 && !answer.is_call, "{answer:?}");
    Ok(answer.message)
}

/// Answers.
pub async fn reply(message: Message) -> Result<(), Error> {
    reply_to(CapSlot::NULL, message).await
}

/// Keeps the call that is to be answered.
pub async fn keep_reply() -> Result<CapSlot, Error> {
    let answer = control(Syscall::ReplyKeep, [0; 4]).await?;
    assert_eq!(answer[1..], [0; 3]);
    Ok(CapSlot::from_bits(answer[0]))
}

/// Answers a call that was kept, or where that is null the one that is to be answered.
pub async fn reply_to(kept: CapSlot, message: Message) -> Result<(), Error> {
    let registers = operation(kept, &message, Deadline::Now);
    let answer = syscall(Syscall::Reply as u64, registers).await?;
    assert_eq!(answer, Registers::default());
    Ok(())
}

/// Answers and receives.
pub async fn reply_receive(
    endpoint: CapSlot,
    message: Message,
    deadline: Deadline,
) -> Result<Received, Error> {
    reply_to_receive(CapSlot::NULL, endpoint, message, deadline).await
}

/// Answers, as [`reply_to`], and receives.
pub async fn reply_to_receive(
    kept: CapSlot,
    endpoint: CapSlot,
    message: Message,
    deadline: Deadline,
) -> Result<Received, Error> {
    let mut registers = operation(endpoint, &message, deadline);
    registers.control[3] = kept.bits();
    syscall(Syscall::ReplyReceive as u64, registers).await.map(received)
}

/// Closes a capability.
pub async fn close(slot: CapSlot) -> Result<(), Error> {
    control(Syscall::CapabilityClose, [slot.bits(), 0, 0, 0]).await.map(|_| ())
}

/// See [`Syscall::CapabilityMove`]: to another slot of its table.
pub async fn relocate(slot: CapSlot) -> Result<CapSlot, Error> {
    let moved = control(Syscall::CapabilityMove, [slot.bits(), 0, 0, 0]).await?;
    Ok(CapSlot::from_bits(moved[0]))
}

/// See [`Syscall::CapabilityRevoke`].
pub async fn revoke(slot: CapSlot) -> Result<(), Error> {
    control(Syscall::CapabilityRevoke, [slot.bits(), 0, 0, 0]).await.map(|_| ())
}

/// See [`Syscall::CapabilityCopy`].
pub async fn copy(
    source: CapSlot,
    process: CapSlot,
    rights: Rights,
    badge: u64,
) -> Result<CapSlot, Error> {
    let arguments = CapabilityCopy { source, process, rights, badge };
    let answer = syscall(Syscall::CapabilityCopy as u64, arguments.encode()).await?;
    Ok(CapSlot::from_bits(answer.control[0]))
}

/// Changes what mappings allow.
pub async fn protect(
    process: CapSlot,
    address: u64,
    bytes: u64,
    rights: Rights,
) -> Result<(), Error> {
    let arguments = MemoryProtect { process, address, bytes, rights };
    syscall(Syscall::MemoryProtect as u64, arguments.encode()).await?;
    Ok(())
}

/// Makes memory.
pub async fn memory(bytes: u64) -> Result<CapSlot, Error> {
    let answer = control(Syscall::MemoryCreate, [bytes, 0, 0, 0]).await?;
    Ok(CapSlot::from_bits(answer[0]))
}

/// Maps memory.
pub async fn map(arguments: MemoryMap) -> Result<(), Error> {
    syscall(Syscall::MemoryMap as u64, arguments.encode()).await.map(|_| ())
}

/// Unmaps memory.
pub async fn unmap(process: CapSlot, address: u64, bytes: u64) -> Result<(), Error> {
    let arguments = MemoryUnmap { process, address, bytes };
    syscall(Syscall::MemoryUnmap as u64, arguments.encode()).await.map(|_| ())
}

/// Waits for the end of a thread or process.
pub async fn wait(call: Syscall, slot: CapSlot, deadline: Deadline) -> Result<ExitReason, Error> {
    let answer = control(call, [slot.bits(), deadline.bits(), 0, 0]).await?;
    Ok(ExitReason::decode(answer).expect("a reason"))
}

/// Binds an endpoint or a notification to a thread, or to nobody.
pub async fn bind(call: Syscall, object: CapSlot, thread: CapSlot) -> Result<(), Error> {
    let answer = control(call, [object.bits(), thread.bits(), 0, 0]).await?;
    assert_eq!(answer, [0; 4]);
    Ok(())
}

/// Signals.
pub async fn signal(notification: CapSlot, bits: u64) -> Result<(), Error> {
    let arguments = NotificationSignal { notification, bits };
    let answer = syscall(Syscall::NotificationSignal as u64, arguments.encode()).await?;
    assert_eq!(answer, Registers::default());
    Ok(())
}

/// Waits for signals.
pub async fn wait_signal(notification: CapSlot, deadline: Deadline) -> Result<u64, Error> {
    let arguments = NotificationWait { notification, deadline };
    let answer = syscall(Syscall::NotificationWait as u64, arguments.encode()).await?;
    let bits = answer.control[0];
    assert_eq!(answer, Registers::control([bits, 0, 0, 0]));
    assert_ne!(bits, 0);
    Ok(bits)
}

/// Makes a timer.
pub async fn timer(notification: CapSlot, bits: u64) -> Result<CapSlot, Error> {
    let arguments = TimerCreate { notification, bits };
    let answer = syscall(Syscall::TimerCreate as u64, arguments.encode()).await?;
    Ok(CapSlot::from_bits(answer.control[0]))
}

/// Sets a timer.
pub async fn set_timer(timer: CapSlot, deadline: u64, period: u64) -> Result<u64, Error> {
    let arguments = TimerSet { timer, deadline, period };
    Ok(syscall(Syscall::TimerSet as u64, arguments.encode()).await?.control[0])
}
