//! A new service's entry in the description of an application. Comments and order of what is there stay.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value, value};

/// The port of the service in its machine, and the first that is tried on the host.
const PORT: u16 = 8090;

/// The description at `path` with a service that is built from `folder`, and the port at which it is published.
///
/// # Errors
/// When what is there is no description, or has a service of this name.
pub fn with_service(text: Option<&str>, path: &Path, folder: &Path, name: &str) -> Result<(String, u16)> {
    let shown = path.display();
    let new = || {
        format!(
            "# Boot it with `cargo up --file`; docs/operating.md describes the keys.\n\nname = \"{}\"\n",
            title(path)
        )
    };
    let mut document: DocumentMut = text
        .map_or_else(new, str::to_owned)
        .parse()
        .with_context(|| format!("{shown} is not well formed: mend it first"))?;
    let mut all = Table::new();
    all.set_implicit(true);
    let services = document.entry("services").or_insert(Item::Table(all));
    let services = services.as_table_mut().with_context(|| format!("{shown}: `services` is no table"))?;
    ensure!(!services.contains_key(name), "{shown} has a service {name} already: give another name");
    let port = free_port(services)?;
    services.insert(name, Item::Table(service(name, &build(path, folder), port)));
    Ok((document.to_string(), port))
}

/// The name of an application, from the name of its file.
fn title(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    stem.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect()
}

fn service(name: &str, build: &str, port: u16) -> Table {
    let mut service = Table::new();
    service.decor_mut().set_prefix(format!("\n# The page of {name}: http://127.0.0.1:{port}\n"));
    service.insert("build", value(build));
    service.insert("memory", value("32MiB"));
    service.insert("ports", value(Array::from_iter([format!("{port}:{PORT}")])));
    service.insert("health", value(InlineTable::from_iter([("port", i64::from(PORT))])));
    service.insert("restart", value("on-failure"));
    service.insert("environment", value(InlineTable::from_iter([("GREETING", "Hello")])));
    service
}

/// The first port that no service publishes.
fn free_port(services: &Table) -> Result<u16> {
    let ports = services.iter().filter_map(|(_, service)| service.get("ports")?.as_array());
    let published = ports.flatten().filter_map(Value::as_str);
    let host = |mapping: &str| mapping.rsplit(':').nth(1)?.parse::<u16>().ok();
    let taken: Vec<u16> = published.filter_map(host).collect();
    (PORT..u16::MAX).find(|port| !taken.contains(port)).context("all ports are taken")
}

/// The folder as seen from the description's.
fn build(description: &Path, folder: &Path) -> String {
    let from: Vec<Component<'_>> = description.parent().into_iter().flat_map(Path::components).collect();
    let to: Vec<Component<'_>> = folder.components().collect();
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from[common..].iter().map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to[common..].iter().copied()).collect();
    if common == from.len() { format!("./{}", path.display()) } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Mine.\nname = \"shop\" # for people\n\n[volumes]\n\n# First.\n[services.web]\nports = [\"8090:80\"]\n\n[services.web.environment]\nA = \"b\"\n\n# The end.\n[networks]\n";

    fn add(text: Option<&str>, name: &str) -> Result<(String, u16)> {
        with_service(text, Path::new("/apps/shop.toml"), Path::new("/apps/new/hello"), name)
    }

    #[test]
    fn an_entry_follows_the_others_and_nothing_else_changes() {
        let (text, port) = add(Some(TEXT), "hello").expect("room for it");
        assert_eq!(port, 8091);
        let entry = "# The page of hello: http://127.0.0.1:8091\n[services.hello]\nbuild = \"./new/hello\"\nmemory = \"32MiB\"\nports = [\"8091:8090\"]\nhealth = { port = 8090 }\nrestart = \"on-failure\"\nenvironment = { GREETING = \"Hello\" }\n\n";
        assert!(text.contains(entry), "{text}");
        assert_eq!(text.replace(entry, ""), TEXT);
    }

    #[test]
    fn a_description_that_is_missing_is_made() {
        let (text, port) = add(None, "hello").expect("room for it");
        assert_eq!(port, 8090);
        assert!(text.contains("\nname = \"shop\"\n\n# The page of hello"), "{text}");
    }

    #[test]
    fn what_is_no_description_or_has_the_name_is_left_alone() {
        let refusal = |text| add(Some(text), "web").expect_err(text).to_string();
        assert!(refusal(TEXT).contains("has a service web already"));
        assert!(refusal("name = ").contains("is not well formed"));
        assert!(refusal("services = 1").contains("`services` is no table"));
    }

    #[test]
    fn folders_are_named_as_seen_from_the_file() {
        assert_eq!(build(Path::new("/a/b/c.toml"), Path::new("/a/d/e")), "../d/e");
        assert_eq!(build(Path::new("/a/c.toml"), Path::new("/a/d")), "./d");
    }
}
