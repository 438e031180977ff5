//! Both services in the simulator: two nodes and a client on one network.

extern crate std;

use core::net::Ipv4Addr;
use core::time::Duration;

use kernel_app::Settings;
use simulator::client::{Client, Response, get};
use simulator::{NodeId, Simulation};

const HELLO: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PAGE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
/// Simulated time: it costs none.
const LIMIT: Duration = Duration::from_secs(60);

/// Two nodes, of which the first greets and the second shows that, and a client of the second.
fn both() -> (Simulation, NodeId, Client) {
    let mut simulation = Simulation::new(7);
    let settings = Settings::from_pairs([("GREETING", "Hi & welcome")]);
    let boot = move || service_template::program(&settings).expect("the settings can be used");
    let hello = simulation.add_node("hello", HELLO, boot).expect("the service starts");
    let settings = Settings::from_pairs([("HELLO_URL", "http://10.0.0.1:8090")]);
    let boot = move || crate::program(&settings).expect("the settings can be used");
    simulation.add_node("page", PAGE, boot).expect("the service starts");
    let client = simulation.add_client("client", CLIENT, (PAGE, crate::PORT_DEFAULT), 1).expect("starts");
    (simulation, hello, client)
}

fn ask(simulation: &mut Simulation, client: &Client, path: &str) -> Response {
    let request = simulation.send(client, &get(path));
    simulation.run_until(|_| client.response(request).is_some(), LIMIT).expect("an answer");
    client.response(request).expect("an answer")
}

/// Asks until the service says that it is ready, or no longer.
fn wait_for(simulation: &mut Simulation, client: &Client, status: u16) -> Response {
    for _ in 0..LIMIT.as_secs() {
        let response = ask(simulation, client, "/readyz");
        if response.status == status {
            return response;
        }
        simulation.run_for(Duration::from_secs(1));
    }
    panic!("/readyz never said {status}");
}

#[test]
fn the_page_shows_what_the_other_service_says() {
    let (mut simulation, _, client) = both();
    wait_for(&mut simulation, &client, 200);
    let page = ask(&mut simulation, &client, "/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("says: Hi &amp; welcome"), "{}", page.text());
}

#[test]
fn it_says_that_the_other_service_is_gone_and_finds_it_again() {
    let (mut simulation, hello, client) = both();
    wait_for(&mut simulation, &client, 200);
    simulation.crash(hello);
    let reason = wait_for(&mut simulation, &client, 503).text();
    assert!(reason.starts_with("HELLO_URL: "), "{reason}");
    assert_eq!(ask(&mut simulation, &client, "/").status, 503);
    simulation.restart(hello).expect("it starts again");
    wait_for(&mut simulation, &client, 200);
    assert_eq!(ask(&mut simulation, &client, "/").status, 200);
}
