//! A new package in the workspace's `Cargo.toml`; or, outside of the workspace, a package that stands alone.

use std::path::Path;

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use crate::new::template::File;

/// The workspace's manifest with a member more; none if the folder lies outside of the workspace.
///
/// # Errors
/// When the manifest has no list of members.
pub fn with_member(manifest: &str, root: &Path, folder: &Path) -> Result<Option<String>> {
    let mut document: DocumentMut =
        manifest.parse().context("the workspace's Cargo.toml is not well formed")?;
    let Some(path) = inside(&document, root, folder) else { return Ok(None) };
    let members = document["workspace"]["members"].as_array_mut();
    let members = members.context("the workspace's Cargo.toml has no list of members")?;
    let mut member = Value::from(path);
    // As the others stand.
    member.decor_mut().set_prefix(members.iter().last().map_or("", |last| prefix(last)));
    members.push_formatted(member);
    Ok(Some(document.to_string()))
}

fn prefix(value: &Value) -> &str {
    value.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default()
}

/// The folder's path in the workspace, unless it is outside or in a folder that the workspace excludes.
fn inside(document: &DocumentMut, root: &Path, folder: &Path) -> Option<String> {
    let root = root.canonicalize().ok()?;
    let path = folder.strip_prefix(&root).ok()?;
    let excluded = document["workspace"].get("exclude").and_then(Item::as_array);
    let mut excluded = excluded.into_iter().flatten().filter_map(Value::as_str);
    (!excluded.any(|excluded| path.starts_with(excluded))).then(|| path.to_str().map(str::to_owned))?
}

/// Makes a package that takes nothing from a workspace, and finds the crates of the one at `root` by their paths.
///
/// # Errors
/// When the package takes what the workspace does not have.
pub fn stand_alone(files: &mut [File], manifest: &str, root: &Path) -> Result<()> {
    let workspace: DocumentMut = manifest.parse().context("the workspace's Cargo.toml is not well formed")?;
    let workspace = &workspace["workspace"];
    let file = files.iter_mut().find(|file| file.path == "Cargo.toml").context("a package has a manifest")?;
    let mut package: DocumentMut =
        file.text.parse().context("the template's Cargo.toml is not well formed")?;
    for (key, item) in package["package"].as_table_mut().into_iter().flat_map(Table::iter_mut) {
        if is_inherited(item) {
            let inherited = workspace.get("package").and_then(|table| table.get(key.get()));
            *item = inherited.with_context(|| format!("the workspace has no {}", key.get()))?.clone();
        }
    }
    package.remove("lints");
    for kind in ["dependencies", "dev-dependencies"] {
        for (name, item) in package[kind].as_table_mut().into_iter().flat_map(Table::iter_mut) {
            *item = dependency(workspace, root, name.get())?;
        }
    }
    package.insert("workspace", Item::Table(Table::new()));
    file.text = package.to_string();
    Ok(())
}

fn is_inherited(item: &Item) -> bool {
    item.get("workspace").and_then(Item::as_bool) == Some(true)
}

fn dependency(workspace: &Item, root: &Path, name: &str) -> Result<Item> {
    let known = workspace.get("dependencies").and_then(|table| table.get(name)?.get("path")?.as_str());
    let path = root.join(known.with_context(|| format!("the workspace has no crate {name}"))?);
    let path = path.to_str().context("the workspace's path is not UTF-8")?;
    Ok(toml_edit::value(InlineTable::from_iter([("path", path)])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::new::template::files;

    const MANIFEST: &str = include_str!("../../../Cargo.toml");

    #[test]
    fn a_member_is_listed_as_the_others_and_nothing_else_changes() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let root = root.canonicalize().expect("there");
        let changed = with_member(MANIFEST, &root, &root.join("apps/hello-web")).expect("well formed");
        let changed = changed.expect("a member");
        assert!(changed.contains("\n    \"apps/hello-web\",\n]"), "{changed}");
        assert_eq!(changed.replace("    \"apps/hello-web\",\n", ""), MANIFEST);
        for outside in [root.join("course-work/hello-web"), "/elsewhere/hello-web".into()] {
            assert_eq!(with_member(MANIFEST, &root, &outside).expect("well formed"), None);
        }
    }

    #[test]
    fn a_package_outside_takes_nothing_from_the_workspace() {
        let mut files = files("hello-web");
        stand_alone(&mut files, MANIFEST, Path::new("/repository")).expect("all is known");
        let text = &files[0].text;
        assert!(!text.contains("workspace = true") && !text.contains(".workspace"), "{text}");
        for expected in [
            "edition = \"2024\"\n",
            "kernel-app = { path = \"/repository/kernel-app\" }",
            "simulator = { path = \"/repository/simulator\" }",
            "\n[workspace]\n",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
