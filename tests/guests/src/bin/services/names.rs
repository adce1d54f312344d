//! The name server.
#![forbid(unsafe_code)]

use alloc::{format, string::String, vec::Vec};

use guests::{
    children,
    threads::{MIDDLE, at, end, endpoint as borrowed, granted, is_alive, settle},
};
use orbital_init::{
    names::{
        Names,
        client::{self as typed, Client, Failure},
    },
    protocol::{
        badge,
        names::{Answer, LOOK_UP, Question, REGISTER},
    },
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Message, Notification, Rights,
    abi::ObjectKind,
    capability::{Capability, copy_to, inspect, revoke},
    rpc,
};

use crate::authority::handles;

/// A name server, which runs on; gives its endpoint.
fn server() -> Endpoint {
    let service = Endpoint::create().unwrap();
    let serves = service.copy(Rights::RECEIVE, 0).unwrap();
    at(MIDDLE, move || {
        let mut names = Names::new();
        rpc::serve(&serves, |call| names.answer(call))
    })
    .detach();
    service
}

fn client(server: &Endpoint, number: u64, rights: u64) -> Client {
    Client::new(server.copy(Rights::SEND | Rights::GRANT, badge(number, rights)).unwrap())
}

fn ask(client: &Client, question: Question) -> Answer {
    client.call(&question).unwrap()
}

fn register(client: &Client, name: &str, slot: CapSlot) -> Answer {
    client.call_with(&Question::Register(name.into()), &[slot]).unwrap().0
}

fn look_up(client: &Client, name: &str) -> (Answer, Vec<Capability>) {
    client.call_with(&Question::LookUp(name.into()), &[]).unwrap()
}

pub fn names_are_found_by_who_may() {
    let server = server();
    let both = client(&server, 1, REGISTER.1 | LOOK_UP.1);
    let found = client(&server, 2, LOOK_UP.1);
    let gives = client(&server, 3, REGISTER.1);
    let own = Endpoint::create().unwrap();
    assert_eq!(look_up(&found, "own").0, Answer::Unknown);
    assert_eq!(register(&both, "own", own.slot()), Answer::Done);
    assert_eq!(ask(&found, Question::List), Answer::Names(["own".into()].into()));
    for client in [&both, &found] {
        let (answer, came) = look_up(client, "own");
        assert_eq!((answer, came.len()), (Answer::Found, 1));
        // No more than to ask, though all was given.
        let seen = inspect(came[0].slot()).unwrap();
        assert_eq!(seen.rights, Rights::SEND | Rights::GRANT);
        assert_eq!(seen.identity, inspect(own.slot()).unwrap().identity);
    }
    let nobody = client(&server, 4, 0);
    for client in [&found, &nobody] {
        assert_eq!(register(client, "other", own.slot()), Answer::NotAllowed);
        assert_eq!(ask(client, Question::Remove("own".into())), Answer::NotAllowed);
    }
    for client in [&gives, &nobody] {
        assert_eq!(look_up(client, "own").0, Answer::NotAllowed);
        assert_eq!(ask(client, Question::Wait("own".into())), Answer::NotAllowed);
        assert_eq!(ask(client, Question::List), Answer::NotAllowed);
    }
}

