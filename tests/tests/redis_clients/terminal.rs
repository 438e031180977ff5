//! A program on a terminal, as if somebody typed.
//!
//! Knows no program.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tests::client::wait_for;

/// How long an answer may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// See the module.
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    child: Child,
    seen: usize,
}

impl Terminal {
    /// Starts a program on a terminal of its own.
    pub fn start(command: &mut Command) -> Self {
        let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&pty).and_then(|()| unlockpt(&pty)).expect("it is ours");
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(pty.as_fd(), size).expect("a size");
        let path = ptsname(&pty, Vec::new()).expect("a name");
        let end =
            || File::from(open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end"));
        command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("it starts");
        let keyboard = File::from(pty);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut shown, kept) = (keyboard.try_clone().expect("one more"), screen.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error when the program does.
            while let Ok(count @ 1..) = shown.read(&mut bytes) {
                kept.lock().expect("no panic").extend_from_slice(&bytes[..count]);
            }
        });
        Self { keyboard, screen, child, seen: 0 }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\r").as_bytes()).expect("the program reads");
    }

    /// Waits until this is shown, behind what was waited for before.
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

    /// Whether the program ends by itself, and well.
    pub fn ends_well(&mut self) -> bool {
        let ended = wait_for(LIMIT, || self.child.try_wait().ok().flatten());
        ended.is_some_and(|status| status.success())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
