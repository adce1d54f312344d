//! The process server. It starts this program again, in roles.
#![forbid(unsafe_code)]

use alloc::{format, string::String, vec::Vec};

use guests::{
    counters::leaves_nothing,
    threads::{MIDDLE, at, settle},
};
use orbital_init::{
    processes,
    protocol::{
        badge,
        processes::{Answer, Entry, KILL, LIST, Program, Question, START},
    },
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason, FaultKind, IpcError, MemoryObject, Notification, Rights,
    capability::{close, copy_to},
    clock,
    output::{OUTPUT, Output},
    program::Archive,
    rpc::{self, CallError},
    thread::JoinHandle,
};

pub type Client = rpc::Client<Question, Answer>;

/// A process server, which runs on; gives its endpoint.
fn server() -> Endpoint {
    let service = Endpoint::create().unwrap();
    let serves = service.copy(Rights::RECEIVE, 0).unwrap();
    let archive = Archive::open().unwrap();
    at(u8::MAX, move || processes::serve(&serves, archive)).detach();
    service
}

fn client(server: &Endpoint, number: u64, rights: &[u64]) -> Client {
    let badge = badge(number, rights.iter().sum());
    Client::new(server.copy(Rights::SEND | Rights::GRANT, badge).unwrap())
}

/// This program in a role, with so little that a hundred have room.
pub fn role(name: &str, role: &str) -> Question {
    Question::Start(Program {
        name: name.into(),
        arguments: format!("role={role}"),
        frames: 80,
        kernel_bytes: 48 << 10,
        given: Vec::new(),
    })
}

/// The same with the capabilities in these slots, by their names.
fn start_with(client: &Client, with: &str, given: &[(&str, CapSlot)]) -> Answer {
    let Question::Start(mut program) = role("init", with) else { unreachable!() };
    program.given = given.iter().map(|(name, _)| String::from(*name)).collect();
    let slots: Vec<_> = given.iter().map(|(_, slot)| *slot).collect();
    client.call_with(&Question::Start(program), &slots).unwrap().0
}

pub fn ask(client: &Client, question: Question) -> Answer {
    client.call(&question).unwrap()
}

/// Starts a role; gives its number.
pub fn start(client: &Client, name: &str, with: &str) -> u64 {
    match ask(client, role(name, with)) {
        Answer::Started(id) => id,
        other => panic!("{with}: {other:?}"),
    }
}

/// How it ends.
pub fn wait(client: &Client, id: u64) -> ExitReason {
    match ask(client, Question::Wait(id)) {
        Answer::Ended(reason) => ExitReason::decode(reason).unwrap(),
        other => panic!("{id}: {other:?}"),
    }
}

fn list(client: &Client) -> Vec<Entry> {
    match ask(client, Question::List) {
        Answer::Programs(list) => list,
        other => panic!("{other:?}"),
    }
}

pub fn programs_end_as_they_do() {
    let all = client(&server(), 1, &[START.1, KILL.1, LIST.1]);
    let end = |with| wait(&all, start(&all, "init", with));
    assert_eq!(end("exits code=0"), ExitReason::Exited(0));
    assert_eq!(end("exits code=3"), ExitReason::Exited(3));
    assert_eq!(end("hoards"), ExitReason::Exited(101), "a panic for want of memory");
    let ExitReason::Faulted(fault) = end("faults") else { panic!("no fault") };
    assert_eq!(fault.kind, FaultKind::InvalidOpcode);
    let endless = start(&all, "init", "spins");
    assert_eq!(list(&all), [Entry { id: endless, name: "init".into(), ended: None }]);
    assert_eq!(ask(&all, Question::Kill(endless)), Answer::Done);
    assert_eq!(wait(&all, endless), ExitReason::Killed);
    assert_eq!(ask(&all, Question::Wait(endless)), Answer::Unknown, "its end is known");
    assert_eq!(list(&all), []);
    // One that was not waited for keeps its end.
    let unseen = start(&all, "init", "exits code=4");
    settle();
    let ended = Some(ExitReason::Exited(4).encode());
    assert_eq!(list(&all), [Entry { id: unseen, name: "init".into(), ended }]);
    assert_eq!(ask(&all, Question::Kill(unseen)), Answer::Done, "it needs no more");
    assert_eq!(wait(&all, unseen), ExitReason::Exited(4));
}

