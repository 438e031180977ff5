//! The files of a new service: those of the package `image-build/templates/service`, which is built and tested as it
//! is, with another name in them.

/// Name of the template's package.
const NAME: &str = "service-template";

/// A file of a new service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path in its folder.
    pub path: &'static str,
    /// What is in it.
    pub text: String,
}

macro_rules! of_template {
    ($($path:literal),*) => { [$(($path, include_str!(concat!("../../templates/service/", $path)))),*] };
}

const FILES: [(&str, &str); 4] = of_template!("Cargo.toml", "src/lib.rs", "src/main.rs", "src/tests.rs");

/// The files of a service of this name.
pub fn files(name: &str) -> Vec<File> {
    let ident = |name: &str| name.replace('-', "_");
    let named = |text: &str| text.replace(NAME, name).replace(&ident(NAME), &ident(name));
    FILES.map(|(path, text)| File { path, text: named(text) }).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_template_s_name_is_left() {
        for File { path, text } in files("hello-web") {
            assert!(!text.contains(NAME) && !text.contains(&NAME.replace('-', "_")), "{path}: {text}");
        }
        let main = &files("hello-web")[2].text;
        assert!(main.contains("program!(\"hello-web\", hello_web::program)"), "{main}");
    }
}
