//! Sessions: they see what the real init does with its services, and end with success if that is right.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use guests::{
    cpus, own_thread,
    threads::{MIDDLE, at},
};
use orbital_init::{
    own_service,
    protocol::{
        log,
        supervisor::{Answer, Question, Service},
    },
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason, IpcError, Message, Notification, Rights, endpoint::reply,
    println, rpc, start::bootstrap, system, thread::yield_now,
};

use crate::{
    played::{CALLS, client},
    programs::{self, start, wait},
};

type Supervisor = rpc::Client<Question, Answer>;

fn ask(supervisor: &Supervisor, question: Question) -> Answer {
    supervisor.call(&question).unwrap()
}

fn service(supervisor: &Supervisor, name: &str) -> Service {
    let Answer::Services(all) = ask(supervisor, Question::List) else { panic!("no list") };
    all.into_iter().find(|service| service.name == name).expect(name)
}

/// Asks to be told whenever a service is started anew.
fn watch(supervisor: &Supervisor, name: &str) -> Notification {
    let word = Notification::create().unwrap();
    let told = word.copy(Rights::SEND | Rights::GRANT, 4).unwrap();
    let asked = supervisor.call_with(&Question::Watch(name.into()), &[told.slot()]).unwrap();
    assert_eq!(asked.0, Answer::Done, "{name}");
    word
}

/// Waits for the reports of so many services; gives the sum of what they counted.
fn reports(count: u64) -> u64 {
    let service = own_service().unwrap();
    let mut sum = 0;
    for _ in 0..count {
        sum += service.receive().unwrap().message.words()[0];
        reply(&Message::default()).unwrap();
    }
    sum
}

/// The second CPU alone.
pub fn sees_its_cpu() {
    assert_eq!(own_thread().inspect().unwrap().affinity, cpus::bit(1));
}

pub fn sees_restarts() {
    let supervisor = client("supervisor");
    let word = watch(&supervisor, "always");
    loop {
        assert_eq!(word.wait(), Ok(4), "the bits of the capability's mask");
        let [always, failing, content, once] =
            ["always", "failing", "content", "once"].map(|name| service(&supervisor, name));
        if always.restarts < 10 || failing.restarts < 4 {
            continue;
        }
        let ended = |service: Service| service.ended.and_then(ExitReason::decode);
        assert_eq!((content.restarts, content.process), (0, None));
        assert_eq!(ended(content), Some(ExitReason::Exited(0)));
        assert_eq!((once.restarts, once.process), (0, None));
        assert_eq!(ended(once), Some(ExitReason::Exited(3)));
        assert_eq!(ended(always), Some(ExitReason::Exited(0)));
        assert_eq!(ended(failing), Some(ExitReason::Exited(3)));
        return;
    }
}

pub fn sees_a_storm() {
    let supervisor = client("supervisor");
    let word = watch(&supervisor, "echo");
    // While its clients call, some of the deaths are its own, some are these.
    for _ in 0..50 {
        if ask(&supervisor, Question::Kill("echo".into())) == Answer::Done {
            assert_eq!(word.wait(), Ok(4));
        }
    }
    let dropped = reports(2);
    let echo = service(&supervisor, "echo");
    println!("{} restarts, {dropped} of {} calls dropped", echo.restarts, 2 * CALLS);
    assert!(echo.restarts >= 100, "{}", echo.restarts);
    // The last that has died may not have been started anew yet.
    assert!(dropped <= echo.restarts + 1, "a death drops one call at the most");
    // One that is over is waited for by nobody.
    let over = client::<u64, u64>("over");
    while let Ok(()) | Err(IpcError::WouldBlock) = over.endpoint().try_send(&Message::default()) {
        yield_now();
    }
    assert!(over.call(&1).is_err());
}

/// May list, and no more.
pub fn sees_init_s_answers() {
    let supervisor = client("supervisor");
    let own = service(&supervisor, "session");
    assert!(own.process.is_some_and(|id| {
        id == orbital_user::capability::inspect(bootstrap().process).unwrap().identity
    }));
    assert_eq!((own.restarts, own.ended), (0, None));
    for question in [Question::Kill("session".into()), Question::Shutdown(0)] {
        assert_eq!(ask(&supervisor, question), Answer::NotAllowed);
    }
    let watched = |name: &str, slots: &[CapSlot]| {
        supervisor.call_with(&Question::Watch(name.into()), slots).unwrap().0
    };
    let word = Notification::create().unwrap();
    let deaf = word.copy(Rights::RECEIVE | Rights::GRANT, 0).unwrap();
    let endpoint = Endpoint::create().unwrap();
    assert_eq!(watched("nothing", &[word.slot()]), Answer::Unknown);
    assert_eq!(watched("session", &[]), Answer::Unknown);
    assert_eq!(watched("session", &[deaf.slot()]), Answer::Unknown);
    assert_eq!(watched("session", &[endpoint.slot()]), Answer::Unknown);
    assert_eq!(watched("session", &[word.slot(), word.slot()]), Answer::Unknown);
    assert_eq!(watched("session", &[word.slot()]), Answer::Done);
    let garbage = Message::new(3, &[u64::MAX]).unwrap();
    assert_eq!(supervisor.endpoint().call(&garbage).unwrap().label(), u32::MAX);
}

