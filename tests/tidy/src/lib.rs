//! The project's rules of style, as a test: `cargo test -p tidy` takes a few seconds and names file, line and rule.
//!
//! Each rule is a function from the sources to its breaches, with a test that plants one of each kind. Formatting is
//! rustfmt's, and what clippy knows is clippy's.
#![forbid(unsafe_code)]
#![cfg(not(target_os = "hermit"))]

mod arrows;
mod breach;
mod layout;
mod links;
mod modules;
mod public;
mod sources;
mod words;

pub use breach::Breach;
pub use sources::{Source, of_repository};

/// All breaches of all rules.
pub fn breaches(sources: &[Source]) -> Vec<Breach> {
    let rules = [
        layout::module_docs,
        layout::line_length,
        layout::file_length,
        words::retired,
        public::unused,
        arrows::between_folders,
        arrows::circles,
        links::broken,
    ];
    let mut breaches: Vec<Breach> = rules.iter().flat_map(|rule| rule(sources)).collect();
    breaches.sort();
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let sources = of_repository().expect("the files of the repository");
        let breaches: Vec<String> = breaches(&sources).iter().map(Breach::to_string).collect();
        assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
    }
}
