//! The service in the hands of a test, which is its network and its clock; and the description of the application.

use std::time::Duration;

use kernel_app::Settings;
use kernel_app::connections::Ending;
use simulator::harness::Harness;
use toml::{Table, Value};
use visits::Visits;

const PLACE: &str = "the course";

fn service(place: &str) -> Harness<Visits> {
    let settings = Settings::from_pairs([("PLACE", place)]);
    Harness::new(Visits::new(&settings).expect("settings that can be used"))
}

/// What a path is answered, on a connection of its own.
fn ask(service: &mut Harness<Visits>, path: &str) -> String {
    let id = service.accept();
    service.receive(id, format!("GET {path} HTTP/1.1\r\nHost: visits\r\n\r\n"));
    let answer = service.sent(id);
    service.close(id);
    answer
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[test]
fn a_visits_are_counted() {
    let mut first = service(PLACE);
    for visit in 1..=3 {
        let expected = format!("visit {visit} to {PLACE}\n");
        let answer = ask(&mut first, "/");
        assert!(
            body(&answer) == expected,
            "expected {expected:?} for GET / with PLACE={PLACE}; came {:?}",
            body(&answer)
        );
    }
    let answer = ask(&mut service("elsewhere"), "/");
    let expected = "visit 1 to elsewhere\n";
    assert!(
        body(&answer) == expected,
        "expected {expected:?} from another instance in the same program; came {:?}: state belongs to the service's \
         own fields, not to the program",
        body(&answer)
    );
}

#[test]
fn b_a_setting_has_a_limit() {
    let long = "x".repeat(41);
    let settings = |place: &str| Visits::new(&Settings::from_pairs([("PLACE", place)]));
    assert!(settings(&long[1..]).is_ok(), "expected that a PLACE of 40 bytes can be used; it cannot");
    let error = settings(&long).err();
    assert!(
        error.is_some(),
        "expected an error that names PLACE, for one of 41 bytes; came none: `Settings::text` takes a limit"
    );
    let name = error.map_or("", |error| error.name);
    assert!(name == "PLACE", "expected an error that names PLACE; came one that names {name}");
}

#[test]
fn c_metrics_say_how_many() {
    let mut service = service(PLACE);
    (0..2).for_each(|_| drop(ask(&mut service, "/")));
    let answer = ask(&mut service, "/metrics");
    let line = answer.lines().find(|line| line.starts_with("visits_total"));
    assert!(
        line == Some("visits_total 2"),
        "expected the line \"visits_total 2\" in /metrics after two visits; came {line:?}: write it in \
         `Handler::metrics`, with `Exposition::counter`"
    );
}

#[test]
fn d_a_silent_client_is_let_go() {
    let mut service = service(PLACE);
    let id = service.accept();
    service.pass(Duration::from_secs(120));
    assert!(
        service.ending(id) != Some(Ending::Open),
        "expected that a client that says nothing is let go; came that it is still connected after two minutes: the HTTP \
         server acts on its deadlines in `turn`, and `next_deadline` must say when"
    );
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn e_the_application_is_described() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/application.toml")).unwrap_or_default();
    let table: Table = match toml::from_str(&text) {
        Ok(table) => table,
        Err(error) => panic!("expected application.toml in TOML; came an error: {}", error.message()),
    };
    let Some(visits) = table.get("services").and_then(|services| services.get("visits")) else {
        panic!("expected a table [services.visits] in application.toml; came none");
    };
    let build = visits.get("build").and_then(Value::as_str);
    assert!(build == Some("."), "expected build = \".\" for the service visits; came {build:?}");
    let ports = strings(visits.get("ports"));
    assert!(
        ports == ["8090:8080"],
        "expected that the host can reach it at port 8090: ports = [\"8090:8080\"]; came {ports:?}. `expose` is for other \
         services only"
    );
    let health = visits.get("health").and_then(|health| health.get("port")).and_then(Value::as_integer);
    assert!(
        health == Some(8080),
        "expected health = {{ port = 8080 }}, where the service listens; came {health:?}"
    );
    let place = visits.get("environment").and_then(|settings| settings.get("PLACE")).and_then(Value::as_str);
    assert!(place == Some(PLACE), "expected PLACE = {PLACE:?} in the service's environment; came {place:?}");
}
