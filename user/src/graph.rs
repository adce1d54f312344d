//! Who can reach what, as a graph in the language of Graphviz: a node for each process and each object, and an edge for each
//! capability, from the process that has it to what it names.
//!
//! ```text
//!   digraph capabilities {
//!     "process 1" [shape=box, label="init\nprocess 1"];
//!     "endpoint 8c6fa548454e028b" [label="endpoint\n8c6fa548454e028b"];
//!     "process 1" -> "endpoint 8c6fa548454e028b" [label="send grant\nbadge 0x7"];
//!   }
//! ```
#![forbid(unsafe_code)]

use alloc::{collections::BTreeSet, vec::Vec};
use core::fmt::{self, Display, Formatter, Write};

use orbital_abi::{
    Error, ObjectKind,
    census::{Capability, Process},
};

use crate::system;

/// Processes, and what each can reach. Shown, it is the graph's text.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The processes.
    pub processes: Vec<Process>,
    /// The capabilities, each with the number of the process that has it.
    pub capabilities: Vec<(u64, Capability)>,
}

impl Graph {
    /// The graph of all processes. What comes or goes meanwhile may be left out.
    ///
    /// # Errors
    /// [`Error::MissingRights`] without `STATISTICS`; [`Error::EmptySlot`] without the system.
    pub fn take() -> Result<Self, Error> {
        let mut graph = Self::default();
        for process in system::processes() {
            let process = process?;
            graph.processes.push(process);
            for capability in system::capabilities(process.id) {
                graph.capabilities.push((process.id, capability?));
            }
        }
        Ok(graph)
    }

    /// What is reached, and is not among the processes: each once.
    fn objects(&self) -> BTreeSet<Node> {
        let reached = self.capabilities.iter().map(|(_, capability)| Node::of(capability));
        let processes = self.capabilities.iter().map(|(process, _)| Node::process(*process));
        let known: BTreeSet<Node> = self.processes.iter().map(|it| Node::process(it.id)).collect();
        reached.chain(processes).filter(|node| !known.contains(node)).collect()
    }
}

impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("digraph capabilities {\n  rankdir=LR;\n")?;
        for process in &self.processes {
            let (node, name) = (Node::process(process.id), Escaped(process.name()));
            writeln!(f, "  \"{node}\" [shape=box, label=\"{name}\\n{node}\"];")?;
        }
        for node in self.objects() {
            let Node { name, .. } = node;
            writeln!(f, "  \"{node}\" [label=\"{name}\\n{}\"];", node.number())?;
        }
        for (process, capability) in &self.capabilities {
            let (from, to) = (Node::process(*process), Node::of(capability));
            writeln!(f, "  \"{from}\" -> \"{to}\" [label=\"{}\"];", Label(capability))?;
        }
        f.write_str("}\n")
    }
}

/// An object: the name of its kind, and its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    name: &'static str,
    identity: u64,
    /// Whether the number is small, and known from elsewhere.
    is_counted: bool,
}

impl Node {
    fn of(capability: &Capability) -> Self {
        let is_counted = matches!(capability.kind, ObjectKind::Process | ObjectKind::Thread);
        Self { name: capability.kind.name(), identity: capability.identity, is_counted }
    }

    fn process(number: u64) -> Self {
        Self { name: ObjectKind::Process.name(), identity: number, is_counted: true }
    }

    fn number(self) -> impl Display {
        fmt::from_fn(move |f| match self.is_counted {
            true => write!(f, "{}", self.identity),
            false => write!(f, "{:016x}", self.identity),
        })
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.number())
    }
}

/// What an edge says: rights, and the badge where there is one.
struct Label<'a>(&'a Capability);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, (right, _)) in self.0.rights.iter_names().enumerate() {
            f.write_str(if place > 0 { " " } else { "" })?;
            right.chars().try_for_each(|c| f.write_char(c.to_ascii_lowercase()))?;
        }
        match self.0.badge {
            0 => Ok(()),
            badge => write!(f, "\\nbadge {badge:#x}"),
        }
    }
}

/// A name in a quoted string, where `"` and `\` would mean something else.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            c if c.is_control() => f.write_char('?'),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use orbital_abi::{CapSlot, Rights};

    use super::*;

    fn process(id: u64, text: &str) -> Process {
        let mut name = [0; 16];
        name[..text.len()].copy_from_slice(text.as_bytes());
        Process {
            id,
            parent: 0,
            name,
            is_ending: false,
            threads: 1,
            frames: (0, 0),
            kernel_bytes: (0, 0),
            cpu_time: 0,
        }
    }

    fn capability(kind: ObjectKind, identity: u64, rights: Rights, badge: u64) -> Capability {
        Capability { slot: CapSlot::new(0, 1), kind, identity, rights, badge, parent: None }
    }

    #[test]
    fn without_anything_the_graph_is_empty() {
        let text = Graph::default().to_string();
        assert_eq!(text, "digraph capabilities {\n  rankdir=LR;\n}\n");
    }

    #[test]
    fn an_object_that_two_reach_is_one_node() {
        let (send, receive) = (Rights::SEND | Rights::GRANT, Rights::RECEIVE);
        let graph = Graph {
            processes: [process(1, "init"), process(12, "echo")].into(),
            capabilities: [
                (1, capability(ObjectKind::Endpoint, 0xab, receive, 0)),
                (12, capability(ObjectKind::Endpoint, 0xab, send, 7)),
                (1, capability(ObjectKind::Process, 12, Rights::MANAGE, 0)),
                (12, capability(ObjectKind::Thread, 12, Rights::empty(), 0)),
            ]
            .into(),
        };
        let expected = r#"digraph capabilities {
  rankdir=LR;
  "process 1" [shape=box, label="init\nprocess 1"];
  "process 12" [shape=box, label="echo\nprocess 12"];
  "endpoint 00000000000000ab" [label="endpoint\n00000000000000ab"];
  "thread 12" [label="thread\n12"];
  "process 1" -> "endpoint 00000000000000ab" [label="receive"];
  "process 12" -> "endpoint 00000000000000ab" [label="send grant\nbadge 0x7"];
  "process 1" -> "process 12" [label="manage"];
  "process 12" -> "thread 12" [label=""];
}
"#;
        assert_eq!(graph.to_string(), expected);
    }

    #[test]
    fn a_process_that_is_not_told_is_a_node_nevertheless() {
        let gone = capability(ObjectKind::Process, 9, Rights::WAIT, 0);
        let graph = Graph { processes: Vec::new(), capabilities: [(3, gone)].into() };
        let text = graph.to_string();
        for node in ["  \"process 9\" [label=", "  \"process 3\" [label="] {
            assert_eq!(text.matches(node).count(), 1, "{text}");
        }
    }

    #[test]
    fn a_name_can_end_neither_its_string_nor_its_line() {
        let graph =
            Graph { processes: [process(1, "a\"];\\N\n<b>")].into(), capabilities: Vec::new() };
        let expected = "  \"process 1\" [shape=box, label=\"a\\\"];\\\\N?<b>\\nprocess 1\"];\n";
        assert!(graph.to_string().contains(expected), "{graph}");
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: BTreeSet<_> = ObjectKind::ALL.map(ObjectKind::name).into();
        assert_eq!(names.len(), ObjectKind::ALL.len());
    }
}
