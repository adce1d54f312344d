//! The pages in `docs/` and the README: what they show is what happens, what they name is there.
#![forbid(unsafe_code)]

mod commands;
mod links;
mod page;
mod reference;
mod session;
mod tutorial;

use std::{
    fs,
    path::{Path, PathBuf},
};

use xtask::setup::paths;

use page::Page;

/// All pages, by their paths in the project, sorted.
fn pages() -> Vec<(PathBuf, Page)> {
    let mut files = vec![PathBuf::from("README.md")];
    for folder in ["docs", "docs/decisions"] {
        let entries = fs::read_dir(paths::project().join(folder)).expect("the folder of pages");
        let names = entries.map(|entry| entry.expect("a page").file_name());
        files.extend(names.map(|name| Path::new(folder).join(name)));
    }
    files.retain(|file| file.extension().is_some_and(|ending| ending == "md"));
    files.sort();
    files.into_iter().map(|file| (file.clone(), page(&file))).collect()
}

/// One of them.
fn page(file: &Path) -> Page {
    let text = fs::read_to_string(paths::project().join(file));
    Page::parse(&text.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}
