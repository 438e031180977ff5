//! Arrows point one way: no file uses one that uses it, by whatever way round, and no folder either.

use std::collections::{BTreeMap, BTreeSet};

use crate::breach::Breach;
use crate::modules::Crate;
use crate::sources::Source;

/// Crates whose files are not yet free of circles. This list only becomes shorter.
const NOT_YET: [&str; 0] = [];

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Files of a crate that use each other in a circle.
pub fn circles(sources: &[Source]) -> Vec<Breach> {
    let of_crate = |known: &Crate| -> Vec<Breach> {
        let mut arrows = Arrows::new();
        for (from, to) in known.arrows() {
            arrows.insert(from.to_owned(), to.into_iter().map(str::to_owned).collect());
        }
        strongly_connected(&arrows).iter().map(|circle| breach(circle, &arrows, "files")).collect()
    };
    checked(sources).iter().flat_map(of_crate).collect()
}

/// Files and folders of one folder that use each other in a circle: what is in a folder counts as the folder.
pub fn between_folders(sources: &[Source]) -> Vec<Breach> {
    let of_crate = |known: &Crate| -> Vec<Breach> {
        let arrows = known.arrows();
        let mut folders: BTreeMap<String, Arrows> = BTreeMap::new();
        for (from, tos) in &arrows {
            for to in tos {
                let (folder, from, to) = at_the_fork(from, to);
                folders.entry(folder).or_default().entry(from).or_default().insert(to);
            }
        }
        // Circles of files alone are told as such.
        let is_of_folders = |circle: &BTreeSet<String>| circle.iter().any(|name| !name.ends_with(".rs"));
        let of_folder = |arrows: &Arrows| -> Vec<Breach> {
            let circles = strongly_connected(arrows).into_iter().filter(is_of_folders);
            circles.map(|circle| breach(&circle, arrows, "folders")).collect()
        };
        folders.values().flat_map(of_folder).collect()
    };
    checked(sources).iter().flat_map(of_crate).collect()
}

fn checked(sources: &[Source]) -> Vec<Crate> {
    Crate::all(sources).into_iter().filter(|known| !NOT_YET.contains(&known.root.as_str())).collect()
}

/// The folder that two paths have in common, and what in it leads to each.
fn at_the_fork(one: &str, other: &str) -> (String, String, String) {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.split('/').collect(), other.split('/').collect());
    let common = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let upto = |path: &[&str]| path[..=common.min(path.len() - 1)].join("/");
    (one[..common].join("/"), upto(&one), upto(&other))
}

fn breach(circle: &BTreeSet<String>, arrows: &Arrows, what: &str) -> Breach {
    let inside = |name: &String| {
        let to = arrows.get(name).map(|to| to.intersection(circle).cloned().collect::<Vec<_>>());
        format!("\n    {name} -> {}", to.unwrap_or_default().join(", "))
    };
    let text: String = circle.iter().map(inside).collect();
    let path = circle.first().cloned().unwrap_or_default();
    Breach { path, line: 0, text: format!("{what} use each other in a circle: turn an arrow round{text}") }
}

/// Sets of nodes of which each reaches each other one, of two and more.
fn strongly_connected(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        arrows.keys().map(|name| (name, reached_from(name, arrows))).collect();
    let mut circles = BTreeSet::new();
    for (name, others) in &reached {
        let mutual =
            others.iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(name)));
        let circle: BTreeSet<String> = mutual.map(|other| (*other).clone()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reached_from<'a>(name: &'a String, arrows: &'a Arrows) -> BTreeSet<&'a String> {
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![name]);
    while let Some(next) = ahead.pop() {
        ahead.extend(arrows.get(next).into_iter().flatten().filter(|other| reached.insert(*other)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::source;

    fn tree(files: &[(&str, &str)]) -> Vec<Source> {
        files.iter().map(|(path, text)| source(&format!("a/src/{path}"), text)).collect()
    }

    #[test]
    fn files_that_use_each_other_are_found() {
        let sources = tree(&[
            ("lib.rs", "mod x; mod y; mod z;"),
            ("x.rs", "use crate::y::Y; fn f() { crate::z::g() }"),
            ("y.rs", "pub struct Y;"),
            ("z.rs", "use super::x; pub fn g() {}"),
        ]);
        let found = circles(&sources);
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("a/src/x.rs -> a/src/z.rs"), "{}", found[0]);
        assert!(!found[0].text.contains("y.rs"), "{}", found[0]);
    }

    #[test]
    fn what_is_handed_on_counts_as_where_it_is() {
        let sources = tree(&[
            ("lib.rs", "mod a; pub use a::one::One;"),
            ("a/mod.rs", "mod one; mod two; pub use one::One;"),
            ("a/one.rs", "pub struct One;"),
            ("a/two.rs", "use crate::One; use super::One as Same; #[cfg(test)] mod tests { use crate::a; }"),
        ]);
        assert_eq!(circles(&sources), []);
        let mut worse = sources;
        worse[2].text += "use super::two;";
        assert_eq!(circles(&worse).len(), 1);
    }

    #[test]
    fn what_is_handed_on_is_also_used_where_its_file_names_it() {
        let mut sources = tree(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod one; pub use one::One as Same; pub struct Two;"),
            ("a/one.rs", "use super::Two; pub struct One(Two);"),
        ]);
        assert_eq!(circles(&sources), []);
        for used in
            ["fn f(_: Same) {}", "fn f() { Same::new() }", "impl Two { fn f() -> Option<Same> { None } }"]
        {
            sources[1].text = format!("mod one; pub use one::One as Same; pub struct Two; {used}");
            assert_eq!(circles(&sources).len(), 1, "{used}");
        }
    }

    #[test]
    fn folders_that_use_each_other_are_found_though_their_files_do_not() {
        let sources = tree(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod one; mod two;"),
            ("a/one.rs", "use crate::b::three;"),
            ("a/two.rs", ""),
            ("b/mod.rs", "mod three; mod four;"),
            ("b/three.rs", ""),
            ("b/four.rs", "use crate::a::two;"),
        ]);
        assert_eq!(circles(&sources), []);
        let found = between_folders(&sources);
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("a/src/a -> a/src/b"), "{}", found[0]);
    }
}