pub fn names_belong_to_their_client() {
    let server = server();
    let [one, other] = [1, 2].map(|number| client(&server, number, REGISTER.1 | LOOK_UP.1));
    let [first, second] = [(); 2].map(|()| Endpoint::create().unwrap());
    let given = copy_to(first.slot(), CapSlot::NULL, Rights::SEND | Rights::GRANT, 0).unwrap();
    assert_eq!(register(&one, "name", given), Answer::Done);
    assert_eq!(register(&other, "name", second.slot()), Answer::Taken);
    assert_eq!(ask(&other, Question::Remove("name".into())), Answer::Taken);
    let of = |endpoint: &Endpoint| inspect(endpoint.slot()).unwrap().identity;
    let found = |name| inspect(look_up(&one, name).1[0].slot()).unwrap().identity;
    assert_eq!(found("name"), of(&first));
    // Its own client may.
    assert_eq!(register(&one, "name", second.slot()), Answer::Done);
    assert_eq!(found("name"), of(&second));
    assert_eq!(ask(&one, Question::Remove("name".into())), Answer::Done);
    assert_eq!(ask(&one, Question::Remove("name".into())), Answer::Unknown);
    // Others, once the endpoint can't be reached any more.
    assert_eq!(register(&one, "name", given), Answer::Done);
    revoke(given).unwrap();
    assert_eq!(look_up(&other, "name").0, Answer::Unknown);
    assert_eq!(register(&one, "name", given), Answer::Done);
    revoke(given).unwrap();
    assert_eq!(register(&other, "name", second.slot()), Answer::Done);
    assert_eq!(found("name"), of(&second));
}

pub fn who_waits_for_a_name_gets_it_when_it_comes() {
    let server = server();
    let one = client(&server, 1, REGISTER.1 | LOOK_UP.1);
    let wait = |name: &str| {
        let (client, name) = (client(&server, 2, LOOK_UP.1), String::from(name));
        at(MIDDLE, move || client.call_with(&Question::Wait(name), &[]).unwrap())
    };
    let waiting: Vec<_> = (0..6).map(|number| wait(["a", "b"][number % 2])).collect();
    // One that gives up, and one that accepts no capability.
    let message = Message::new(3, &[u64::from_le_bytes([3, 1, b'a', 0, 0, 0, 0, 0])]).unwrap();
    let endpoint = client(&server, 3, LOOK_UP.1);
    let slot = endpoint.endpoint().slot();
    let gives_up = at(MIDDLE, move || borrowed(slot).call(&message));
    let stingy = at(MIDDLE, move || endpoint.endpoint().call(&message));
    settle();
    end(gives_up);
    let own = Endpoint::create().unwrap();
    let identity = inspect(own.slot()).unwrap().identity;
    for name in ["b", "a"] {
        assert_eq!(register(&one, name, own.slot()), Answer::Done);
    }
    for thread in waiting {
        let (answer, came) = thread.join().unwrap();
        assert_eq!(answer, Answer::Found);
        assert_eq!(inspect(came[0].slot()).unwrap().identity, identity);
    }
    assert_eq!(stingy.join(), Ok(Err(IpcError::PeerGone)));
    let (answer, came) = one.call_with(&Question::Wait("a".into()), &[]).unwrap();
    assert_eq!((answer, came.len()), (Answer::Found, 1), "it is there already");
}

pub fn what_is_no_name_and_no_endpoint_is_refused() {
    let server = server();
    let one = client(&server, 1, REGISTER.1 | LOOK_UP.1);
    let own = Endpoint::create().unwrap();
    let long = "x".repeat(65);
    for name in ["", &long] {
        assert_eq!(register(&one, name, own.slot()), Answer::Invalid);
        assert_eq!(ask(&one, Question::Wait(name.into())), Answer::Invalid);
    }
    let word = Notification::create().unwrap();
    assert_eq!(register(&one, "name", word.slot()), Answer::Invalid);
    let deaf = own.copy(Rights::RECEIVE | Rights::GRANT, 0).unwrap();
    assert_eq!(register(&one, "name", deaf.slot()), Answer::Invalid);
    assert_eq!(ask(&one, Question::Register("name".into())), Answer::Invalid);
    let two = [own.slot(), own.slot()];
    let asked = one.call_with(&Question::Register("name".into()), &two).unwrap();
    assert_eq!(asked.0, Answer::Invalid);
    for number in 0..64 {
        assert_eq!(register(&one, &format!("name {number}"), own.slot()), Answer::Done);
    }
    assert_eq!(register(&one, "one more", own.slot()), Answer::Full);
    assert_eq!(register(&one, "name 7", own.slot()), Answer::Done, "in the place of its own");
    let other = client(&server, 2, REGISTER.1 | LOOK_UP.1);
    assert_eq!(register(&other, &"x".repeat(64), own.slot()), Answer::Done);
    let Answer::Names(names) = ask(&other, Question::List) else { panic!("no list") };
    assert_eq!(names.len(), 65);
    assert!(names.is_sorted());
}

