//! The service in the simulator: the same code, event loop and TCP stack as in the unikernel, on a simulated network
//! and under a virtual clock.

extern crate std;

use core::net::Ipv4Addr;
use core::time::Duration;

use kernel_app::Settings;
use simulator::Simulation;
use simulator::client::{Response, get};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Simulated time: it costs none.
const LIMIT: Duration = Duration::from_secs(10);

/// What a service with these settings answers to these requests, one after the other.
fn ask<const N: usize>(settings: &[(&str, &str)], paths: [&str; N]) -> [Response; N] {
    let mut simulation = Simulation::new(7);
    let settings = Settings::from_pairs(settings.iter().copied());
    let boot = move || crate::program(&settings).expect("the settings can be used");
    simulation.add_node("server", SERVER, boot).expect("the service starts");
    let client = simulation.add_client("client", CLIENT, (SERVER, crate::PORT_DEFAULT), 1).expect("starts");
    paths.map(|path| {
        let request = simulation.send(&client, &get(path));
        simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("an answer");
        client.response(request).expect("an answer")
    })
}

#[test]
fn the_page_greets_and_the_text_is_for_services() {
    let [page, text] = ask(&[("GREETING", "<Hi>")], ["/", "/greeting"]);
    assert_eq!((page.status, text.status), (200, 200));
    assert!(page.text().contains("<h1>&lt;Hi&gt;</h1>"), "{}", page.text());
    assert_eq!(text.text(), "<Hi>");
}

#[test]
fn it_is_healthy_and_counts_its_greetings() {
    let [healthy, ready, _, metrics] = ask(&[], ["/healthz", "/readyz", "/", "/metrics"]);
    assert_eq!((healthy.status, ready.status), (200, 200));
    assert!(metrics.text().contains("\ngreetings_total 1\n"), "{}", metrics.text());
}

#[test]
fn a_greeting_that_is_too_long_is_refused_at_the_start() {
    let settings = Settings::from_pairs([("GREETING", "x".repeat(65))]);
    let error = crate::program(&settings).err().expect("refused");
    assert_eq!(error.name, "GREETING");
}
