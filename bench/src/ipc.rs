//! Messages between two processes: a call, and a server that answers with what it got.

use core::arch::naked_asm;

use orbital_user::{
    Endpoint, MessagePage, Rights,
    abi::{
        Syscall, Tag,
        message::{MAX_WORDS, REGISTER_WORDS},
    },
    start::take_granted,
};

use crate::{
    measure::{MANY, Samples, measure},
    roles, stub,
};

/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// A call without words, and its reply.
pub fn no_words() -> Samples {
    with_server(0, call)
}

/// The same with all words that go in registers, both ways.
pub fn eight_words() -> Samples {
    with_server(REGISTER_WORDS, call_with_eight_words)
}

/// The same with 64 words, both ways: the page is neither filled nor read in between.
pub fn sixty_four_words() -> Samples {
    with_server(64, call_with_eight_words)
}

/// The same with as many as a message has.
pub fn all_words() -> Samples {
    with_server(MAX_WORDS, call_with_eight_words)
}

/// A capability each way, received and closed: by the client what came with the answer, by the server what came with
/// the call.
pub fn capability() -> Samples {
    let endpoint = Endpoint::create().expect("an endpoint");
    let server =
        roles::start("cap_server", |spawn| spawn.grant(endpoint.slot(), Rights::RECEIVE, 0));
    let own = Endpoint::create().expect("an endpoint");
    let tag = Tag::new(7, 0).and_then(|tag| tag.with_capabilities(1, 1)).expect("a tag");
    let (slot, own) = (endpoint.slot().bits(), own.slot().bits());
    let samples = measure(MANY, || {
        // SAFETY: the calls change no memory.
        unsafe {
            let (code, came) = stub::call_for_fourth(Syscall::Call, [slot, tag.bits(), NEVER, own]);
            code | stub::call(Syscall::CapabilityClose, [came, 0, 0]).0
        }
    });
    roles::end(&server);
    samples
}

/// The server that closes what comes, and answers with a capability of its own.
pub fn cap_server() {
    let endpoint = take_granted(0).expect("an endpoint").into_slot();
    let own = Endpoint::create().expect("an endpoint");
    serve_capabilities(endpoint.bits(), own.slot().bits());
}

#[inline(always)]
fn call(endpoint: u64, tag: u64) -> u64 {
    // SAFETY: the call changes no memory.
    unsafe { stub::call(Syscall::Call, [endpoint, tag, NEVER]) }.0
}

/// Starts a server, sees that it answers right, and takes samples of `call`, which gets endpoint and
/// tag.
fn with_server(words: usize, call: impl Fn(u64, u64) -> u64) -> Samples {
    let endpoint = Endpoint::create().expect("an endpoint");
    let server = roles::start("server", |spawn| spawn.grant(endpoint.slot(), Rights::RECEIVE, 0));
    let page = MessagePage::of_thread().expect("a page");
    let numbers: [u64; MAX_WORDS] = core::array::from_fn(|number| 1 + number as u64);
    let message = page.message(7, &numbers[..words]).expect("a message");
    let answer = endpoint.call(&message).expect("an answer");
    assert_eq!(answer, message);
    // What is read is what the server has sent.
    assert!(page.words(&answer).eq(numbers[..words].iter().copied()));
    let (slot, tag) = (endpoint.slot().bits(), message.tag.bits());
    let samples = measure(MANY, || call(slot, tag));
    roles::end(&server);
    samples
}

/// The server's process.
pub fn server() {
    let endpoint = take_granted(0).expect("an endpoint").into_slot();
    MessagePage::of_thread().expect("a page");
    serve(endpoint.bits());
}

/// The call with a number in each of the registers that carry words.
#[inline(always)]
fn call_with_eight_words(endpoint: u64, tag: u64) -> u64 {
    let code;
    // SAFETY: the call changes no memory; all registers that it changes are given as changed, or saved
    // where the compiler does not give them away.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "push rbp",
            "mov ebx, 7",
            "mov ebp, 8",
            "syscall",
            "pop rbp",
            "pop rbx",
            inlateout("rax") Syscall::Call as u64 => code,
            inlateout("rdi") endpoint => _,
            inlateout("rsi") tag => _,
            inlateout("rdx") NEVER => _,
            inlateout("r9") 1_u64 => _,
            inlateout("r10") 2_u64 => _,
            inlateout("r12") 3_u64 => _,
            inlateout("r13") 4_u64 => _,
            inlateout("r14") 5_u64 => _,
            inlateout("r15") 6_u64 => _,
            lateout("r8") _, lateout("rcx") _, lateout("r11") _,
        );
    }
    code
}

/// Answers each call on `endpoint` with its own tag and words, which are in the right registers
/// already. Does not return: it ends by a fault when a call of its own fails.
#[unsafe(naked)]
extern "C" fn serve(endpoint: u64) {
    naked_asm!(
        "push rdi",
        "mov eax, {receive}",
        "xor esi, esi",
        "2:",
        // A call keeps the stack pointer alone.
        "mov rdi, [rsp]",
        "mov rdx, -1",
        "syscall",
        "test eax, eax",
        "mov eax, {reply_receive}",
        "jz 2b",
        "ud2",
        receive = const Syscall::Receive as u64,
        reply_receive = const Syscall::ReplyReceive as u64,
    )
}

/// Takes each call on `endpoint`, closes the capability that it brings, and answers with `own`. Does not return, as
/// [`serve`].
#[unsafe(naked)]
extern "C" fn serve_capabilities(endpoint: u64, own: u64) {
    naked_asm!(
        "push rsi",
        "push rdi",
        "mov eax, {receive}",
        // It accepts one.
        "mov rsi, {accepts}",
        "2:",
        "mov rdi, [rsp]",
        "mov rdx, -1",
        "syscall",
        "test eax, eax",
        "jnz 3f",
        "mov rdi, r8",
        "mov eax, {close}",
        "syscall",
        "test eax, eax",
        "mov eax, {reply_receive}",
        "mov rsi, {both}",
        "mov r8, [rsp + 8]",
        "jz 2b",
        "3:",
        "ud2",
        receive = const Syscall::Receive as u64,
        close = const Syscall::CapabilityClose as u64,
        reply_receive = const Syscall::ReplyReceive as u64,
        accepts = const 1_u64 << 44,
        both = const 1_u64 << 44 | 1 << 41,
    )
}
