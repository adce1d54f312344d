//! From the manifest's text to services.
#![forbid(unsafe_code)]

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::ops::Range;

use orbital_user::{
    Rights,
    abi::bootstrap::{COMMAND_LINE_BYTES, GRANTED},
    output::OUTPUT,
};
use toml::Spanned;

use super::{
    MOST, SUPERVISOR, Wrong,
    service::{Amount, FRAMEBUFFER, Need, Provider, Restart, SERVICE, Service},
    text::{Table, Written, wrong},
    values,
};
use crate::protocol;

/// Names that a service finds its own things under, and init's.
const RESERVED: &[&str] = &[SERVICE, FRAMEBUFFER, OUTPUT, "init", SUPERVISOR];
/// Room in a command line for what init adds: the framebuffer's geometry, and what the session runs.
const ADDED_BYTES: usize = 2048 + 64;

/// What is there for the check of one service.
struct Check<'a> {
    text: &'a str,
    /// Places by name, and whether they serve.
    known: &'a BTreeMap<&'a str, (usize, bool)>,
    has_program: &'a dyn Fn(&str) -> bool,
}

/// All services, in the order of the text.
pub(super) fn services(
    text: &str,
    tables: &[Spanned<Table>],
    has_program: &dyn Fn(&str) -> bool,
) -> Result<Vec<Service>, Wrong> {
    if tables.is_empty() {
        return Err(wrong(text, 0..0, "names no service"));
    }
    let mut known = BTreeMap::new();
    for (place, table) in tables.iter().enumerate() {
        let name = &table.get_ref().name;
        let wrong = |reason: String| Err(wrong(text, name.span(), reason));
        let is_taken = |name: &str| {
            RESERVED.contains(&name) || name.starts_with("port-") || name.starts_with("interrupt-")
        };
        match name.get_ref().as_str() {
            _ if place == MOST => return wrong(format!("there are more than {MOST} services")),
            other if !values::is_name(other) => {
                return wrong(format!("{other:?}: names have 1 to 16 of a-z, 0-9, - and _"));
            }
            other if is_taken(other) => return wrong(format!("the name {other:?} is init's own")),
            new => {
                if known.insert(new, (place, table.get_ref().serves)).is_some() {
                    return wrong(format!("there are two services named {new:?}"));
                }
            }
        }
    }
    let check = Check { text, known: &known, has_program };
    let services =
        tables.iter().map(|table| check.service(table)).collect::<Result<Vec<_>, _>>()?;
    check_shared(text, tables)?;
    Ok(services)
}

/// What only one service can have.
fn check_shared(text: &str, tables: &[Spanned<Table>]) -> Result<(), Wrong> {
    let mut lines = BTreeMap::new();
    let mut session = None;
    for table in tables.iter().map(Spanned::get_ref) {
        let name = table.name.get_ref().as_str();
        for line in &table.interrupts {
            if let Some(other) = lines.insert(*line.get_ref(), name) {
                let reason = format!("interrupt {} is {other:?}'s already", line.get_ref());
                return Err(wrong(text, line.span(), reason));
            }
        }
        if let Some(flag) = table.session.as_ref().filter(|flag| *flag.get_ref())
            && let Some(other) = session.replace(name)
        {
            let reason = format!("{other:?} is the session already");
            return Err(wrong(text, flag.span(), reason));
        }
    }
    Ok(())
}

