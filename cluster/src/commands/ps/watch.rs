//! `cargo ps --watch`: refreshes the table in place on a terminal, and prints tables one below the other elsewhere.
//! It changes only terminal settings, and restores them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::commands::ps::look::{look, with_rates};
use crate::commands::ps::{shares, table};
use crate::state::run_dir::RunDir;
use crate::terminal::style::Style;
use image_build::tool::output;

/// Time between two tables.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait before it is looked whether the user has had enough.
const POLL: Duration = Duration::from_millis(100);
/// The key that ends it, as Ctrl-C does.
const QUIT: u8 = b'q';

/// Shows tables until the user has had enough; elsewhere than on a terminal, until nothing runs.
///
/// # Errors
/// When the state file cannot be read.
pub fn watch(run_dir: &RunDir) -> Result<()> {
    let is_over = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&is_over)).context("signals cannot be caught")?;
    }
    let is_screen = output::is_screen(&io::stdout());
    let keyboard = Keyboard::of_terminal();
    let mut before = look(run_dir)?;
    let mut shown_lines = 0;
    while !is_over.load(Ordering::Relaxed) && !wait(keyboard.as_ref(), &is_over) {
        let now = look(run_dir)?;
        let is_empty = now.is_empty();
        let text = table::table(&with_rates(&before, now.clone()), Style::of_output());
        let text = text + &shares::lines(&shares::reports(run_dir));
        let text = if is_screen { on_screen(&text, shown_lines) } else { text + "\n" };
        shown_lines = text.lines().count();
        output::print(&text)?;
        if is_empty && !is_screen {
            break;
        }
        before = now;
    }
    Ok(())
}

/// The text in place of the lines that were shown before, each cut at the screen's edge: a line that wraps would be
/// two.
fn on_screen(text: &str, shown_lines: usize) -> String {
    let columns = tcgetwinsize(io::stdout()).map_or(usize::MAX, |size| usize::from(size.ws_col));
    let up = if shown_lines > 0 { format!("\u{1b}[{shown_lines}A") } else { String::new() };
    // To the left edge, and everything below is cleared.
    let lines = text.lines().map(|line| cut(line, columns) + "\n");
    format!("{up}\r\u{1b}[J{}", lines.collect::<String>())
}

/// A line's first columns; control sequences take none (ECMA-48, 5.4).
fn cut(line: &str, columns: usize) -> String {
    let mut text = String::new();
    let (mut taken, mut in_sequence) = (0, false);
    for c in line.chars() {
        let is_sequence = in_sequence || c == '\u{1b}';
        if is_sequence || taken < columns {
            text.push(c);
        }
        taken += usize::from(!is_sequence);
        in_sequence = is_sequence && !c.is_ascii_alphabetic();
    }
    text
}

/// Waits until the next table is due; says whether the user has had enough.
fn wait(keyboard: Option<&Keyboard>, is_over: &AtomicBool) -> bool {
    let end = Instant::now() + INTERVAL;
    while !is_over.load(Ordering::Relaxed) {
        // It is written to anyway, and then says why it cannot be.
        if output::check().is_err() {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now()).min(POLL);
        if left.is_zero() {
            return false;
        }
        match keyboard {
            Some(keyboard) if keyboard.has_quit(left) => return true,
            Some(_) => {}
            None => thread::sleep(left),
        }
    }
    true
}

/// A terminal's keyboard, of which keys are read one by one; dropped, it is as it was.
struct Keyboard {
    before: Termios,
}

impl Keyboard {
    /// None when the input is no terminal.
    fn of_terminal() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut single = before.clone();
        single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &single).ok()?;
        Some(Self { before })
    }

    /// Whether the key to quit is pressed within this time. Other keys end the wait.
    fn has_quit(&self, timeout: Duration) -> bool {
        let Ok(timeout) = Timespec::try_from(timeout) else { return false };
        let stdin = io::stdin();
        let ready =
            poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&timeout)).is_ok_and(|ready| ready > 0);
        let mut key = [0];
        ready && rustix::io::read(&stdin, &mut key).is_ok_and(|length| length == 0 || key[0] == QUIT)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // It fails when the terminal has gone, and then nobody types any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_edge_and_colours_are_not() {
        assert_eq!(cut("ab\u{1b}[32mcd\u{1b}[0mef", 3), "ab\u{1b}[32mc\u{1b}[0m");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äöü!", 3), "äöü");
    }
}
