//! All output of the tool. The result of a command goes to standard output, and a command that cannot write it fails.
//! Other messages go to standard error, and failing to write them stops nothing.
//!
//! A closed pipe ends the command as the system ends other programs (SIGPIPE). A full disk is an error.

use std::env;
use std::fmt::{self, Arguments};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGPIPE;
use signal_hook::low_level::emulate_default_handler;

use crate::tool::screen::screen;

/// Status of a program that has ended for a closed pipe, as shells tell it; where the signal does not end it.
const STATUS_CLOSED: u8 = 141;

/// Why standard error was not written to, for the first time.
static UNHEARD: OnceLock<ErrorKind> = OnceLock::new();

/// Standard output does not take what a command has to say.
#[derive(Debug)]
pub struct Unwritable(io::Error);

impl Unwritable {
    fn is_closed(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "standard output cannot be written: {}", self.0)
    }
}

impl std::error::Error for Unwritable {}

/// Prints a line, as `println!` does.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => { $crate::tool::output::print(&format!("{}\n", format_args!($($words)*))) };
}

/// Says a line on standard error, as `note!` does.
#[macro_export]
macro_rules! note {
    ($($words:tt)*) => { $crate::tool::output::tell(format_args!($($words)*)) };
}

/// Writes text to standard output, to its last byte.
///
/// # Errors
/// When its reader has gone, or its disk is full.
pub fn print(text: &str) -> Result<(), Unwritable> {
    print_bytes(text.as_bytes())
}

/// The same for what need not be text.
///
/// # Errors
/// As [`print`].
pub fn print_bytes(bytes: &[u8]) -> Result<(), Unwritable> {
    let mut output = io::stdout().lock();
    output.write_all(bytes).and_then(|()| output.flush()).map_err(Unwritable)
}

/// Says a line on standard error.
pub fn tell(words: Arguments<'_>) {
    // In one piece: other processes write there, too.
    let written = screen().suspend(|| io::stderr().write_all(format!("{words}\n").as_bytes()));
    if let Err(error) = written {
        UNHEARD.get_or_init(|| error.kind());
    }
}

/// Whether somebody still reads, for those who have nothing to write now.
///
/// # Errors
/// When the reader of standard output has gone.
pub fn check() -> Result<(), Unwritable> {
    let output = io::stdout();
    let mut polled = [PollFd::new(&output, PollFlags::empty())];
    let is_known = poll(&mut polled, Some(&Timespec::default())).is_ok();
    match is_known && polled[0].revents().contains(PollFlags::ERR) {
        true => Err(Unwritable(ErrorKind::BrokenPipe.into())),
        false => Ok(()),
    }
}

/// Whether this stream is a screen that a cursor can be moved on.
pub fn is_screen(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("TERM").is_some_and(|kind| !kind.is_empty() && kind != "dumb")
}

/// Whether what goes to this stream may have colours. `NO_COLOR` is honoured: <https://no-color.org>.
pub fn is_coloured(stream: &impl IsTerminal) -> bool {
    is_screen(stream) && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The status of a command that ended so; an error is said first.
pub fn status(outcome: Result<ExitCode>) -> ExitCode {
    let code = match outcome {
        Ok(code) => code,
        Err(error) => {
            if error.downcast_ref::<Unwritable>().is_some_and(Unwritable::is_closed) {
                return end_for_closed_pipe();
            }
            note!("error: {error:#}");
            ExitCode::FAILURE
        }
    };
    match UNHEARD.get() {
        Some(ErrorKind::BrokenPipe) if code == ExitCode::SUCCESS => end_for_closed_pipe(),
        Some(_) if code == ExitCode::SUCCESS => ExitCode::FAILURE,
        _ => code,
    }
}

/// The status of a command line that cannot be parsed, or that asked only for help.
pub fn status_of_usage(error: &clap::Error) -> ExitCode {
    let text = error.render();
    let shown = |coloured| if coloured { text.ansi().to_string() } else { text.to_string() };
    if error.use_stderr() {
        note!("{}", shown(is_coloured(&io::stderr())).trim_end());
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX));
    }
    let printed = print(&shown(is_coloured(&io::stdout())));
    status(printed.map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

/// Programs of this system end so that write to a pipe whose reader has gone.
fn end_for_closed_pipe() -> ExitCode {
    // It returns only when that does not work.
    let _ = emulate_default_handler(SIGPIPE);
    ExitCode::from(STATUS_CLOSED)
}
