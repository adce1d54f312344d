use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use orbital_user::Rights;
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Manifest, Wrong> {
    Manifest::parse(text.as_bytes(), |program| program != "missing")
}

/// What is said of a wrong one.
fn said(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

/// A service of which everything is said.
const FULL: &str = r#"
[[service]]
name = "console"
serves = true

[[service]]
name = "driver"
program = "serial"
arguments = "fast quiet"
serves = true
needs = ["console:read", "supervisor:list+control", "late"]
ports = ["0x3f8-0x3ff", "0x60"]
interrupts = [4, 1]
framebuffer = true
archive = true
system = ["log", "statistics"]
frames = "40%"
kernel = "128K"
priority = 200
cpus = [0, 2]
restart = "always"
backoff = "250ms"

[[service]]
name = "late"
serves = true
session = true
"#;

#[test]
fn all_that_can_be_said_is_understood() {
    let manifest = parse(FULL).unwrap();
    let need = |name: &str, provider, rights| Need { name: name.into(), provider, rights };
    let driver = Service {
        name: "driver".into(),
        program: "serial".into(),
        arguments: "fast quiet".into(),
        serves: true,
        needs: [
            need("console", Provider::Service(0), 1),
            need("supervisor", Provider::Supervisor, 3),
            need("late", Provider::Service(2), 0),
        ]
        .into(),
        ports: [0x3f8..=0x3ff, 0x60..=0x60].into(),
        interrupts: [4, 1].into(),
        framebuffer: true,
        archive: true,
        system: Rights::LOG | Rights::STATISTICS,
        frames: Amount::Percent(40),
        kernel: Amount::Of(128 << 10),
        priority: 200,
        cpus: 0b101,
        restart: Restart::Always,
        backoff: 250_000_000,
        session: false,
    };
    assert_eq!(manifest.services[1], driver);
    assert_eq!(manifest.order, [0, 2, 1], "who is needed comes first");
    assert!(driver.grant_names().eq([
        "service",
        "framebuffer",
        "console",
        "supervisor",
        "late",
        "port-3f8",
        "port-60",
        "interrupt-4",
        "interrupt-1"
    ]));
}

#[test]
fn what_is_not_said_is_little() {
    let least = Service {
        name: "a".into(),
        program: "a".into(),
        arguments: String::new(),
        serves: false,
        needs: Vec::new(),
        ports: Vec::new(),
        interrupts: Vec::new(),
        framebuffer: false,
        archive: false,
        system: Rights::empty(),
        frames: Amount::Of(256),
        kernel: Amount::Of(64 << 10),
        priority: 128,
        cpus: u64::MAX,
        restart: Restart::OnFailure,
        backoff: 100_000_000,
        session: false,
    };
    let services = parse("[[service]]\nname='a'\n[[service]]\nname='b'\nsession=true").unwrap();
    assert_eq!(services.services[0], least);
    assert_eq!(services.services[1].restart, Restart::Never, "the system ends with it");
}

#[test]
fn amounts_are_parts_of_what_there_is() {
    assert_eq!(Amount::Of(7).out_of(3), 7);
    assert_eq!(Amount::Percent(40).out_of(1001), 400);
    assert_eq!(Amount::Percent(100).out_of(u64::MAX), u64::MAX);
}

/// A manifest of one service with this line, the third, and one that it could need.
fn with(line: &str) -> String {
    format!("[[service]]\nname = \"a\"\n{line}\n[[service]]\nname = \"b\"\nserves = true\n")
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (line, reason) in [
        ("color = 1", "unknown field `color`"),
        ("name = \"b\"", "duplicate key"),
        ("serves = 1", "invalid type: integer `1`, expected a boolean"),
        ("arguments = [1]", "invalid type: sequence, expected a string"),
        ("program = \"missing\"", "there is no program \"missing\" in the archive"),
        ("needs = [\"c\"]", "there is no service \"c\""),
        ("needs = [\"a\"]", "\"a\" serves nothing"),
        ("needs = [\"b:read\"]", "\"b\" has no right \"read\""),
        ("needs = [\"b:\"]", "\"b\" has no right \"\""),
        ("needs = [\"supervisor:list+kill\"]", "\"supervisor\" has no right \"kill\""),
        ("ports = [\"0x3ff-0x3f8\"]", "\"0x3ff-0x3f8\": no range of ports"),
        ("ports = [\"1016\"]", "\"1016\": no range of ports"),
        ("ports = [\"0x+1\"]", "\"0x+1\": no range of ports"),
        ("ports = [\"0x10000\"]", "\"0x10000\": no range of ports"),
        ("ports = [\"0x1-0x2-0x3\"]", "\"0x1-0x2-0x3\": no range of ports"),
        ("ports = [\"0x\"]", "\"0x\": no range of ports"),
        ("interrupts = [-1]", "invalid value: integer `-1`, expected u64"),
        ("system = [\"everything\"]", "\"everything\": no right on the system"),
        ("frames = 0", "0: no amount of frames"),
        ("frames = -5", "an amount is not below 0"),
        ("frames = \"0%\"", "\"0%\": no amount of frames"),
        ("frames = \"101%\"", "\"101%\": no amount of frames"),
        ("frames = true", "invalid type: boolean `true`, expected a number or a string"),
        ("kernel = \"128\"", "\"128\": no amount of bytes"),
        ("kernel = \"99999999999999999999M\"", "no amount of bytes"),
        ("kernel = \"18014398509481984K\"", "no amount of bytes"),
        ("priority = 255", "255: priorities go from 0 to 254"),
        ("cpus = []", "CPUs are a list of numbers from 0 to 63"),
        ("cpus = [64]", "CPUs are a list of numbers from 0 to 63"),
        ("restart = \"perhaps\"", "\"perhaps\": restart is"),
        ("backoff = \"soon\"", "\"soon\": no time of an hour at most"),
        ("backoff = \"3601s\"", "\"3601s\": no time of an hour at most"),
        ("nonsense", "key with no value"),
        ("arguments = \"open", "invalid basic string"),
    ] {
        let said = said(&with(line));
        assert!(said.starts_with("manifest:3: "), "{line}: {said}");
        assert!(said.contains(reason), "{line}: {said}");
    }
}

#[test]
fn so_is_what_is_wrong_elsewhere() {
    for (text, reason) in [
        ("", "manifest:1: names no service"),
        ("\n[[service]]\nserves = true\n", "manifest:2: missing field `name`"),
        ("[[service]]\nname='a'\n\n[[service]]\nname='a'", "manifest:5: there are two services"),
        ("[[service]]\nname='supervisor'", "manifest:2: the name \"supervisor\" is init's own"),
        ("[[service]]\nname='port-3f8'", "manifest:2: the name \"port-3f8\" is init's own"),
        ("[[service]]\nname=''", "manifest:2: \"\": names have"),
        ("[[service]]\nname='Console'", "manifest:2: \"Console\": names have"),
        ("[[service]]\nname='a234567890123456x'", "names have"),
        ("title = 'x'", "manifest:1: unknown field `title`"),
        ("[[service]]\nname='a'\nserves=true\nneeds=['a']", "manifest:4: needs itself"),
        (
            "[[service]]\nname='a'\nserves=true\nneeds=['b']\n[[service]]\nname='b'\nserves=true\nneeds=['a']",
            "manifest:2: needs itself",
        ),
        (
            "[[service]]\nname='a'\nsession=true\n[[service]]\nname='b'\nsession=true",
            "manifest:6: \"a\" is the session already",
        ),
        ("[[service]]\nname='a'\nsession=true\nrestart='always'", "manifest:4: the system ends"),
        (
            "[[service]]\nname='a'\ninterrupts=[1]\n[[service]]\nname='b'\ninterrupts=[1]",
            "manifest:6: interrupt 1 is \"a\"'s already",
        ),
        ("[[service]]\nname='a'\nports=['0x60', '0x60-0x64']", "it gets \"port-60\" twice"),
        ("[[service]]\nname='a'\ninterrupts=[4, 4]", "it gets \"interrupt-4\" twice"),
    ] {
        let said = said(text);
        assert!(said.contains(reason), "{text}: {said}");
    }
    let bytes = b"[[service]]\nname = '\xff'";
    let wrong = Manifest::parse(bytes, |_| true).unwrap_err();
    assert_eq!(wrong.to_string(), "manifest:2: not UTF-8");
}

#[test]
fn there_are_bounds_to_all() {
    let ports: Vec<String> = (0..17).map(|port| format!("'0x{port:x}'")).collect();
    let said_ports = said(&with(&format!("ports = [{}]", ports.join(","))));
    assert!(said_ports.ends_with("it gets 17 capabilities; there is room for 16"), "{said_ports}");
    let long = said(&with(&format!("arguments = '{}'", "x".repeat(4000))));
    assert_eq!(long, "manifest:3: the arguments are too long");
    let named = said(&with(&format!("needs = ['{}']", "x".repeat(4000))));
    assert!(named.len() < 200, "one line: {named}");
    let many: String = (0..=MOST).map(|i| format!("[[service]]\nname = 's{i}'\n")).collect();
    assert!(said(&many).ends_with("there are more than 48 services"));
}

#[test]
fn a_long_chain_of_needs_is_put_in_order() {
    let mut text = String::new();
    for place in 0..MOST - 1 {
        text += &format!("[[service]]\nname='s{place}'\nserves=true\nneeds=['s{}']\n", place + 1);
    }
    text += &format!("[[service]]\nname='s{}'\nserves=true\n", MOST - 1);
    let order = parse(&text).unwrap().order;
    assert!(order.into_iter().eq((0..MOST).rev()));
}

proptest! {
    /// Nothing panics, and what is wrong stands in the text.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        if let Err(wrong) = parse(&text) {
            prop_assert!((1..=text.matches('\n').count() + 1).contains(&wrong.line));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Manifest::parse(&bytes, |_| true);
    }

    /// Manifests that were good once.
    #[test]
    fn damaged_manifests_are_read_or_refused(at in 0..FULL.len(), gone in 0..40_usize, new in ".{0,6}") {
        let mut text = String::from(FULL);
        if let Some(removed) = text.get(at..(at + gone).min(FULL.len())).map(str::len) {
            text.replace_range(at..at + removed, &new);
        }
        if let Err(wrong) = parse(&text) {
            prop_assert!((1..=text.matches('\n').count() + 1).contains(&wrong.line), "{wrong}");
            prop_assert!(wrong.to_string().len() < 200 && !wrong.reason.contains('\n'));
        }
    }
}