impl Check<'_> {
    fn service(&self, table: &Spanned<Table>) -> Result<Service, Wrong> {
        let whole = table.span();
        let table = table.get_ref();
        let name = table.name.get_ref().clone();
        let session = table.session.as_ref().is_some_and(|flag| *flag.get_ref());
        let usual = if session { Restart::Never } else { Restart::OnFailure };
        let service = Service {
            program: self.program(table)?,
            arguments: self.arguments(table)?,
            serves: table.serves,
            needs: self.each(&table.needs, |text| self.need(&name, text))?,
            ports: self.each(&table.ports, |text| {
                values::ports(text).ok_or_else(|| format!("{text:?}: no range of ports"))
            })?,
            interrupts: table.interrupts.iter().map(|line| *line.get_ref()).collect(),
            framebuffer: table.framebuffer,
            archive: table.archive,
            system: self.system(table)?,
            frames: self.amount(&table.frames, 256, "frames", values::percent)?,
            kernel: self.amount(&table.kernel, 64 << 10, "bytes", |text| {
                values::bytes(text).or_else(|| values::percent(text))
            })?,
            priority: self.one(&table.priority, 128, |number| {
                let priority = u8::try_from(*number).ok().filter(|priority| *priority < u8::MAX);
                priority.ok_or_else(|| format!("{number}: priorities go from 0 to 254"))
            })?,
            cpus: self.one(&table.cpus, u64::MAX, |numbers| {
                let mask = values::cpus(numbers);
                mask.ok_or_else(|| "CPUs are a list of numbers from 0 to 63".into())
            })?,
            restart: self.restart(table, session, usual)?,
            backoff: self.one(&table.backoff, 100_000_000, |text| {
                values::time(text).ok_or_else(|| format!("{text:?}: no time of an hour at most"))
            })?,
            session,
            name,
        };
        self.check_places(whole, &service)?;
        Ok(service)
    }

    fn program(&self, table: &Table) -> Result<String, Wrong> {
        let name = table.program.as_ref().unwrap_or(&table.name);
        if !(self.has_program)(name.get_ref()) {
            let reason = format!("there is no program {:?} in the archive", name.get_ref());
            return Err(wrong(self.text, name.span(), reason));
        }
        Ok(name.get_ref().clone())
    }

    fn arguments(&self, table: &Table) -> Result<String, Wrong> {
        self.one(&table.arguments, String::new(), |text| {
            let fits = text.len() <= COMMAND_LINE_BYTES - ADDED_BYTES;
            fits.then(|| text.clone()).ok_or_else(|| "the arguments are too long".into())
        })
    }

    fn system(&self, table: &Table) -> Result<Rights, Wrong> {
        let rights = self.each(&table.system, |word| {
            values::system_right(word).ok_or_else(|| format!("{word:?}: no right on the system"))
        })?;
        Ok(rights.into_iter().collect())
    }

    fn restart(&self, table: &Table, session: bool, usual: Restart) -> Result<Restart, Wrong> {
        self.one(&table.restart, usual, |text| match values::restart(text) {
            Some(policy) if session && policy != Restart::Never => {
                Err("the system ends with its session, which is not started anew".into())
            }
            Some(policy) => Ok(policy),
            None => Err(format!("{text:?}: restart is \"always\", \"on-failure\" or \"never\"")),
        })
    }

    fn need(&self, own: &str, text: &str) -> Result<Need, String> {
        let (name, words) = text.split_once(':').unwrap_or((text, ""));
        let provider = match self.known.get(name) {
            None if name == SUPERVISOR => Provider::Supervisor,
            None => return Err(format!("there is no service {name:?}")),
            Some((_, false)) => return Err(format!("{name:?} serves nothing")),
            Some((place, true)) => Provider::Service(*place),
        };
        let known = protocol::rights(name);
        let mut rights = 0;
        for word in words.split('+').filter(|_| name.len() < text.len()) {
            let right = known.iter().find(|(right, _)| *right == word);
            rights |= right.ok_or_else(|| format!("{name:?} has no right {word:?}"))?.1;
        }
        if name == own {
            return Err(super::order::CYCLE.into());
        }
        Ok(Need { name: name.into(), provider, rights })
    }

    fn amount(
        &self,
        written: &Option<Spanned<Written>>,
        usual: u64,
        what: &str,
        read: impl Fn(&str) -> Option<Amount>,
    ) -> Result<Amount, Wrong> {
        self.one(written, Amount::Of(usual), |written| {
            let amount = match written {
                Written::Number(number) => values::amount(*number),
                Written::Text(text) => read(text),
            };
            amount.ok_or_else(|| format!("{written}: no amount of {what}"))
        })
    }

    /// A key's value, or what is usual.
    fn one<T, V>(
        &self,
        value: &Option<Spanned<T>>,
        usual: V,
        read: impl Fn(&T) -> Result<V, String>,
    ) -> Result<V, Wrong> {
        let Some(value) = value else { return Ok(usual) };
        read(value.get_ref()).map_err(|reason| wrong(self.text, value.span(), reason))
    }

    /// A list's values.
    fn each<V>(
        &self,
        list: &[Spanned<String>],
        read: impl Fn(&str) -> Result<V, String>,
    ) -> Result<Vec<V>, Wrong> {
        let read = |item: &Spanned<String>| {
            read(item.get_ref()).map_err(|reason| wrong(self.text, item.span(), reason))
        };
        list.iter().map(read).collect()
    }

    /// Whether all that it gets has a place in its bootstrap block, and a name of its own.
    fn check_places(&self, at: Range<usize>, service: &Service) -> Result<(), Wrong> {
        let mut names: Vec<String> = service.grant_names().collect();
        let count = names.len();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong(self.text, at, format!("it gets {:?} twice", pair[0])));
        }
        if count > GRANTED {
            let reason = format!("it gets {count} capabilities; there is room for {GRANTED}");
            return Err(wrong(self.text, at, reason));
        }
        Ok(())
    }
}
