//! What `create` leaves behind: a whole service, or nothing.

use std::collections::BTreeMap;

use super::*;

/// A workspace with the least that `create` looks at.
fn workspace(root: &Path) -> Workspace {
    let manifest = "[workspace]\nresolver = \"3\"\nmembers = [\n    \"lib\",\n]\nexclude = [\"apart\"]\n\n[workspace.package]\nversion = \"0.1.0\"\nedition = \"2024\"\nrust-version = \"1.95\"\nlicense = \"MIT\"\npublish = false\n\n[workspace.lints.rust]\nmissing_docs = \"warn\"\n\n[workspace.dependencies]\nkernel-app = { path = \"lib\" }\nsimulator = { path = \"lib\" }\n";
    fs::create_dir_all(root.join("lib/src")).expect("room");
    for (path, text) in [
        ("Cargo.toml", manifest),
        ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"kernel-app\"\nversion = \"0.1.0\"\n"),
        ("lib/Cargo.toml", "[package]\nname = \"kernel-app\"\n"),
        ("lib/src/lib.rs", ""),
        ("app.toml", "name = \"app\" # mine\n\n[services.web]\nports = [\"8090:80\"]\n"),
    ] {
        fs::write(root.join(path), text).expect("room");
    }
    Workspace { root: root.to_owned(), target: root.join("target") }
}

fn options(name: &str, file: &str) -> Options {
    Options { name: name.to_owned(), file: Some(file.into()) }
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let of = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => BTreeMap::from([(path.clone(), fs::read_to_string(path).expect("text"))]),
    };
    entries.flat_map(of).collect()
}

#[test]
fn a_service_becomes_a_member_and_is_described() {
    let folder = tempfile::tempdir().expect("room");
    let workspace = workspace(folder.path());
    let created = create(&workspace, folder.path(), &options("hello-web", "app.toml")).expect("created");
    assert_eq!((created.is_member, created.port), (true, 8091));
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).expect(path);
    assert!(read("Cargo.toml").contains("    \"lib\",\n    \"hello-web\",\n]"), "{}", read("Cargo.toml"));
    assert!(read("app.toml").starts_with("name = \"app\" # mine\n"));
    assert!(read("app.toml").contains("[services.hello-web]\nbuild = \"./hello-web\"\n"));
    assert!(read("hello-web/src/main.rs").contains("hello_web::program"));
    let entries = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(entries, 5, "Cargo.toml, Cargo.lock, lib, app.toml, hello-web");
}

#[test]
fn a_service_outside_of_the_workspace_stands_alone() {
    let (folder, outside) = (tempfile::tempdir().expect("room"), tempfile::tempdir().expect("room"));
    let workspace = workspace(folder.path());
    let before = files(folder.path());
    let created = create(&workspace, outside.path(), &options("hello-web", "own.toml")).expect("created");
    assert!(!created.is_member && created.description.ends_with("own.toml"));
    assert_eq!(files(folder.path()), before);
    let manifest = fs::read_to_string(created.folder.join("Cargo.toml")).expect("written");
    assert!(manifest.contains("[workspace]"), "{manifest}");
}

#[test]
fn nothing_is_changed_by_a_refusal_or_a_failure() {
    let folder = tempfile::tempdir().expect("room");
    let workspace = workspace(folder.path());
    fs::create_dir(folder.path().join("taken")).expect("room");
    fs::write(folder.path().join("broken.toml"), "name =").expect("room");
    let before = files(folder.path());
    for (name, file, expected) in [
        ("Hello", "app.toml", "cannot name a service"),
        ("fn", "app.toml", "is a reserved word"),
        ("kernel-app", "app.toml", "is the name of a package that is used here"),
        ("taken", "app.toml", "is there already"),
        ("web", "app.toml", "has a service web already"),
        ("hello-web", "broken.toml", "is not well formed"),
        ("hello-web", "missing/app.toml", "cannot write"),
    ] {
        let error = create(&workspace, folder.path(), &options(name, file)).expect_err(expected);
        assert!(format!("{error:#}").contains(expected), "{error:#}");
        assert_eq!(files(folder.path()), before, "{name}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 6, "{name}");
    }
}
