//! The `console` blocks of a page: run in order, in one shell, and compared with what they say.
//!
//! A command follows `$ ` at the line's beginning, and is continued by lines that begin with `> ` or follow a `\`. What
//! follows is its output, compared as `output` describes. A command whose output is not shown must only succeed.
//!
//! A block of another language below a comment `<!-- file: PATH -->` is a file that the reader types: it is written
//! where the shell is at that moment.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};

use crate::book::markdown::{Block, Page};
use crate::book::output;
use crate::book::session::Session;

/// The language of blocks with commands.
const CONSOLE: &str = "console";
/// How long a command may take: some build an image first.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);
/// How long a page may take.
const PAGE_LIMIT: Duration = Duration::from_secs(1_200);
/// How long a command in the background may take until it has printed what it should.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(120);
/// What ends those.
const END_OF_BACKGROUND: &str = "cargo down";
/// Lines of output that a fault shows.
const SHOWN_LINES: usize = 40;

/// What ends a file's text on its way to the shell.
const END_OF_FILE: &str = "=end-of-the-file=";

/// How a block is checked.
#[derive(Debug, PartialEq, Eq)]
enum Mode {
    Run,
    Skip,
    Background,
}

/// A command of a block.
#[derive(Debug, PartialEq, Eq)]
struct Step<'a> {
    command: String,
    /// Line in the file, from 1.
    line: usize,
    expected: Vec<&'a str>,
    /// Line in the file of the first expected one.
    expected_line: usize,
}

/// Runs the blocks of a page, and returns what did not come as it says.
///
/// # Errors
/// When there is no shell.
pub fn check(root: &Path, page: &Page, variables: &[(&str, &Path)]) -> Result<Vec<String>> {
    let is_meant = |block: &&Block| block.language == CONSOLE || file(block).is_some();
    let blocks: Vec<&Block> = page.blocks.iter().filter(is_meant).collect();
    if !blocks.iter().any(|block| block.language == CONSOLE) {
        return Ok(Vec::new());
    }
    let session = Session::start(root, variables)?;
    let mut run = Run { root, page, session, background: None, faults: Vec::new(), begun: Instant::now() };
    for block in blocks {
        if let Err(error) = run.block(block) {
            // What follows would be judged by what is missing.
            run.faults.push(format!("{}:{}: {error:#}", page.path, block.line));
            break;
        }
    }
    Ok(run.end())
}

/// A page that is being checked.
struct Run<'a> {
    root: &'a Path,
    page: &'a Page,
    session: Session,
    background: Option<Session>,
    faults: Vec<String>,
    begun: Instant,
}

impl Run<'_> {
    fn block(&mut self, block: &Block) -> Result<()> {
        if let Some(path) = file(block) {
            return self.write(path, &block.text);
        }
        let mode = mode(block)?;
        for step in steps(block)? {
            match mode {
                Mode::Skip => {}
                Mode::Background => self.begin(&step)?,
                Mode::Run => self.step(&step)?,
            }
        }
        Ok(())
    }

    /// Writes a file as the reader does, in the directory that the commands before have led to.
    fn write(&mut self, path: &str, text: &str) -> Result<()> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        ensure!(
            path.chars().all(is_plain) && !path.starts_with('/') && !path.contains(".."),
            "`file: {path}` is not a plain path inside of the folder"
        );
        let command = format!("cat > {path} <<'{END_OF_FILE}'\n{text}{END_OF_FILE}");
        let done = self.session.run(&command, COMMAND_LIMIT)?;
        ensure!(done.status == 0, "{path} cannot be written: {}", done.lines.join(" "));
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        if step.command.starts_with(END_OF_BACKGROUND) {
            self.background = None;
        }
        let left = PAGE_LIMIT.saturating_sub(self.begun.elapsed());
        let done = self.session.run(&step.command, COMMAND_LIMIT.min(left))?;
        if step.expected.is_empty() {
            if done.status != 0 {
                self.tell(step, 0, &done.lines, &format!("failed with status {}", done.status));
            }
            return Ok(());
        }
        if let Some(line) = mismatch(step, &done.lines) {
            self.tell(step, line, &done.lines, "printed something else");
        }
        Ok(())
    }

    fn begin(&mut self, step: &Step) -> Result<()> {
        let mut session = Session::start(self.root, &[])?;
        let is_enough = |lines: &[String]| step.expected.is_empty() || mismatch(step, lines).is_none();
        if let Err(lines) = session.run_until(&step.command, BACKGROUND_LIMIT, is_enough) {
            let line = mismatch(step, &lines).unwrap_or_default();
            self.tell(step, line, &lines, "has not printed what is expected");
        }
        self.background = Some(session);
        Ok(())
    }

    fn tell(&mut self, step: &Step, line: usize, lines: &[String], what: &str) {
        let place = if step.expected.is_empty() { step.line } else { step.expected_line + line };
        let expected = step.expected.get(line).copied().unwrap_or("(no more lines)");
        let from = lines.len().saturating_sub(SHOWN_LINES);
        let came: String = lines[from..].iter().map(|line| format!("    | {line}\n")).collect();
        self.faults.push(format!(
            "{}:{place}: `{}` {what}\n  expected: {expected}\n  came:\n{came}",
            self.page.path, step.command
        ));
    }

    /// Leaves nothing running that the page has started.
    fn end(mut self) -> Vec<String> {
        self.background = None;
        let has_up = |block: &Block| block.language == CONSOLE && block.text.contains("cargo up");
        if !self.faults.is_empty() && self.page.blocks.iter().any(has_up) {
            let ended =
                Session::start(self.root, &[]).and_then(|mut shell| shell.run("cargo down", COMMAND_LIMIT));
            if let Err(error) = ended {
                self.faults.push(format!("{}: {error:#}", self.page.path));
            }
        }
        self.faults
    }
}

