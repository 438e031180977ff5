//! The original's own programs in our application, with ours as unikernels, and ours in the original's: votes go in at
//! one end, and exactly those are counted at the other.
//!
//! These tests need a checkout of the original, which is not shipped with this: they run when they are asked for.

use std::thread;

use tests::application::{Application, up};
use tests::client::{ab, vote, wait_for};
use tests::enclosure;
use tests::postgres::Postgres;
use tests::redis::redis_on;
use tests::running::images;

use crate::original::{self, HOSTS, QUEUE, RESULTS, Results, Vote, Worker, cookie};
use crate::services::COUNTED_WITHIN;

/// Our images that are booted.
const IMAGES: [&str; 4] = ["store-service", "worker", "vote-service", "result-service"];
/// People who vote at once, and how often each does.
const VOTERS: usize = 24;
const ROUNDS: usize = 4;

/// Our application, in part.
/// The database that the original keeps its results in.
fn database() -> Postgres {
    let postgres = Postgres::start_on(5432);
    postgres.ask("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'postgres'");
    postgres
}

/// What a voter wants in a round.
fn wish(voter: usize, round: usize) -> &'static str {
    if (voter + round).is_multiple_of(3) { "b" } else { "a" }
}

/// People vote at these pages by turns and stay who they are; how many want a and b in the end.
fn vote_at(pages: &[&str]) -> (u64, u64) {
    let cast = |voter: usize| {
        let mut known: Option<String> = None;
        for round in 0..ROUNDS {
            let page = pages[(voter + round) % pages.len()];
            let answer = vote(page, wish(voter, round), known.as_deref());
            assert_eq!(answer.status, 200, "{page}: {answer:?}");
            let given = cookie(&answer);
            assert_eq!(*known.get_or_insert_with(|| given.clone()), given, "{page} knows the voter");
        }
    };
    thread::scope(|scope| (0..VOTERS).for_each(|voter| drop(scope.spawn(move || cast(voter)))));
    let count = |choice| (0..VOTERS).filter(|voter| wish(*voter, ROUNDS - 1) == choice).count() as u64;
    (count("a"), count("b"))
}

/// The original's seed data: 1,000 votes each for a, b and a, 50 at a time, each of a voter of its own.
fn seed(page: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    for choice in ["a", "b", "a"] {
        let form = folder.path().join(choice);
        std::fs::write(&form, format!("vote={choice}")).expect("room for a word");
        let form = form.to_str().expect("a path of text");
        let kind = "application/x-www-form-urlencoded";
        let report = ab(&["-n", "1000", "-c", "50", "-p", form, "-T", kind, page]);
        assert!(report.is_ok(), "{report:?}");
    }
}

/// Waits until our result service says this.
fn wait_for_scores(application: &Application, scores: (u64, u64)) {
    let said = wait_for(COUNTED_WITHIN, || application.scores().filter(|said| *said == scores));
    assert!(said.is_some(), "scores are {:?}, not {scores:?}", application.scores());
}

#[test]
#[ignore = "needs VOTING_APP_ORIGINAL=PATH, a checkout of dockersamples/example-voting-app"]
fn their_vote_in_the_place_of_ours() {
    let vote = Vote::prepare();
    images(&IMAGES);
    if enclosure::is_inside("pairs::their_vote_in_the_place_of_ours", &HOSTS) {
        let application = up("interop-vote", &["--scale", "vote=0", "--publish", "store=6379"]);
        let vote = vote.start();
        let scores = vote_at(&[&original::wait_for_page(&vote)]);
        wait_for_scores(&application, scores);
    }
}

#[test]
#[ignore = "needs VOTING_APP_ORIGINAL=PATH, a checkout of dockersamples/example-voting-app"]
fn their_result_in_the_place_of_ours() {
    let results = Results::prepare();
    images(&IMAGES);
    if enclosure::is_inside("pairs::their_result_in_the_place_of_ours", &HOSTS) {
        let _database = database();
        let application = up("interop-result", &["--scale", "result=0", "--results", RESULTS]);
        let results = results.start();
        let scores = vote_at(&[&application.vote_url()]);
        original::wait_for_scores(&results, scores);
    }
}

#[test]
#[ignore = "needs VOTING_APP_ORIGINAL=PATH, a checkout of dockersamples/example-voting-app"]
fn their_vote_and_result_around_our_store_and_worker() {
    let (vote, results) = (Vote::prepare(), Results::prepare());
    images(&IMAGES);
    if enclosure::is_inside("pairs::their_vote_and_result_around_our_store_and_worker", &HOSTS) {
        let _database = database();
        let scale = ["--scale", "vote=0", "--scale", "result=0"];
        let outside = ["--publish", "store=6379", "--results", RESULTS];
        let _application = up("interop-both", &[scale, outside].concat());
        let (vote, results) = (vote.start(), results.start());
        let page = original::wait_for_page(&vote);
        let (a, b) = vote_at(&[&page]);
        original::wait_for_scores(&results, (a, b));
        seed(&page);
        original::wait_for_scores(&results, (a + 2000, b + 1000));
    }
}

#[test]
#[ignore = "needs VOTING_APP_ORIGINAL=PATH, a checkout of dockersamples/example-voting-app"]
fn our_vote_worker_and_result_beside_theirs_in_their_application() {
    let (vote, results) = (Vote::prepare(), Results::prepare());
    images(&IMAGES);
    if enclosure::is_inside("pairs::our_vote_worker_and_result_beside_theirs_in_their_application", &HOSTS) {
        let (_queue, _database) = (redis_on(6379, &[]), database());
        let (vote, results) = (vote.start(), results.start());
        let page = original::wait_for_page(&vote);
        // These wait until there is a worker.
        let early = vote_at(&[&page]);
        let application = up("interop-theirs", &["--redis", QUEUE, "--results", RESULTS]);
        wait_for_scores(&application, early);
        let late = vote_at(&[&page, &application.vote_url()]);
        let all = (early.0 + late.0, early.1 + late.1);
        wait_for_scores(&application, all);
        original::wait_for_scores(&results, all);
    }
}

#[test]
#[ignore = "needs VOTING_APP_ORIGINAL=PATH, a checkout of dockersamples/example-voting-app"]
fn their_vote_and_result_beside_ours_in_our_application() {
    let (vote, results) = (Vote::prepare(), Results::prepare());
    images(&IMAGES);
    if enclosure::is_inside("pairs::their_vote_and_result_beside_ours_in_our_application", &HOSTS) {
        let _database = database();
        let application = up("interop-ours", &["--publish", "store=6379", "--results", RESULTS]);
        let early = vote_at(&[&application.vote_url()]);
        let (vote, results) = (vote.start(), results.start());
        let late = vote_at(&[&original::wait_for_page(&vote), &application.vote_url()]);
        let all = (early.0 + late.0, early.1 + late.1);
        wait_for_scores(&application, all);
        original::wait_for_scores(&results, all);
    }
}

#[test]
#[ignore = "needs VOTING_APP_ORIGINAL=PATH, a checkout of dockersamples/example-voting-app, and .NET (dotnet)"]
fn their_worker_in_the_place_of_ours() {
    let worker = Worker::prepare();
    images(&IMAGES);
    if enclosure::is_inside("pairs::their_worker_in_the_place_of_ours", &HOSTS) {
        let _database = database();
        let outside = ["--scale", "worker=0", "--publish", "store=6379", "--results", RESULTS];
        let application = up("interop-worker", &outside);
        let _worker = worker.start();
        let scores = vote_at(&[&application.vote_url()]);
        wait_for_scores(&application, scores);
    }
}