pub fn names_of_endpoints_that_can_not_be_reached_make_room() {
    let server = server();
    let one = client(&server, 1, REGISTER.1 | LOOK_UP.1);
    let [own, other] = [(); 2].map(|()| Endpoint::create().unwrap());
    let given = own.copy(Rights::SEND | Rights::GRANT, 0).unwrap();
    for number in 0..64 {
        let endpoint = if number % 2 == 0 { &given } else { &other };
        assert_eq!(register(&one, &format!("name {number}"), endpoint.slot()), Answer::Done);
    }
    assert_eq!(register(&one, "one more", other.slot()), Answer::Full);
    revoke(given.slot()).unwrap();
    // Those that are there still are not forgotten.
    for number in 0..32 {
        assert_eq!(register(&one, &format!("later {number}"), other.slot()), Answer::Done);
    }
    assert_eq!(register(&one, "one more", other.slot()), Answer::Full);
    assert_eq!(look_up(&one, "name 2").0, Answer::Unknown);
    assert_eq!(look_up(&one, "name 3").0, Answer::Found);
    // One that was revoked is not listed.
    assert_eq!(ask(&one, Question::Remove("later 0".into())), Answer::Done);
    assert_eq!(register(&one, "later 0", given.slot()), Answer::Done);
    revoke(given.slot()).unwrap();
    let Answer::Names(names) = ask(&one, Question::List) else { panic!("no list") };
    assert_eq!(names.len(), 63);
    assert!(!names.contains(&"later 0".into()), "{names:?}");
}

pub fn a_look_up_without_room_forgets_no_name() {
    let service = Endpoint::create().unwrap();
    let child = children::start("serves_names", |spawn| {
        spawn.quota(512, 128 << 10).grant(service.slot(), Rights::RECEIVE, 0)
    });
    let one = client(&service, 1, REGISTER.1 | LOOK_UP.1);
    let [own, other] = [(); 2].map(|()| Endpoint::create().unwrap());
    assert_eq!(register(&one, "name", own.slot()), Answer::Done);
    assert_eq!(look_up(&one, "name").0, Answer::Found);
    // What an answer has brought, its server closes as it goes on: by the next one.
    assert_eq!(ask(&one, Question::List), Answer::Names(["name".into()].into()));
    settle();
    let fill = || copy_to(other.slot(), child.process.slot(), Rights::SEND, 0);
    while fill().is_ok() {}
    assert_eq!(fill(), Err(Error::QuotaExceeded));
    let (answer, came) = look_up(&one, "name");
    assert_eq!((answer, came.len()), (Answer::Full, 0));
    assert_eq!(ask(&one, Question::Wait("name".into())), Answer::Full);
    revoke(other.slot()).unwrap();
    assert_eq!(look_up(&one, "name").0, Answer::Found);
}

pub fn serves_names() {
    let mut names = Names::new();
    rpc::serve(&granted(0), |call| names.answer(call)).unwrap();
}

