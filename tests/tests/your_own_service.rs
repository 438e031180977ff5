//! The guide `docs/your-own-service.md`, followed command by command in a copy of the repository; and its second
//! service, which is an example of this workspace.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use image_build::tool::packages::table::QEMU;
use image_build::tool::workspace::Workspace;
use tempfile::TempDir;
use tests::command::{cargo, free_port, run};
use tests::programs::program;
use tests::running::linux_programs;

const GUIDE: &str = include_str!("../../docs/your-own-service.md");
/// The application of the guide.
const DESCRIPTION: &str = "hello.toml";

/// What the guide has the reader do.
enum Step<'a> {
    /// Run these commands, whose output is this.
    Run(Vec<(&'a str, Vec<&'a str>)>),
    /// Write this file.
    Write(&'a str, &'a str),
}

/// The guide's blocks, in their order.
fn steps() -> Vec<Step<'static>> {
    let mut steps = Vec::new();
    let mut parts = GUIDE.split("\n```");
    let mut before = parts.next().unwrap_or_default();
    while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
        let (kind, text) = block.split_once('\n').expect("a block has a kind");
        let last = before.lines().next_back().unwrap_or_default();
        let file = last.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->"));
        steps.push(match (kind, file) {
            ("console", None) => Step::Run(commands(text)),
            (_, Some(path)) => Step::Write(path, text),
            (kind, None) => panic!("nothing says what the {kind} block is for: {text}"),
        });
        before = after;
    }
    steps
}

fn commands(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, Vec::new())),
            (None, Some((_, output))) => output.extend(Some(line).filter(|line| *line != "...")),
            (None, None) => panic!("{line} is the output of no command"),
        }
    }
    commands
}

#[test]
fn the_second_service_of_the_guide_is_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/greeting-page/src");
    let names = [("greeting-page", "hello-page"), ("service-template", "hello-web")];
    let named = |text: String| {
        names.iter().fold(text, |text, (from, to)| {
            text.replace(from, to).replace(&from.replace('-', "_"), &to.replace('-', "_"))
        })
    };
    let mut compared = 0;
    for step in steps() {
        if let Step::Write(path, text) = step
            && let Some(file) = path.strip_prefix("hello-page/src/")
        {
            let example = named(fs::read_to_string(root.join(file)).expect(file));
            assert_eq!(example, format!("{text}\n"), "{path} differs from the example");
            compared += 1;
        }
    }
    assert_eq!(compared, 2);
}

#[test]
fn the_guide_works_command_by_command() {
    program(QEMU.program);
    let clone = Clone::new();
    for step in steps() {
        match step {
            Step::Run(commands) => clone.run(&commands),
            Step::Write(path, text) => {
                fs::write(clone.root.join(path), format!("{text}\n")).expect("room");
                clone.move_ports();
            }
        }
    }
}

/// A copy of the repository, in which a reader works.
struct Clone {
    /// Outside of this repository: cargo would join the settings of both.
    _folder: TempDir,
    root: PathBuf,
    target: PathBuf,
    /// Of the guide's ports, those that are taken in their places.
    ports: BTreeMap<&'static str, u16>,
    /// Where `cargo` is a program that has the tool's commands at hand.
    programs: PathBuf,
}

impl Clone {
    /// The files that git knows of or would take. What is compiled goes to this workspace's target directory.
    fn new() -> Self {
        let workspace = Workspace::find().expect("this is a workspace");
        let folder = tempfile::tempdir().expect("a folder");
        let (root, programs) = (folder.path().join("repository"), folder.path().join("programs"));
        for folder in [&root, &programs] {
            fs::create_dir_all(folder).expect("room");
        }
        let mut git = Command::new("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&workspace.root);
        let listed = run(&mut git).stdout;
        let files = listed.lines().filter(|path| workspace.root.join(path).is_file());
        let mut copy = Command::new("cp");
        copy.args(["--preserve=timestamps", "--parents", "--target-directory"]).arg(&root).args(files);
        let copied = run(copy.current_dir(&workspace.root));
        assert!(copied.success, "{}", copied.stderr);
        let ports = ["8090", "8091", "8092"].map(|port| (port, free_port())).into();
        let clone = Self { _folder: folder, root, target: workspace.target, ports, programs };
        clone.write_cargo();
        clone
    }

    /// A cargo that runs the tool as this workspace has built it, about the copy.
    fn write_cargo(&self) {
        let tools = linux_programs(&["image-build", "cluster"]);
        let [image, cluster] = [&tools[0], &tools[1]].map(|path| path.display());
        let (root, cargo) = (self.root.display(), cargo(&[]).get_program().to_string_lossy().into_owned());
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in\nimage) shift; CARGO_MANIFEST_DIR='{root}/image-build' exec '{image}' \"$@\";;\n\
             up|down|logs) CARGO_MANIFEST_DIR='{root}/cluster' exec '{cluster}' \"$@\";;\n\
             *) exec '{cargo}' \"$@\";;\nesac\n"
        );
        let path = self.programs.join("cargo");
        fs::write(&path, script).expect("room");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
    }

    /// Runs the commands of one block in one shell, and looks for what each is to print.
    fn run(&self, commands: &[(&str, Vec<&str>)]) {
        let mark = "--- the next command";
        let lines = commands.iter().map(|(command, _)| format!("{}\necho '{mark}'\n", self.moved(command)));
        let mut shell = self.shell();
        // A block that fails leaves nothing running.
        let script = format!("trap 'jobs -p | xargs -r kill' EXIT\n{}", lines.collect::<String>());
        let ran = run(shell.args(["-e", "-c", &script]));
        assert!(ran.success, "{:?}\n{}\n{}", commands, ran.stdout, ran.stderr);
        self.move_ports();
        for ((command, expected), printed) in commands.iter().zip(ran.stdout.split(mark)) {
            for line in expected {
                let line = self.moved(line);
                assert!(
                    printed.contains(&line),
                    "{command}: {line:?} is missing in\n{printed}\n{}",
                    ran.stderr
                );
            }
        }
    }

    fn shell(&self) -> Command {
        let mut shell = Command::new("bash");
        let path = std::env::var("PATH").unwrap_or_default();
        shell.current_dir(&self.root).env("PATH", format!("{}:{path}", self.programs.display()));
        shell.env("CARGO_TARGET_DIR", &self.target).env("VOTING_APP_PROJECT", "guide").env_remove("CARGO");
        shell
    }

    /// The text with ports that nobody has.
    fn moved(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, &to.to_string()))
    }

    /// The same for what the description publishes on the host.
    fn move_ports(&self) {
        let path = self.root.join(DESCRIPTION);
        let Ok(text) = fs::read_to_string(&path) else { return };
        let moved = self
            .ports
            .iter()
            .fold(text, |text, (from, to)| text.replace(&format!("\"{from}:"), &format!("\"{to}:")));
        fs::write(&path, moved).expect("room");
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        run(self.shell().args(["-c", "cargo down"]));
    }
}
