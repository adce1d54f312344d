//! Every page is in the book, and every link goes somewhere.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use xtask::setup::paths;

use super::{page, page::Page, pages};

#[test]
fn the_summary_names_each_page_once() {
    let mut named: Vec<_> = page(Path::new("docs/SUMMARY.md"))
        .links
        .iter()
        .map(|l| Path::new("docs").join(l))
        .collect();
    named.sort();
    let pages = pages().into_iter().map(|(file, _)| file);
    let wanted: Vec<_> =
        pages.filter(|file| file.starts_with("docs") && !file.ends_with("SUMMARY.md")).collect();
    assert_eq!(named, wanted);
}

#[test]
fn each_link_goes_to_a_file_and_a_heading_that_are_there() {
    let mut wrong = Vec::new();
    for (file, page) in pages() {
        let folder = file.parent().expect("a folder");
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            if !leads(&file, folder, link) {
                wrong.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn leads(file: &Path, folder: &Path, link: &str) -> bool {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, a)| (path, Some(a)));
    let target = if path.is_empty() { file.to_owned() } else { normal(&folder.join(path)) };
    let Some(anchor) = anchor else { return paths::project().join(target).exists() };
    target.extension().is_some_and(|ending| ending == "md")
        && paths::project().join(&target).is_file()
        && page(&target).anchors.iter().any(|other| other == anchor)
}

/// The path without `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut before, part| {
        match part {
            Component::ParentDir => {
                before.pop();
            }
            other => before.push(other),
        }
        before
    })
}

/// Names of at least four words that a page has: those of tests and models that it gives as proof, and
/// of a few other things.
fn names(page: &Page) -> impl Iterator<Item = &str> {
    let is_path = |span: &str| span.chars().all(|c| c.is_ascii_lowercase() || "_:".contains(c));
    let spans = page.spans.iter().filter(move |span| is_path(span));
    let names = spans.filter_map(|span| span.rsplit("::").next());
    names.filter(|name| name.matches('_').count() >= 3)
}

#[test]
fn each_test_that_a_page_names_is_in_the_sources() {
    let sources = sources();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (file, page) in pages() {
        for name in names(&page) {
            count += 1;
            if !sources.iter().any(|text| has_word(text, name)) {
                wrong.push(format!("{}: {name}", file.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(count > 40, "{count} are too few: are they found?");
}

/// Whether a name is in a text, and not only the beginning of a longer one.
fn has_word(text: &str, name: &str) -> bool {
    let goes_on = |end: usize| text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    text.match_indices(name).any(|(at, _)| !goes_on(at + name.len()))
}

/// What Rust, cargo and the linker read of the project, but for these tests.
fn sources() -> Vec<String> {
    let mut sources = Vec::new();
    let mut folders = vec![paths::project().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && !is_left_out(&path) {
                folders.push(path);
            } else if is_source(&path) {
                sources.push(fs::read_to_string(path).expect("a source"));
            }
        }
    }
    sources
}

fn is_source(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["rs", "toml", "ld"].contains(&ending))
}

fn is_left_out(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or(".");
    name.starts_with('.') || ["target", "book"].contains(&name)
}

#[test]
fn links_into_nothing_are_found() {
    let leads = |link| leads(Path::new("docs/running.md"), Path::new("docs"), link);
    for link in ["caveats.md", "../README.md", "#set-up", "glossary.md#glossary", "decisions/"] {
        assert!(leads(link), "{link}");
    }
    for link in ["nothing.md", "#nothing", "caveats.md#nothing", "README.md", "../user/c#x"] {
        assert!(!leads(link), "{link}");
    }
}