pub fn sees_programs() {
    let processes: programs::Client = client("processes");
    let supervisor = client("supervisor");
    for code in 0..10 {
        let with = alloc::format!("exits code={code}");
        assert_eq!(wait(&processes, start(&processes, "actor", &with)), ExitReason::Exited(code));
    }
    let ExitReason::Faulted(_) = wait(&processes, start(&processes, "divider", "")) else {
        panic!("it divides by zero");
    };
    reports(1);
    // Its programs end with the server, and its clients' capabilities are of use again with the next one.
    let endless = start(&processes, "actor", "spins");
    let word = watch(&supervisor, "processes");
    assert_eq!(ask(&supervisor, Question::Kill("processes".into())), Answer::Done);
    assert_eq!(word.wait(), Ok(4));
    let asked = processes.call(&orbital_init::protocol::processes::Question::Wait(endless));
    assert_eq!(asked, Ok(orbital_init::protocol::processes::Answer::Unknown));
    let id = start(&processes, "actor", "exits code=3");
    assert_eq!(wait(&processes, id), ExitReason::Exited(3));
}

pub fn sees_the_log() {
    let log = client::<log::Question, log::Answer>("log");
    let lines = |question| match log.call(&question).unwrap() {
        log::Answer::Lines(lines) => lines,
        other => panic!("{other:?}"),
    };
    println!("the first line");
    // Init's own line about the session may come behind it.
    let all = lines(log::Question::Latest(u32::MAX));
    let first = all.iter().rfind(|line| line.text.ends_with("INFO  user.session: the first line"));
    let behind = first.unwrap_or_else(|| panic!("{all:?}")).position + 1;
    assert!(all[0].text.contains("cpu0 INFO  boot: "), "{:?}", all[0]);
    assert!(all.windows(2).all(|pair| pair[0].position < pair[1].position));
    let few: Vec<u64> =
        lines(log::Question::Latest(2)).into_iter().map(|line| line.position).collect();
    assert!(few.len() == 2 && few[0] < few[1] && few[1] + 1 >= behind, "{few:?}");
    // Answered when there is something, one line at a time.
    let endpoint = log.endpoint().copy(Rights::SEND, 0).unwrap();
    let waits = at(MIDDLE, move || {
        let log = rpc::Client::<log::Question, log::Answer>::new(endpoint);
        let mut position = behind;
        loop {
            let answer = log.call(&log::Question::From(position, 1)).unwrap();
            let log::Answer::Lines(came) = answer else { panic!("{answer:?}") };
            assert!(came.len() == 1 && came[0].position >= position, "{came:?}");
            if came[0].text.ends_with("user.session: the second line") {
                return came[0].position;
            }
            position = came[0].position + 1;
        }
    });
    println!("the second line");
    let second = waits.join().unwrap();
    assert!(lines(log::Question::From(behind, 9)).iter().any(|line| line.position == second));
}

/// What init has, with all its children: frames, and bytes of kernel memory.
fn used_by_init() -> [u64; 2] {
    let init = system::processes().map(Result::unwrap).find(|process| process.parent == 0).unwrap();
    [init.frames.0, init.kernel_bytes.0]
}

pub fn sees_no_leak() {
    let supervisor = client("supervisor");
    let word = watch(&supervisor, "always");
    // The most of so many starts.
    let most = || {
        let seen = (0..200).map(|_| {
            word.wait().unwrap();
            used_by_init()
        });
        seen.fold([0, 0], |[frames, bytes], [more, others]| [frames.max(more), bytes.max(others)])
    };
    most();
    let before = most();
    (0..4).for_each(|_| _ = most());
    let after = most();
    let restarts = service(&supervisor, "always").restarts;
    println!("{restarts} restarts, {before:?} before and {after:?} after");
    assert!(restarts >= 1400);
    // Between the two are 800 starts, and perhaps a thread or two more in init's pool.
    assert!(after[0] < before[0] + 100 && after[1] < before[1] + 30_000);
}

/// Ends as it is told.
pub fn sees_nothing() {
    println!("arguments: {}", bootstrap().command_line());
}

/// Asks init to end the system.
pub fn asks_for_the_end() {
    let supervisor: Supervisor = client("supervisor");
    let code = guests::option("code").map_or(0, |text| text.parse().unwrap());
    assert_eq!(ask(&supervisor, Question::Shutdown(code)), Answer::Done);
    loop {
        yield_now();
    }
}
