//! Vote instances behind one address, on each network: all get their share of the connections, and no GET is lost when
//! one of them is killed or the application ends.
//!
//! `segment/src/balancer/tests.rs` has the cases without machines.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use cluster::network;
use serde_json::Value;
use tests::application::{Application, up};
use tests::http::{Connection, ask, get};

/// Clients at a time: half of them keep their connection.
const CLIENTS: usize = 8;

/// Clients that ask for the page until they are told to stop: how many pages they got, and what went wrong.
fn load(address: SocketAddrV4, must_stop: &AtomicBool, pages: &AtomicU64) -> Vec<String> {
    let client = |keeps: bool| {
        let request = get("/");
        let mut errors = Vec::new();
        let mut kept = None;
        while !must_stop.load(SeqCst) {
            let answer = if keeps {
                let open = kept.take().map_or_else(|| Connection::open(address), Ok);
                open.and_then(|mut open| {
                    let (status, is_kept) = open.ask_and_keep(&request)?;
                    kept = is_kept.then_some(open);
                    Ok(status)
                })
            } else {
                ask(address, &request).map(|(status, _)| status)
            };
            match answer {
                Ok(200) => drop(pages.fetch_add(1, SeqCst)),
                other => errors.push(format!("kept {keeps}: {other:?}")),
            }
        }
        errors
    };
    thread::scope(|scope| {
        let client = &client;
        let clients: Vec<_> = (0..CLIENTS).map(|n| scope.spawn(move || client(n % 2 == 0))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
    })
}

fn votes(application: &Application) -> Vec<Value> {
    application.instances().into_iter().filter(|row| row["service"] == "vote").collect()
}

/// Both instances get a good share, and one that is killed loses no GET.
fn no_get_is_lost(application: &Application) {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, application.vote_port);
    let (must_stop, pages) = (AtomicBool::new(false), AtomicU64::new(0));
    let errors = thread::scope(|scope| {
        let clients = scope.spawn(|| load(address, &must_stop, &pages));
        application.kill("vote-1");
        let back_at = pages.load(SeqCst);
        let goes_on = || (pages.load(SeqCst) > back_at + 200).then_some(());
        assert!(tests::client::wait_for(std::time::Duration::from_secs(60), goes_on).is_some());
        must_stop.store(true, SeqCst);
        clients.join().expect("no panic")
    });
    assert_eq!(errors, [""; 0], "{} pages", pages.load(SeqCst));
    for row in votes(application) {
        let share = row["share_percent"].as_f64().unwrap_or_else(|| panic!("{row}"));
        assert!(share > 10.0, "{row}");
        assert_eq!(row["endpoint"], application.vote_url().trim_end_matches('/'));
    }
    let table = application.command(&["ps"]).stdout;
    assert!(table.contains("SHARE %") && table.contains(", 0 refused, 0 lost"), "{table}");
}

#[test]
fn no_get_is_lost_on_the_user_network() {
    no_get_is_lost(&up("test-sharing-user", &["--scale", "vote=2"]));
}

#[test]
fn no_get_is_lost_on_the_switch() {
    no_get_is_lost(&up("test-sharing-switch", &["--scale", "vote=2", "--net", "switch"]));
}

/// The kernel's bridge takes rights that not every machine gives.
#[test]
fn no_get_is_lost_on_tap() {
    match network::tap_obstacle() {
        Some(obstacle) => println!("skipped: --net tap {obstacle}"),
        None => no_get_is_lost(&up("test-sharing-tap", &["--scale", "vote=2", "--net", "tap"])),
    }
}

#[test]
fn an_instance_that_is_alone_has_no_share() {
    let application = up("test-sharing-alone", &[]);
    assert!(votes(&application).iter().all(|row| row["share_percent"].is_null()));
    assert!(!application.command(&["ps"]).stdout.contains("SHARE"));
}