pub fn a_name_is_another_s_once_nobody_can_receive_there() {
    let server = server();
    let [one, other] = [1, 2].map(|number| client(&server, number, REGISTER.1 | LOOK_UP.1));
    let [first, second] = [(); 2].map(|()| Endpoint::create().unwrap());
    // With the right to receive, which goes with the program's own.
    assert_eq!(register(&one, "name", first.slot()), Answer::Done);
    assert_eq!(register(&other, "name", second.slot()), Answer::Taken);
    assert_eq!(register(&one, "another", first.slot()), Answer::Done);
    assert_eq!(look_up(&other, "name").0, Answer::Found);
    drop(first);
    assert_eq!(ask(&other, Question::List), Answer::Names(Vec::new()));
    assert_eq!(look_up(&other, "name").0, Answer::Unknown);
    let waits = client(&server, 3, LOOK_UP.1);
    let waits = at(MIDDLE, move || waits.call_with(&Question::Wait("name".into()), &[]).unwrap());
    settle();
    assert!(is_alive(&waits), "for the next one");
    assert_eq!(register(&other, "name", second.slot()), Answer::Done);
    let (answer, came) = waits.join().unwrap();
    let identity = |slot| inspect(slot).unwrap().identity;
    assert_eq!((answer, identity(came[0].slot())), (Answer::Found, identity(second.slot())));
    assert_eq!(register(&one, "name", second.slot()), Answer::Taken);
}

pub fn the_service_keeps_of_an_endpoint_what_others_get() {
    let server = server();
    let one = client(&server, 1, REGISTER.1 | LOOK_UP.1);
    let own = Endpoint::create().unwrap();
    let identity = inspect(own.slot()).unwrap().identity;
    // Its threads are this process's, and so are its capabilities.
    let rights = || {
        let seen = handles().into_iter().filter_map(|handle| inspect(handle).ok());
        let own = seen.filter(|seen| seen.kind == Some(ObjectKind::Endpoint));
        let own = own.filter(|seen| seen.identity == identity);
        let mut rights: Vec<_> = own.map(|seen| (seen.rights.bits(), seen.badge)).collect();
        rights.sort_unstable();
        rights
    };
    let [kept, all] =
        [Rights::SEND | Rights::GRANT, Rights::SEND | Rights::RECEIVE | Rights::GRANT]
            .map(|rights| (rights.bits(), 0));
    let both = [kept, all];
    for _ in 0..3 {
        assert_eq!(register(&one, "name", own.slot()), Answer::Done);
        assert_eq!(rights(), both);
    }
    // What is refused is not kept.
    let other = client(&server, 2, REGISTER.1 | LOOK_UP.1);
    let taken = register(&other, "name", own.slot());
    assert_eq!((taken, rights()), (Answer::Taken, both.to_vec()));
    let invalid = register(&other, "", own.slot());
    assert_eq!((invalid, rights()), (Answer::Invalid, both.to_vec()));
    assert_eq!(ask(&one, Question::Remove("name".into())), Answer::Done);
    assert_eq!(rights(), [all]);
}

pub fn clients_register_and_look_up_or_are_told_why_not() {
    let server = server();
    let [one, other] = [1, 2].map(|number| client(&server, number, REGISTER.1 | LOOK_UP.1));
    let own = Endpoint::create().unwrap();
    let refused = |answer| Err(Failure::Refused(answer));
    assert_eq!(typed::register(&one, "name", &own), Ok(()));
    let found = typed::look_up(&other, "name").unwrap();
    let seen = inspect(found.slot()).unwrap();
    assert_eq!(seen.identity, inspect(own.slot()).unwrap().identity);
    assert_eq!(typed::register(&other, "name", &own), refused(Answer::Taken));
    assert_eq!(typed::register(&other, "", &own), refused(Answer::Invalid));
    let nobody = client(&server, 3, 0);
    assert_eq!(typed::register(&nobody, "other", &own), refused(Answer::NotAllowed));
    let look_up = |client, name| typed::look_up(client, name).map(|_| ());
    assert_eq!(look_up(&nobody, "name"), refused(Answer::NotAllowed));
    assert_eq!(look_up(&one, "nothing"), refused(Answer::Unknown));
    let deaf = own.copy(Rights::SEND, 0).unwrap();
    assert_eq!(
        typed::register(&one, "other", &deaf),
        Err(Failure::NoCopy(Error::MissingRights)),
        "it can't be passed on"
    );
    assert!(matches!(typed::given(), Err(Failure::NotGiven)), "it is init here");
}