pub fn programs_are_ended_and_waited_for_by_who_may() {
    let server = server();
    let [starts, other] = [1, 2].map(|number| client(&server, number, &[START.1]));
    let kills = client(&server, 3, &[KILL.1]);
    let lists = client(&server, 4, &[LIST.1]);
    let nobody = client(&server, 5, &[]);
    let id = start(&starts, "init", "rests");
    for client in [&kills, &lists, &nobody] {
        assert_eq!(ask(client, role("init", "exits")), Answer::NotAllowed);
    }
    for client in [&starts, &other, &lists, &nobody] {
        assert_eq!(ask(client, Question::Kill(id)), Answer::NotAllowed);
    }
    for client in [&starts, &other, &kills, &nobody] {
        assert_eq!(ask(client, Question::List), Answer::NotAllowed);
    }
    for client in [&other, &lists, &nobody] {
        assert_eq!(ask(client, Question::Wait(id)), Answer::NotAllowed);
    }
    assert_eq!(ask(&starts, Question::Wait(id + 1)), Answer::Unknown);
    assert_eq!(ask(&kills, Question::Kill(id + 1)), Answer::Unknown);
    let waits = at(MIDDLE, move || wait(&starts, id));
    settle();
    assert_eq!(ask(&kills, Question::Kill(id)), Answer::Done);
    assert_eq!(waits.join(), Ok(ExitReason::Killed));
}

pub fn what_can_not_be_started_leaves_nothing() {
    let all = client(&server(), 1, &[START.1, LIST.1]);
    assert_eq!(ask(&all, role("nothing", "exits")), Answer::Unknown);
    let with = |frames, kernel_bytes| {
        let Question::Start(program) = role("init", "exits") else { unreachable!() };
        Question::Start(Program { frames, kernel_bytes, ..program })
    };
    for question in [with(1, 0), with(u64::MAX, 0), with(0, 1), with(0, u64::MAX)] {
        let answer = ask(&all, question);
        assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
    }
    let long = role("init", &"x".repeat(5000));
    assert!(matches!(ask(&all, long), Answer::Failed(_)));
    assert_eq!(list(&all), []);
    leaves_nothing(20, || {
        assert!(matches!(ask(&all, with(1, 0)), Answer::Failed(_)));
        let id = start(&all, "init", "exits code=1");
        assert_eq!(wait(&all, id), ExitReason::Exited(1));
        settle();
        assert_eq!(list(&all), []);
    });
}

/// An output with badge 7, and the text that comes there until it ends with `last`.
fn output(last: &'static str) -> (Endpoint, JoinHandle<String>) {
    let output = Endpoint::create().unwrap();
    let given = output.copy(Rights::SEND | Rights::GRANT, 7).unwrap();
    let listens = at(MIDDLE, move || {
        let mut text = String::new();
        rpc::serve(&output, |call: rpc::Call<Output>| {
            assert_eq!(call.badge, 7);
            let Output::Write(line) = call.question;
            text.push_str(&line);
            if text.ends_with(last) { rpc::Answer::Stop(()) } else { rpc::Answer::Reply(()) }
        })
        .unwrap();
        text
    });
    (given, listens)
}

pub fn a_program_has_its_output_and_little_else() {
    let all = client(&server(), 1, &[START.1]);
    // Itself, its thread, the system.
    assert_eq!(wait(&all, start(&all, "init", "counts")), ExitReason::Exited(3));
    let (given, listens) = output("3\n");
    let started = start_with(&all, "prints", &[(OUTPUT, given.slot())]);
    let Answer::Started(id) = started else { panic!("{started:?}") };
    assert_eq!(wait(&all, id), ExitReason::Exited(4));
    assert_eq!(listens.join().unwrap(), "line 1\nline 2\nline 3\n");
}

