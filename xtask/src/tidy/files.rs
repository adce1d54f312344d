//! Checks of the source files' text.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{Failure, build::system::read, setup::paths};

/// A longer file has two ideas.
const MOST_LINES: usize = 400;
/// The files that may have `unsafe` in them, one a line.
const LIST: &str = "xtask/unsafe-files.txt";
const FORBID: &str = "#![forbid(unsafe_code)]";

/// Files with too many lines.
pub fn too_long() -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for (name, text) in sources()? {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            found.push(format!("{name}: {lines} lines are more than {MOST_LINES}"));
        }
    }
    Ok(found)
}

/// Files with `unsafe` that are not on the list, without a promise that they have none, or on the
/// list in vain.
pub fn stray_unsafe() -> Result<Vec<String>, Failure> {
    let list = read(&paths::project().join(LIST))?;
    let list = String::from_utf8_lossy(&list).into_owned();
    let listed: BTreeSet<&str> =
        list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let sources = sources()?;
    let parents: BTreeSet<String> = listed.iter().flat_map(|file| parents(file)).collect();
    // A crate's root promises for all its modules.
    let roots = sources.iter().filter(|(_, text)| text.contains(FORBID));
    let forbidding: Vec<&str> = roots.filter_map(|(name, _)| name.strip_suffix("lib.rs")).collect();
    let mut found = Vec::new();
    for (name, text) in &sources {
        let uses = uses_unsafe(text);
        let is_listed = listed.contains(name.as_str());
        if uses && !is_listed {
            found.push(format!("{name}: unsafe outside of {LIST}"));
        }
        if !uses && is_listed {
            found.push(format!("{name}: stands in {LIST} and has no unsafe"));
        }
        let promises = text.contains(FORBID) || forbidding.iter().any(|src| name.starts_with(src));
        if !uses && !parents.contains(name) && !promises {
            found.push(format!("{name}: {FORBID} is missing"));
        }
    }
    let names: BTreeSet<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    found.extend(listed.difference(&names).map(|file| format!("{LIST}: there is no {file}")));
    Ok(found)
}

/// The modules above a file, which can't forbid what the file needs.
fn parents(file: &str) -> Vec<String> {
    Path::new(file)
        .ancestors()
        .skip(1)
        .take_while(|folder| !folder.as_os_str().is_empty())
        .flat_map(|folder| {
            let beside = folder.with_extension("rs");
            let inside = ["mod.rs", "lib.rs", "main.rs"].map(|name| folder.join(name));
            inside.into_iter().chain([beside])
        })
        .map(|path| path.display().to_string())
        .collect()
}

/// Words that are, or stand for, unsafe code: assembly and a macro say it without the word.
const WORDS: [&str; 3] = ["unsafe", "global_asm", "intrusive_adapter"];

/// Whether there is `unsafe` in the code: comments and the names of lints do not count.
fn uses_unsafe(text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .any(|code| code.split(|c| !is_word(c)).any(|word| WORDS.contains(&word)))
}

/// All Rust files of the project, by their names in it, sorted.
fn sources() -> Result<Vec<(String, String)>, Failure> {
    let mut sources = Vec::new();
    let mut folders = vec![paths::project().to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(Failure::of(folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(".");
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                sources.push((relative(&path), String::from_utf8_lossy(&read(&path)?).into()));
            }
        }
    }
    sources.sort();
    Ok(sources)
}

fn relative(path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(paths::project()).unwrap_or(path).into();
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_is_found_in_code_alone() {
        assert!(uses_unsafe("let x = unsafe { f() };"));
        assert!(uses_unsafe("#[unsafe(no_mangle)]"));
        assert!(!uses_unsafe("// unsafe\n#![forbid(unsafe_code)]\nlet unsafer = 1;"));
    }

    #[test]
    fn the_modules_above_a_file_are_known() {
        let parents = parents("kernel/src/arch/x86_64/idt.rs");
        for parent in
            ["kernel/src/lib.rs", "kernel/src/arch/mod.rs", "kernel/src/arch/x86_64/mod.rs"]
        {
            assert!(parents.iter().any(|p| p == parent), "{parent}");
        }
        assert!(!parents.iter().any(|p| p == "kernel/src/log/mod.rs"));
    }
}
