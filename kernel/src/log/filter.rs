//! Which lines are logged: a level, and levels of single modules (`log=info,ipc=trace`).
#![forbid(unsafe_code)]

use arrayvec::{ArrayString, ArrayVec};
use log::{Level, LevelFilter};

const MODULES: usize = 16;

/// Levels by module.
#[derive(Debug)]
pub struct Filter {
    default: LevelFilter,
    modules: ArrayVec<(ArrayString<24>, LevelFilter), MODULES>,
}

impl Filter {
    /// Reads `text`: levels and `module=level` pairs, separated by commas. Without one the level
    /// is `info`. What can't be understood is left out and the first of it given back.
    pub fn parse(text: &str) -> (Self, Option<&str>) {
        let mut filter = Self { default: LevelFilter::Info, modules: ArrayVec::new() };
        let mut wrong = None;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if filter.add(part).is_none() {
                wrong = wrong.or(Some(part));
            }
        }
        (filter, wrong)
    }

    fn add(&mut self, part: &str) -> Option<()> {
        match part.split_once('=') {
            None => self.default = part.parse().ok()?,
            Some((module, level)) => {
                let module = ArrayString::from(module).ok()?;
                self.modules.try_push((module, level.parse().ok()?)).ok()?;
            }
        }
        Some(())
    }

    /// Whether a line of `module` at `level` is logged. A level for `user` holds for `user.client`
    /// and the like, too.
    pub fn allows(&self, module: &str, level: Level) -> bool {
        let group = module.split_once('.').map_or(module, |(group, _)| group);
        let has =
            |wanted: &str| self.modules.iter().rev().find(|(name, _)| name.as_str() == wanted);
        let named = has(module).or_else(|| has(group));
        level <= named.map_or(self.default, |(_, level)| *level)
    }

    /// The most detailed level that any module has.
    pub fn most(&self) -> LevelFilter {
        self.modules.iter().map(|(_, level)| *level).fold(self.default, Ord::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_by_module() {
        let (filter, wrong) = Filter::parse("ipc=trace,sched=off");
        assert_eq!(wrong, None);
        assert!(filter.allows("ipc", Level::Trace));
        assert!(!filter.allows("sched", Level::Error));
        assert!(filter.allows("boot", Level::Info) && !filter.allows("boot", Level::Debug));
        assert_eq!(filter.most(), LevelFilter::Trace);
    }

    #[test]
    fn a_group_has_a_level_and_its_members_can_have_others() {
        let filter = Filter::parse("user=off,user.client=debug").0;
        assert!(!filter.allows("user.server", Level::Error));
        assert!(filter.allows("user.client", Level::Debug));
        assert!(!filter.allows("user", Level::Error) && filter.allows("users", Level::Info));
    }

    #[test]
    fn a_level_alone_is_everyones() {
        assert!(Filter::parse("debug").0.allows("boot", Level::Debug));
        assert!(Filter::parse("").0.allows("boot", Level::Info));
        assert!(!Filter::parse("off").0.allows("boot", Level::Error));
    }

    #[test]
    fn what_is_wrong_is_named_and_the_rest_holds() {
        let (filter, wrong) = Filter::parse("loud,ipc=trace");
        assert_eq!(wrong, Some("loud"));
        assert!(filter.allows("ipc", Level::Trace));
        assert_eq!(Filter::parse("ipc=loud").1, Some("ipc=loud"));
    }
}
