//! `cargo xtask build`, as who writes programs of his own sees it.
#![forbid(unsafe_code)]

use std::{collections::HashMap, fs, path::Path};

use cargo_metadata::MetadataCommand;
use xtask::setup::paths;

use crate::support::{Ran, folder, is_progress, run, xtask};

/// A package in `folder` whose program is `main`.
fn package(name: &str, folder: &Path, metadata: &str, main: &str) {
    let user = paths::project().join("user");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n{metadata}\n\
         [dependencies]\norbital-user = {{ path = {user:?} }}\n"
    );
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/main.rs"), main).unwrap();
}

const MAIN: &str = r#"#![no_std]
#![no_main]

orbital_user::entry!(main);

fn main() -> Result<(), orbital_user::Error> {
    orbital_user::println!("the stranger is init");
    Err(orbital_user::system::shutdown(0))
}
"#;

#[test]
fn a_package_elsewhere_is_built_without_more_and_runs() {
    let folder = folder("elsewhere");
    package("stranger", &folder, "", MAIN);
    let ran = run(&["build", folder.to_str().unwrap()]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let file = ran.stdout.strip_suffix('\n').expect("one line");
    assert!(file.ends_with("orbital/programs/stranger/x86_64-orbital/debug/stranger"), "{ran:?}");
    assert!(Path::new(file).is_absolute(), "{ran:?}");
    // It has the versions that the project has.
    let versions = |folder: &Path| fs::read_to_string(folder.join("Cargo.lock")).unwrap();
    let version = |text: &str| {
        let (_, rest) = text.split_once("name = \"postcard\"\n").expect("postcard");
        rest.lines().next().map(str::to_owned)
    };
    assert_eq!(version(&versions(&folder)), version(&versions(paths::project())));

    let ran = run(&["--boot", "direct", "--init", file]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.contains(" INFO  init: the stranger is init\n"), "{ran:?}");
}

#[test]
fn the_folder_is_the_current_one_where_none_is_named() {
    let init = paths::project().join("init");
    let ran = Ran::from(xtask().arg("build").current_dir(init).output().unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
    let names: Vec<_> = ran.stdout.lines().filter_map(|file| file.rsplit('/').next()).collect();
    assert!(["init", "server", "shell"].iter().all(|name| names.contains(name)), "{names:?}");
    assert!(ran.stdout.lines().all(|file| Path::new(file).is_file()), "{ran:?}");
}

#[test]
fn packages_of_one_name_in_two_folders_are_two() {
    for text in ["one", "other"] {
        let folder = folder(text);
        let main = folder.join("src/main.rs");
        package("twin", &folder, "", &MAIN.replace("the stranger", text));
        // As old as can be: nothing but the folder tells that it is another one.
        let long_ago = fs::File::options().write(true).open(&main).unwrap();
        long_ago.set_modified(std::time::UNIX_EPOCH).unwrap();
        let ran = run(&["build", folder.to_str().unwrap()]);
        assert_eq!(ran.status, 0, "{ran:?}");
        let file = fs::read(ran.stdout.trim_end()).unwrap();
        let wanted = format!("{text} is init");
        assert!(file.windows(wanted.len()).any(|part| part == wanted.as_bytes()), "{text}");
    }
}

/// Runs `build` for what can't be built at all; gives the one line that says why.
fn refused(path: &Path) -> String {
    let ran = run(&["build", path.to_str().unwrap()]);
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{ran:?}");
    let said: Vec<_> = ran.stderr.lines().filter(|line| !is_progress(line)).collect();
    assert_eq!(said.len(), 1, "{ran:?}");
    said[0].to_owned()
}

#[test]
fn what_is_no_package_of_programs_is_one_line_and_status_2() {
    let folder = folder("no_package");
    let path = folder.as_path();
    let why = |part: &str| {
        let line = refused(path);
        assert!(line.starts_with("xtask: ") && line.contains(part), "{part}: {line}");
    };
    assert!(refused(&path.join("nowhere")).contains("nowhere: No such file"));
    why("there is no Cargo.toml");
    fs::write(path.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\n").unwrap();
    why("its Cargo.toml is no package's");
    fs::write(path.join("Cargo.toml"), "[package\n").unwrap();
    why("unclosed table");
    package("stranger", path, "", MAIN);
    fs::rename(path.join("src/main.rs"), path.join("src/lib.rs")).unwrap();
    why("package stranger has no programs");
    package("stranger", path, "[package.metadata.orbital]\nflaot = true", MAIN);
    why("metadata.orbital has no key \"flaot\"");
}

#[test]
fn what_does_not_compile_is_status_101_after_the_compiler_s_words() {
    let folder = folder("wrong");
    package("stranger", &folder, "", &MAIN.replace("entry!(main)", "entry!(missing)"));
    let ran = run(&["build", folder.to_str().unwrap()]);
    assert_eq!((ran.status, ran.stdout.as_str()), (101, ""), "{ran:?}");
    assert!(ran.stderr.contains("cannot find function `missing`"), "{ran:?}");
    let last = ran.stderr.lines().last();
    assert_eq!(last, Some("xtask: building stranger: it does not compile"), "{ran:?}");
}

/// They lie side by side in one folder: of two with one name the later would take the other's place.
#[test]
fn no_two_programs_of_the_project_have_one_name() {
    let mut command = MetadataCommand::new();
    let metadata =
        command.no_deps().manifest_path(paths::project().join("Cargo.toml")).exec().unwrap();
    let mut owners = HashMap::new();
    for package in &metadata.packages {
        for program in package.targets.iter().filter(|target| target.is_bin()) {
            let other = owners.insert(program.name.clone(), package.name.clone());
            assert_eq!(other, None, "{} is a program of {} too", program.name, package.name);
        }
    }
    assert!(owners.contains_key("init"));
}
