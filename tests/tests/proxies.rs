//! Both pages behind the reverse proxies that people put in front of them, in plain configurations: votes come through,
//! live results are not held back, and everything works under a path of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use image_build::tool::process::is_installed;
use tempfile::TempDir;
use tests::client::{curl, wait_for};
use tests::poll::Poll;
use tests::running::{RunningService, free_address};

/// Everything is there within this time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// From the answer to a vote to its event, by all proxies. One that holds events back does so for at least as long as
/// nothing else comes: until the next heartbeat, after 15 s.
const EVENT_WITHIN: Duration = Duration::from_secs(1);
/// How often that is tried: whoever else runs on this machine may stop any of the programs for longer.
const TRIES: usize = 5;

/// A proxy in a folder of its own, which has the poll under `/vote/` and the results under `/result/`.
struct Proxy {
    address: SocketAddrV4,
    _running: RunningService,
    _folder: TempDir,
}

impl Proxy {
    /// Starts a program of this Debian package with this configuration, in which `FOLDER`, `ADDRESS`, `VOTE` and
    /// `RESULT` stand for where they are.
    fn start(program: &str, package: &str, arguments: &[&str], configuration: &str, poll: &Poll) -> Self {
        assert!(is_installed(program), "{program} is not there: install Debian's package {package}");
        let (folder, address) = (tempfile::tempdir().expect("a folder"), free_address());
        let filled = |text: &str| {
            text.replace("FOLDER", &folder.path().display().to_string())
                .replace("ADDRESS", &address.to_string())
                .replace("VOTE", &poll.vote_address(0).to_string())
                .replace("RESULT", &poll.result.addresses[0].to_string())
        };
        fs::write(folder.path().join("conf"), filled(configuration)).expect("a file");
        let mut command = Command::new(program_path(program));
        command.args(arguments.iter().map(|argument| filled(argument))).current_dir(folder.path());
        let running = RunningService::program(&command, vec![address]);
        Self { address, _running: running, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Daemons are not on everybody's search path.
fn program_path(program: &str) -> PathBuf {
    let beside = Path::new("/usr/sbin").join(program);
    if beside.exists() { beside } else { PathBuf::from(program) }
}

/// An event stream as a browser reads it through a proxy.
struct Stream {
    stream: TcpStream,
    received: String,
}

impl Stream {
    fn open(proxy: &Proxy, path: &str) -> Self {
        let mut stream = TcpStream::connect(proxy.address).expect("the proxy listens");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", proxy.address);
        stream.write_all(request.as_bytes()).expect("sent");
        Self { stream, received: String::new() }
    }

    /// Waits until this has come; when it had.
    fn wait_for(&mut self, text: &str) -> Instant {
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a socket's option");
        while !self.received.contains(text) {
            let mut bytes = [0; 4_096];
            let count =
                self.stream.read(&mut bytes).unwrap_or_else(|error| panic!("{error}: {}", self.received));
            assert_ne!(count, 0, "the stream ends: {}", self.received);
            self.received += &String::from_utf8_lossy(&bytes[..count]);
        }
        Instant::now()
    }
}

/// Everything that a page loads, asked for as a browser does: relative to the page.
fn expect_whole(proxy: &Proxy, page: &str) {
    let body = curl(&proxy.url(page), &[]).body;
    let links = body.split([' ', '>']).filter_map(|word| {
        let value = word.strip_prefix("href=\"").or_else(|| word.strip_prefix("src=\""))?;
        value.strip_suffix('"').filter(|link| !link.is_empty())
    });
    let links: Vec<_> = links.collect();
    assert!(links.len() >= 2, "{links:?} of {body}");
    for link in links {
        assert!(!link.starts_with('/') && !link.contains(':'), "{link} leaves {page}");
        assert_eq!(curl(&proxy.url(&format!("{page}{link}")), &[]).status, 200, "{page}{link}");
    }
    assert!(!body.contains("action="), "the form goes to where its page is");
}

fn expect_works(proxy: &Proxy) {
    expect_whole(proxy, "/vote/");
    expect_whole(proxy, "/result/");
    let mut stream = Stream::open(proxy, "/result/events");
    stream.wait_for("event: scores");
    let mut delays = Vec::new();
    for count in 1..=TRIES {
        let vote = curl(&proxy.url("/vote/"), &["--data", "vote=a"]);
        let answered = Instant::now();
        assert_eq!(vote.status, 200, "{}", vote.body);
        let come = stream.wait_for(&format!("\"a\":{count},"));
        delays.push(come.saturating_duration_since(answered));
    }
    delays.sort();
    println!("from the answer to a vote to its event: {delays:.0?}");
    assert!(delays[TRIES / 2] < EVENT_WITHIN, "{delays:?}");
    // A form of the page behind the proxy, and one of another site.
    let origin = |origin: &str| format!("Origin: {origin}");
    let from = |line: &str| curl(&proxy.url("/vote/"), &["--data", "vote=a", "--header", line]).status;
    assert_eq!(from("Sec-Fetch-Site: same-origin"), 200);
    assert_eq!(from(&origin("http://evil.example")), 403);
    // A second reader has all of it, too: nothing waits for the first.
    Stream::open(proxy, "/result/events").wait_for("event: scores");
    let gone =
        wait_for(PATIENCE, || (curl(&proxy.url("/result/api/scores"), &[]).status == 200).then_some(()));
    assert!(gone.is_some());
}

#[test]
fn behind_nginx() {
    let poll = Poll::start(1, &[], &[]);
    let configuration = "
        daemon off; user root; pid FOLDER/pid; error_log stderr;
        events {}
        http {
            access_log off; gzip on;
            client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
            fastcgi_temp_path FOLDER/fastcgi; uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
            server {
                listen ADDRESS;
                location /vote/ { proxy_pass http://VOTE/; }
                location /result/ { proxy_pass http://RESULT/; }
            }
        }";
    let arguments = ["-e", "stderr", "-c", "FOLDER/conf"];
    expect_works(&Proxy::start("nginx", "nginx-light", &arguments, configuration, &poll));
}

#[test]
fn behind_haproxy() {
    let poll = Poll::start(1, &[], &[]);
    let configuration = "
        defaults
            mode http
            timeout connect 5s
            timeout client 50s
            timeout server 50s
        frontend people
            bind ADDRESS
            use_backend vote if { path_beg /vote/ }
            default_backend result
        backend vote
            http-request replace-path /vote/(.*) /\\1
            server vote VOTE
        backend result
            http-request replace-path /result/(.*) /\\1
            server result RESULT
";
    expect_works(&Proxy::start("haproxy", "haproxy", &["-db", "-f", "FOLDER/conf"], configuration, &poll));
}

#[test]
fn behind_apache() {
    let poll = Poll::start(1, &[], &[]);
    let modules = ["mpm_event", "authz_core", "proxy", "proxy_http", "filter", "deflate"];
    let load = |name: &&str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
    let configuration = modules.iter().map(load).collect::<String>()
        + "
        ServerRoot FOLDER
        ServerName localhost
        DefaultRuntimeDir FOLDER
        PidFile FOLDER/pid
        ErrorLog /dev/stderr
        User www-data
        Listen ADDRESS
        AddOutputFilterByType DEFLATE text/html text/plain text/css application/javascript application/json
        ProxyPass /vote/ http://VOTE/
        ProxyPass /result/ http://RESULT/
";
    let arguments = ["-D", "FOREGROUND", "-f", "FOLDER/conf"];
    expect_works(&Proxy::start("apache2", "apache2-bin", &arguments, &configuration, &poll));
}

#[test]
fn behind_varnish() {
    let poll = Poll::start(1, &[], &[]);
    let backend = |name: &str, address: SocketAddrV4| {
        format!("backend {name} {{ .host = \"{}\"; .port = \"{}\"; }}\n", address.ip(), address.port())
    };
    let configuration = "vcl 4.1;\n".to_owned()
        + &backend("vote", poll.vote_address(0))
        + &backend("result", poll.result.addresses[0])
        + "
        sub vcl_recv {
            set req.backend_hint = result;
            if (req.url ~ \"^/vote/\") { set req.backend_hint = vote; }
        }
        sub vcl_backend_fetch { set bereq.url = regsub(bereq.url, \"^/(vote|result)\", \"\"); }
";
    let arguments = ["-F", "-j", "none", "-n", "FOLDER", "-a", "ADDRESS", "-f", "FOLDER/conf"];
    expect_works(&Proxy::start("varnishd", "varnish", &arguments, &configuration, &poll));
}
