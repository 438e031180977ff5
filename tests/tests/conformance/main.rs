//! HTTP/1.1 to the byte: one table of cases, played against the Linux build, the simulator and the booted
//! unikernel, and judged alike.
//!
//! The rules are those of RFC 9110 and RFC 9112 and of `wire/src/http/limits.rs`; the cases are in
//! `conformance/cases`, their format in `case.rs`. Each case is sent as it is written, byte by byte, and
//! cut in two at every place.

mod case;
mod play;
mod response;
mod simulated;
mod sockets;

use std::collections::BTreeMap;
use std::thread;

use case::{Case, Service};
use kernel_app::program::Program;
use play::{Cut, Play, cuts};
use tests::running::{self, HOST_SEEN_FROM_GUEST, RunningService};

/// The services' `INSTANCE`, which stands in their pages.
const INSTANCE: &str = "conformance";
/// Fewer cases than this are not the whole table.
const CASES_MIN: usize = 120;
const SERVICES: [Service; 2] = [Service::Vote, Service::Result];

/// What came of each case in each cut: the transcript, and what is wrong with it.
type Outcomes = BTreeMap<(String, String), (String, Result<(), String>)>;

fn plays(cases: &[Case], service: Service) -> Vec<Play<'_>> {
    let of_service = cases.iter().filter(|case| case.services.contains(&service));
    of_service.flat_map(|case| cuts(case).into_iter().map(|cut| Play::new(case, cut))).collect()
}

fn outcomes(plays: Vec<Play<'_>>) -> Outcomes {
    let key = |play: &Play<'_>| (play.case.name.clone(), format!("{:?}", play.cut));
    plays.into_iter().map(|play| (key(&play), (play.transcript(), play.verdict()))).collect()
}

fn program(service: Service) -> (&'static str, u16, Program) {
    match service {
        Service::Vote => ("vote-service", vote_service::PORT_DEFAULT, vote_service::program),
        Service::Result => ("result-service", result_service::PORT_DEFAULT, result_service::program),
    }
}

fn settings(store: String) -> [(&'static str, String); 3] {
    [("REDIS_URL", format!("redis://{store}")), ("INSTANCE", INSTANCE.to_owned()), ("LOG", "warn".to_owned())]
}

fn play_on(mut running: RunningService, cases: &[Case], service: Service) -> Outcomes {
    running.wait_for("/readyz");
    let outcomes = outcomes(sockets::run(running.addresses[0], plays(cases, service)));
    assert!(!running.has_ended(), "{service:?} has ended\n{}", running.log());
    outcomes
}

/// Each service's outcomes on the three substrates.
fn play_everywhere(cases: &[Case]) -> Vec<(Service, [(&'static str, Outcomes); 3])> {
    let programs = running::linux_programs(&["vote-service", "result-service", "store-service"]);
    let images = running::images(&SERVICES.map(|service| program(service).0));
    let store = RunningService::linux(&programs[2], &["PORT", "HEALTH_PORT"], &[]);
    let store_port = store.addresses[0].port();
    thread::scope(|scope| {
        let started = SERVICES.map(|service| {
            let index = service as usize;
            let (program_path, image) = (&programs[index], &images[index]);
            let linux = scope.spawn(move || {
                let settings = settings(format!("127.0.0.1:{store_port}"));
                play_on(RunningService::linux(program_path, &["PORT"], &settings), cases, service)
            });
            let guest = scope.spawn(move || {
                let settings = settings(format!("{HOST_SEEN_FROM_GUEST}:{store_port}"));
                let ports = [program(service).1];
                play_on(RunningService::guest(image, &ports, &settings), cases, service)
            });
            let simulated =
                scope.spawn(move || outcomes(simulated::run(program(service).2, plays(cases, service))));
            (service, linux, guest, simulated)
        });
        let join = |(service, linux, guest, simulated): (Service, _, _, _)| {
            let join = |thread: thread::ScopedJoinHandle<'_, Outcomes>| thread.join().expect("it is played");
            let all = [("Linux", join(linux)), ("unikernel", join(guest)), ("simulator", join(simulated))];
            (service, all)
        };
        started.map(join).into()
    })
}

#[test]
fn every_case_holds_on_every_substrate() {
    let cases = case::all();
    assert!(cases.len() >= CASES_MIN, "there are {} cases only", cases.len());
    let mut faults = Vec::new();
    let mut played = 0;
    for (service, substrates) in play_everywhere(&cases) {
        let (_, reference) = &substrates[0];
        for (substrate, outcomes) in &substrates {
            played += outcomes.len();
            for (key, (transcript, verdict)) in outcomes {
                let (case, cut) = key;
                if let Err(fault) = verdict {
                    faults.push(format!("{service:?} on {substrate}, {case}, {cut}: {fault}"));
                } else if *transcript != reference[key].0 {
                    let linux = &reference[key].0;
                    faults.push(format!(
                        "{service:?} on {substrate}, {case}, {cut}:\n  {transcript}\n  Linux: {linux}"
                    ));
                }
            }
        }
    }
    println!("{} cases, played {played} times", cases.len());
    let shown = faults.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} of {played} plays are wrong:\n{shown}", faults.len());
}

#[test]
fn a_wrong_answer_is_told_from_the_right_one() {
    let cases = case::all();
    let case = cases.iter().find(|case| case.name.starts_with("a plain GET ")).expect("the plainest case");
    let head =
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain; charset=utf-8";
    let right = format!("{head}\r\nContent-Length: 3\r\n\r\nok\n");
    let verdict = |stream: &str| {
        let mut play = Play::new(case, Cut::Whole);
        while !matches!(play.next(), play::Action::Wait) {}
        play.received(stream.as_bytes());
        while !matches!(play.next(), play::Action::Wait | play::Action::Done) {}
        play.verdict()
    };
    let plain = right.repeat(2);
    assert_eq!(verdict(&plain), Ok(()), "{}", case.name);
    let wrong = [
        plain.replacen("200", "404", 1),
        plain.replace("ok\n", "no\n"),
        plain.replacen("Content-Length: 3", "Content-Length: 4", 1),
        plain.replacen("Date", "Connection: close\r\nDate", 1),
        plain.replacen("Date", "Transfer-Encoding: chunked\r\nDate", 1),
        plain.replace("Date", "Data"),
        format!("{plain}x"),
        right.clone(),
    ];
    for stream in wrong {
        assert!(verdict(&stream).is_err(), "{stream}");
    }
}