pub fn a_program_has_what_was_given_by_its_names_with_its_rights() {
    let all = client(&server(), 1, &[START.1]);
    let (to, listens) = output("all\n");
    let partner = Endpoint::create().unwrap();
    let partner = partner.copy(Rights::SEND | Rights::RECEIVE | Rights::GRANT, 9).unwrap();
    let word = Notification::create().unwrap().copy(Rights::SEND | Rights::GRANT, 5).unwrap();
    let memory = MemoryObject::create(4096).unwrap();
    let memory = copy_to(memory.slot(), CapSlot::NULL, Rights::READ | Rights::GRANT, 0).unwrap();
    let given = [
        ("partner", partner.slot()),
        (OUTPUT, to.slot()),
        ("word", word.slot()),
        ("sixteen bytes é", memory),
    ];
    let started = start_with(&all, "shows", &given);
    let Answer::Started(id) = started else { panic!("{started:?}") };
    // These, itself, its thread, the system.
    assert_eq!(wait(&all, id), ExitReason::Exited(7));
    let expected = [
        "partner: Endpoint SEND | RECEIVE | GRANT badge 9",
        "output: Endpoint SEND badge 7",
        "word: Notification SEND | GRANT badge 5",
        "sixteen bytes é: MemoryObject READ | GRANT badge 0",
        "all",
        "",
    ];
    assert_eq!(listens.join().unwrap().split('\n').collect::<Vec<_>>(), expected);
    close(memory).unwrap();
}

pub fn what_is_given_by_wrong_names_is_refused_and_not_kept() {
    let all = client(&server(), 1, &[START.1, LIST.1]);
    let start = |names: &[&str], count: usize| {
        let words: Vec<_> = (0..count).map(|_| Notification::create().unwrap()).collect();
        let slots: Vec<_> = words.iter().map(Notification::slot).collect();
        let Question::Start(mut program) = role("init", "exits") else { unreachable!() };
        program.given = names.iter().map(|name| String::from(*name)).collect();
        all.call_with(&Question::Start(program), &slots).map(|(answer, _)| answer)
    };
    let wrong = [
        (&[][..], 1),
        (&[OUTPUT], 0),
        (&[OUTPUT], 2),
        (&["a", "b"], 1),
        (&["a", "b", "c", "d", "e"], 4),
        (&[""], 1),
        (&["seventeen bytes é"], 1),
        (&["a\0"], 1),
        (&["a", "b", "a"], 3),
        (&[OUTPUT, OUTPUT], 2),
    ];
    let refuses_all = || {
        for (names, count) in wrong {
            let answer = start(names, count).unwrap();
            assert!(matches!(answer, Answer::Failed(_)), "{names:?}: {answer:?}");
        }
    };
    refuses_all();
    let too_many = start(&["a", "b", "c", "d", "e"], 5);
    assert_eq!(too_many, Err(IpcError::InvalidMessage.into()), "a message brings four");
    assert_eq!(list(&all), []);
    // A capability that was kept would keep its notification.
    leaves_nothing(5, refuses_all);
    let Ok(Answer::Started(id)) = start(&["a", "b", "c", "d"], 4) else { panic!("four it takes") };
    assert_eq!(wait(&all, id), ExitReason::Exited(0));
}

pub fn callers_that_are_gone_are_forgotten() {
    let server = server();
    let all = client(&server, 1, &[START.1, KILL.1, LIST.1]);
    let id = start(&all, "init", "rests");
    let bytes = postcard_of(id);
    // One that was not taken in time is no call that is kept.
    let gives_up = || loop {
        match all.endpoint().call_until(clock::now() + 100_000, &bytes) {
            Err(IpcError::Unanswered) => break,
            other => assert_eq!(other, Err(IpcError::TimedOut)),
        }
    };
    // Each would be a reply that is kept.
    leaves_nothing(3, || (0..64).for_each(|_| gives_up()));
    assert_eq!(ask(&all, Question::Kill(id)), Answer::Done);
    assert_eq!(wait(&all, id), ExitReason::Killed);
}

/// [`Question::Wait`] as a message.
fn postcard_of(id: u64) -> orbital_user::Message {
    assert!(id < 128, "one byte");
    orbital_user::Message::new(2, &[1 | id << 8]).unwrap()
}

pub fn a_hundred_programs_are_waited_for() {
    let all = client(&server(), 1, &[START.1, KILL.1, LIST.1]);
    let started: Vec<_> = (0..100)
        .map(|code| {
            let with = if code % 10 == 0 { "spins".into() } else { format!("exits code={code}") };
            (code, start(&all, "init", &with))
        })
        .collect();
    for (code, id) in started.into_iter().rev() {
        if code % 10 == 0 {
            assert_eq!(ask(&all, Question::Kill(id)), Answer::Done);
            assert_eq!(wait(&all, id), ExitReason::Killed);
        } else {
            assert_eq!(wait(&all, id), ExitReason::Exited(code));
        }
    }
    assert_eq!(list(&all), []);
    assert_eq!(all.call(&Question::Wait(0)), Ok::<_, CallError>(Answer::Unknown));
}