fn mismatch(step: &Step, lines: &[String]) -> Option<usize> {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    output::mismatch(&step.expected, &lines)
}

/// The path of the file that a block is.
fn file(block: &Block) -> Option<&str> {
    Some(block.comment.as_deref()?.strip_prefix("file:")?.trim())
}

fn mode(block: &Block) -> Result<Mode> {
    let Some(words) = block.comment.as_deref().and_then(|comment| comment.strip_prefix("check:")) else {
        return Ok(Mode::Run);
    };
    match words.trim().split_once(',').unwrap_or((words.trim(), "")) {
        ("background", "") => Ok(Mode::Background),
        ("skip", reason) if !reason.trim().is_empty() => Ok(Mode::Skip),
        _ => bail!("`check: {}` is neither `skip, REASON` nor `background`", words.trim()),
    }
}

/// The commands of a block.
fn steps(block: &Block) -> Result<Vec<Step<'_>>> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        // The fence is the line before the first.
        let at = block.line + 1 + number;
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                line: at,
                expected: Vec::new(),
                expected_line: at + 1,
            });
            continue;
        }
        let step =
            steps.last_mut().ok_or_else(|| anyhow!("line {at} comes before the first `$ `: {line}"))?;
        let is_continued =
            step.expected.is_empty() && (line.starts_with("> ") || step.command.ends_with('\\'));
        if is_continued {
            step.command.push('\n');
            step.command.push_str(line.strip_prefix("> ").unwrap_or(line));
            step.expected_line = at + 1;
        } else {
            step.expected.push(line);
        }
    }
    // A blank line at the end is between two commands.
    for step in &mut steps {
        while step.expected.last().is_some_and(|line| line.trim().is_empty()) {
            step.expected.pop();
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let page = Page::parse("docs/a.md", text.to_owned());
        check(Path::new("/"), &page, &[]).expect("a shell")
    }

    #[test]
    fn a_page_that_tells_the_truth_has_no_faults() {
        let text = "```console\n$ a=5; echo \"is $a\"\nis 7\n$ echo one; echo two\n...\ntwo\n```\n\n\
                    ```console\n$ echo $a \\\n  more\n5 more\n$ cat <<X\n> text\n> X\ntext\n```\n\n\
                    <!-- check: skip, it needs root -->\n```console\n$ reboot\n```\n";
        assert_eq!(faults(text), [""; 0]);
    }

    #[test]
    fn a_fault_names_file_line_and_what_came() {
        let faults = faults("# A\n\n```console\n$ echo one; echo three\none\ntwo\n$ (exit 3)\n```\n");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[0].starts_with("docs/a.md:6: `echo one; echo three` printed something else"),
            "{}",
            faults[0]
        );
        assert!(faults[0].contains("expected: two") && faults[0].contains("| three"), "{}", faults[0]);
        assert!(faults[1].starts_with("docs/a.md:7: `(exit 3)` failed with status 3"), "{}", faults[1]);
    }

    #[test]
    fn a_command_in_the_background_ends_with_the_page_or_before() {
        let text = "<!-- check: background -->\n```console\n$ echo up; tail -f /dev/null\nup\n```\n\n\
                    ```console\n$ echo beside\nbeside\n```\n";
        assert_eq!(faults(text), [""; 0]);
    }

    #[test]
    fn a_file_is_written_where_the_shell_is() {
        let text = "```console\n$ cd \"$(mktemp -d)\"\n```\n\n<!-- file: a.toml -->\n```toml\n[a]\n\nb = '$c'\n```\n\n\
                    ```console\n$ cat a.toml; cd /; rm -r \"$OLDPWD\"\n[a]\nb = '$c'\n```\n";
        assert_eq!(faults(text), [""; 0]);
        let faults = faults(&text.replace("a.toml -->", "../a.toml -->"));
        assert!(faults[0].contains("is not a plain path"), "{faults:?}");
    }

    #[test]
    fn an_unknown_mode_is_a_fault() {
        let faults = faults("<!-- check: skip -->\n```console\n$ ls\n```\n");
        assert!(faults[0].contains("neither `skip, REASON` nor `background`"), "{faults:?}");
    }
}
