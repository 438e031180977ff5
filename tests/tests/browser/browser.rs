//! A browser of a test's own: a headless Chromium with a profile of its own, and the driver that speaks to it.
//! Both end, and the profile goes, when it is dropped, and also when the test's process is killed.
//!
//! WebDriver (W3C) where it suffices, Chromium's own commands for the rest. Judges nothing: the tests do.

use std::fs::{self, DirEntry};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use fantoccini::actions::{Actions, InputSource, KeyAction, KeyActions};
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::WindowHandle;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::client::{curl, wait_for};
use tests::command::free_port;
use tests::programs::program;
use tests::running::start;
use tokio::runtime::{Builder, Runtime};

use crate::PATIENCE;

/// What is started.
const BROWSER: &str = "chromium";
const DRIVER: &str = "chromedriver";
/// The window unless a test wants another.
pub const WIDE: (u32, u32) = (960, 600);
/// Root has no sandbox to offer; machines of continuous integration have a small `/dev/shm` and no graphics.
const OPTIONS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--lang=en",
    "--remote-debugging-port=0",
    "about:blank",
];
/// How long a browser may take to end by itself.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A browser, its driver and its profile.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    chromium: Child,
    driver: Child,
    /// Of the driver.
    port: u16,
    folder: TempDir,
}

