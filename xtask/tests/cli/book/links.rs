//! Every page is in the book, and every link goes somewhere.
#![forbid(unsafe_code)]

use std::path::{Component, Path, PathBuf};

use xtask::setup::paths;

use super::{page, pages};

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
