//! The modules of a crate, and which of them uses which: read from `use` declarations and paths, tests left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::sources::Source;

/// Steps of re-exports that are followed for one name.
const STEPS_MAX: usize = 8;

/// A crate's files by the paths of their modules; `[]` is `lib.rs`.
pub struct Crate {
    /// Path of its `src`, from the repository's root.
    pub root: String,
    files: BTreeMap<Vec<String>, Module>,
}

struct Module {
    path: String,
    uses: Vec<Vec<String>>,
    /// Names that it hands on, and what they are.
    exports: HashMap<String, Vec<String>>,
}

impl Crate {
    /// All crates among the sources that have a `lib.rs`.
    pub fn all(sources: &[Source]) -> Vec<Self> {
        let roots = sources.iter().filter_map(|source| source.path.strip_suffix("/lib.rs"));
        roots.map(|root| Self::read(root, sources)).collect()
    }

    fn read(root: &str, sources: &[Source]) -> Self {
        let mut parsed = Vec::new();
        for source in sources.iter().filter(|source| source.is_rust()) {
            let Some(inside) = source.path.strip_prefix(root).and_then(|path| path.strip_prefix('/')) else {
                continue;
            };
            let is_test = Source { path: inside.to_owned(), text: String::new() }.is_test();
            if is_test || inside == "main.rs" || inside.starts_with("bin/") {
                continue;
            }
            if let Ok(file) = syn::parse_file(&source.text) {
                parsed.push((module_of(inside), source.path.clone(), file));
            }
        }
        let files = parsed.into_iter().map(|(module, path, file)| {
            let mut reader = Reader::new(&module, &file);
            reader.visit_file(&file);
            (module, reader.module_at(path))
        });
        Self { root: root.to_owned(), files: files.collect() }
    }

    /// For each file, the files that it uses; by their paths.
    pub fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for module in self.files.values() {
            let used = module.uses.iter().filter_map(|path| self.file_of(path, STEPS_MAX));
            let others = used.filter(|path| *path != module.path);
            arrows.entry(&module.path).or_default().extend(others);
        }
        arrows
    }

    /// The file that holds what a path from the crate's root means.
    fn file_of(&self, path: &[String], steps: usize) -> Option<&str> {
        let (length, module) =
            (0..=path.len()).rev().find_map(|length| Some((length, self.files.get(&path[..length])?)))?;
        let export = path.get(length).and_then(|name| module.exports.get(name));
        match export {
            Some(export) if steps > 0 => {
                let full: Vec<String> = export.iter().chain(&path[length + 1..]).cloned().collect();
                self.file_of(&full, steps - 1)
            }
            _ => Some(&module.path),
        }
    }
}

/// The module that a file is, by its path inside of `src`.
fn module_of(inside: &str) -> Vec<String> {
    let path = inside.strip_suffix(".rs").unwrap_or(inside);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

struct Reader {
    module: Vec<String>,
    /// Modules of the file's own, in files of theirs.
    children: BTreeSet<String>,
    uses: Vec<Vec<String>>,
    exports: HashMap<String, Vec<String>>,
    /// What the file's paths begin with.
    names: BTreeSet<String>,
}

impl Reader {
    fn new(module: &[String], file: &File) -> Self {
        let child = |item: &Item| match item {
            Item::Mod(item) if item.content.is_none() => Some(item.ident.to_string()),
            _ => None,
        };
        Self {
            module: module.to_vec(),
            children: file.items.iter().filter_map(child).collect(),
            uses: Vec::new(),
            exports: HashMap::new(),
            names: BTreeSet::new(),
        }
    }

    /// What was read; a name that is handed on counts as used where the file itself names it as well.
    fn module_at(self, path: String) -> Module {
        let Self { mut uses, exports, names, .. } = self;
        uses.extend(exports.iter().filter(|(name, _)| names.contains(*name)).map(|(_, used)| used.clone()));
        Module { path, uses, exports }
    }

    /// A path as written, from the crate's root; none when it leads out of the crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&self.module, rest].concat()),
            "super" => {
                let ups = 1 + rest.iter().take_while(|segment| *segment == "super").count();
                let kept = self.module.len().checked_sub(ups)?;
                Some([&self.module[..kept], &path[ups..]].concat())
            }
            name if self.children.contains(name) => Some([&self.module, path].concat()),
            _ => None,
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    };
    attributes.iter().any(is_test)
}

/// The paths of a `use`, each with the name that it gets.
fn flatten(tree: &UseTree, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let with = |name: String| [before, &[name]].concat();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(path.ident.to_string()), found),
        UseTree::Name(name) if name.ident == "self" => {
            found.push((before.to_vec(), before.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => found.push((with(name.ident.to_string()), name.ident.to_string())),
        UseTree::Rename(rename) => found.push((with(rename.ident.to_string()), rename.rename.to_string())),
        UseTree::Glob(_) => found.push((before.to_vec(), String::new())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut found = Vec::new();
        flatten(&item.tree, &[], &mut found);
        for (path, name) in found {
            let Some(path) = self.absolute(&path) else { continue };
            match item.vis {
                // Handed on; used as well if the file names it.
                Visibility::Public(_) | Visibility::Restricted(_) => drop(self.exports.insert(name, path)),
                _ => self.uses.push(path),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.uses.extend(self.absolute(&segments));
        }
        self.names.extend(segments.into_iter().next());
        visit::visit_path(self, path);
    }
}