impl Browser {
    /// A new browser that has seen nothing yet.
    ///
    /// # Panics
    /// When Chromium or its driver is not installed or does not start.
    pub fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut chromium = process(BROWSER, folder.path());
        chromium.args(OPTIONS).arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
        let chromium = start(&chromium, Some(&folder.path().join("chromium.log")));
        let port = free_port();
        let mut driver = process(DRIVER, folder.path());
        driver.arg(format!("--port={port}"));
        let driver = start(&driver, Some(&folder.path().join("driver.log")));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let debugger = debugger(folder.path());
        let connect = || runtime.block_on(connect(port, &debugger)).ok();
        let client = wait_for(PATIENCE, connect).expect("the driver reaches the browser");
        let browser = Self { client, runtime, chromium, driver, port, folder };
        browser.resize(WIDE);
        browser
    }

    /// Makes the window this large, in CSS pixels.
    pub fn resize(&self, (width, height): (u32, u32)) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Loads a page.
    pub fn visit(&self, url: &str) {
        self.wait(self.client.goto(url));
    }

    /// Opens another window, and looks at it from now on; its handle.
    pub fn open_window(&self) -> WindowHandle {
        let window = self.wait(self.client.new_window(false)).handle;
        self.look_at(&window);
        window
    }

    /// Looks at this window.
    pub fn look_at(&self, window: &WindowHandle) {
        self.wait(self.client.switch_to_window(window.clone()));
    }

    /// Loads the page again.
    pub fn reload(&self) {
        self.wait(self.client.refresh());
    }

    /// What a page's reader sees of the first element that the CSS selector names; nothing when there is none.
    pub fn text(&self, selector: &str) -> String {
        let read = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let text = self.wait(self.client.execute(read, vec![json!(selector)]));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until that is so.
    ///
    /// # Panics
    /// When it does not become so in time.
    pub fn wait_for_text(&self, selector: &str, expected: impl Fn(&str) -> bool) -> String {
        let found = wait_for(PATIENCE, || Some(self.text(selector)).filter(|text| expected(text)));
        found.unwrap_or_else(|| panic!("{selector} shows {:?}", self.text(selector)))
    }

    /// Clicks on an element, in its middle.
    pub fn click(&self, selector: &str) {
        self.wait(async { self.client.find(Locator::Css(selector)).await?.click().await });
    }

    /// Clicks on a button of the vote page, and waits for the page that acknowledges the vote.
    pub fn vote(&self, button: &str, acknowledged: &str) {
        self.click(button);
        self.wait_for_text(button, |text| text == acknowledged);
    }

    /// Presses and releases a key.
    pub fn press(&self, key: Key) {
        let value = char::from(key);
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        self.wait(self.client.perform_actions(Actions::from(keys)));
    }

    /// Value of a function's body, evaluated in the page.
    pub fn evaluate(&self, body: &str) -> Value {
        self.wait(self.client.execute(body, Vec::new()))
    }

    /// The same for a body that calls its last argument with the value.
    pub fn evaluate_later(&self, body: &str) -> Value {
        self.wait(self.client.execute_async(body, Vec::new()))
    }

    /// The window as a PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        self.wait(self.client.screenshot())
    }

    /// One of Chromium's own commands (DevTools protocol).
    ///
    /// # Panics
    /// When it is refused.
    pub fn command(&self, name: &str, parameters: &Value) {
        let session = self.wait(self.client.session_id()).expect("a session");
        // The driver's extension of WebDriver, which the client does not know.
        let url = format!("http://127.0.0.1:{}/session/{session}/goog/cdp/execute", self.port);
        let body = json!({ "cmd": name, "params": parameters }).to_string();
        let answer = curl(&url, &["--header", "Content-Type: application/json", "--data", &body]);
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    }

    fn wait<T>(&self, future: impl Future<Output = Result<T, CmdError>>) -> T {
        self.runtime.block_on(future).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to, it ends its own processes and stops writing to its profile. All of this fails only when they
        // have ended already.
        let _ = kill_process(Pid::from_child(&self.chromium), Signal::TERM);
        wait_for(END_LIMIT, || self.chromium.try_wait().ok().flatten());
        for child in [&mut self.chromium, &mut self.driver] {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Its helpers end a little later than itself, and could still write to the folder.
        wait_for(END_LIMIT, || processes_of(self.folder.path()).is_empty().then_some(()));
        for pid in processes_of(self.folder.path()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The processes that were started with this folder among their arguments.
fn processes_of(folder: &Path) -> Vec<Pid> {
    let named = |process: &DirEntry| {
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&*folder.to_string_lossy())
    };
    let processes = fs::read_dir("/proc").expect("proc(5)").flatten().filter(named);
    processes.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
}

/// A program that writes nowhere but in `folder`.
fn process(name: &str, folder: &Path) -> Command {
    let mut command = program(name);
    for variable in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        command.env(variable, folder);
    }
    command
}

/// Where the browser listens for its driver: it says so in its profile.
fn debugger(folder: &Path) -> String {
    let file = folder.join("profile/DevToolsActivePort");
    let port = wait_for(PATIENCE, || fs::read_to_string(&file).ok()?.lines().next().map(str::to_owned));
    let log = || fs::read_to_string(folder.join("chromium.log")).unwrap_or_default();
    format!("127.0.0.1:{}", port.unwrap_or_else(|| panic!("Chromium does not start: {}", log())))
}

async fn connect(port: u16, debugger: &str) -> Result<Client, impl std::error::Error> {
    let capabilities = json!({ "goog:chromeOptions": { "debuggerAddress": debugger } });
    let capabilities = capabilities.as_object().cloned().unwrap_or_default();
    let mut builder = ClientBuilder::new(HttpConnector::new());
    builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await
}

#[test]
fn a_browser_ends_with_its_test_and_leaves_nothing_behind() {
    let (told, tell) = std::sync::mpsc::channel();
    let failing = std::thread::spawn(move || {
        let browser = Browser::open();
        let folder = browser.folder.path().to_owned();
        assert!(processes_of(&folder).len() > 1, "its own, and its helpers'");
        told.send((folder, [browser.chromium.id(), browser.driver.id()])).expect("somebody listens");
        panic!("this is no failure, but what a test does when it fails");
    });
    let (folder, processes) = tell.recv().expect("a browser");
    assert!(failing.join().is_err());
    assert!(!folder.exists(), "{}", folder.display());
    for process in processes {
        assert!(!Path::new(&format!("/proc/{process}")).exists(), "{process} runs");
    }
    let left = processes_of(&folder);
    assert!(left.is_empty(), "{left:?} run");
}
