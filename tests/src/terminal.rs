//! A program on a terminal, as if somebody typed.
//!
//! Knows no program.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::client::wait_for;

/// How long an answer may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// What a terminal is called that can do much.
const KIND: &str = "xterm";

/// A program, the terminal it runs on, and what it has written.
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    child: Child,
    reader: JoinHandle<()>,
    seen: usize,
}

impl Terminal {
    /// Starts a program on a terminal of its own; of what kind that is may be in the command's `TERM`.
    ///
    /// # Panics
    /// When the system has no terminals left, or the program cannot be run.
    pub fn start(command: &mut Command) -> Self {
        let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&pty).and_then(|()| unlockpt(&pty)).expect("it is ours");
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(pty.as_fd(), size).expect("a size");
        let path = ptsname(&pty, Vec::new()).expect("a name");
        let end =
            || File::from(open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end"));
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", KIND);
        }
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("it starts");
        let keyboard = File::from(pty);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut shown, kept) = (keyboard.try_clone().expect("one more"), screen.clone());
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error when the program does.
            while let Ok(count @ 1..) = shown.read(&mut bytes) {
                kept.lock().expect("no panic").extend_from_slice(&bytes[..count]);
            }
        });
        Self { keyboard, screen, child, reader, seen: 0 }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.press(&format!("{line}\r"));
    }

    /// Presses keys.
    ///
    /// # Panics
    /// When the terminal has gone.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// All that was shown.
    ///
    /// # Panics
    /// When its reader has panicked.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().expect("no panic")).into_owned()
    }

    /// Waits until this is shown, behind what was waited for before.
    ///
    /// # Panics
    /// When it is not.
    pub fn expect(&mut self, text: &str) {
        let find = || {
            let screen = self.screen.lock().expect("no panic");
            let shown = String::from_utf8_lossy(&screen[self.seen..]).into_owned();
            shown.find(text).map(|at| self.seen + at + text.len())
        };
        let found = wait_for(LIMIT, find);
        let screen =
            String::from_utf8_lossy(&self.screen.lock().expect("no panic")[self.seen..]).into_owned();
        self.seen = found.unwrap_or_else(|| panic!("{text:?} is not shown, but {screen:?}"));
    }

    /// How the program ends by itself. Its last words have been shown then.
    ///
    /// # Panics
    /// When it does not.
    pub fn end(&mut self) -> ExitStatus {
        let ended = wait_for(LIMIT, || self.child.try_wait().ok().flatten());
        let ended = ended.unwrap_or_else(|| panic!("it goes on: {}", self.shown()));
        let all_shown = wait_for(LIMIT, || self.reader.is_finished().then_some(()));
        assert!(all_shown.is_some(), "something has kept the terminal: {}", self.shown());
        ended
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
