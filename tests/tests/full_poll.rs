//! A poll that strangers fill up, on the application's own store and on a Redis: it is told as full, and who has voted
//! can still change their vote.

use std::time::Duration;

use tests::client::{ab, curl, vote, wait_for};
use tests::http::{Connection, metric, post_vote};
use tests::poll::Poll;
use tests::redis::redis;

const KNOWN: &str = "voter_id=00112233445566778899aabbccddeeff";
/// More voters than fit into what the stores are given here.
const VOTERS_MAX: usize = 100_000;
/// That is filled within this time, and all of it counted, on a busy machine.
const FULL_WITHIN: Duration = Duration::from_secs(120);

/// Votes as new voters until one is refused; how many were taken, and what the refused one is told.
fn fill(connection: &mut Connection) -> (usize, String) {
    for count in 0..VOTERS_MAX {
        let (status, page) = connection.ask(&post_vote("a")).expect("an answer");
        if status != 200 {
            assert_eq!(status, 503, "{page}");
            assert!(!page.contains("does not answer"), "{page}");
            return (count, page);
        }
    }
    panic!("{VOTERS_MAX} voters do not fill it");
}

/// Votes until it is voters that fill the store, and not votes that wait; how many.
fn fill_for_good(poll: &Poll) -> usize {
    let mut connection = Connection::open(poll.vote_address(0)).expect("the vote service listens");
    let mut voters = 0;
    let full = wait_for(FULL_WITHIN, || {
        let (count, page) = fill(&mut connection);
        voters += count;
        let all_counted = scores(poll).contains(&format!("\"total\":{}}}", voters + 1));
        (page.contains("This poll is full") && all_counted).then_some(())
    });
    assert!(full.is_some(), "{voters} voters, and {}", scores(poll));
    voters
}

fn scores(poll: &Poll) -> String {
    curl(&poll.result_url("/api/scores"), &[]).body.trim().to_owned()
}

fn expect_full_and_usable(poll: &Poll) {
    let (address, url) = (poll.vote_address(0), poll.vote_url(0));
    assert_eq!(vote(&url, "b", Some(KNOWN)).status, 200);
    poll.wait_for_scores((0, 1));
    let count = fill_for_good(poll);
    assert!(count > 500, "{count}");
    let page = curl(&url, &["--data", "vote=a"]);
    assert!(page.status == 503 && page.body.contains("This poll is full"), "not only for a moment: {page:?}");

    // Whoever comes without a name is refused, and whoever has one of their own.
    let invented = vote(&url, "a", Some("voter_id=ffffffffffffffffffffffffffffffff"));
    assert_eq!((invented.status, invented.header("set-cookie")), (503, None));
    for (choice, a, b) in [("a", count + 1, 0), ("b", count, 1)] {
        let answer = vote(&url, choice, Some(KNOWN));
        assert_eq!(answer.status, 200, "who has voted changes their vote: {}", answer.body);
        poll.wait_for_scores((a as u64, b));
    }
    let ready = curl(&format!("{url}readyz"), &[]);
    assert!(ready.status == 200 && ready.body.starts_with("ready; full for new voters"), "{ready:?}");
    assert_eq!(metric(address, "poll_full "), Some(1));

    // A thousand more tries are a few lines in the log, and not a thousand.
    let lines = || poll.votes[0].log().lines().count();
    let before = lines();
    let form = std::env::temp_dir().join(format!("full-poll-{}", address.port()));
    std::fs::write(&form, "vote=a").expect("a form");
    let kind = "application/x-www-form-urlencoded";
    let begun = std::time::Instant::now();
    let report = ab(&["-n", "1000", "-c", "10", "-p", form.to_str().expect("UTF-8"), "-T", kind, &url]);
    assert!(report.expect_err("they are refused").contains("Non-2xx responses:      1000"));
    let seconds = begun.elapsed().as_secs() as usize + 1;
    assert!(lines() <= before + 3 * seconds, "{} lines in {seconds} s", lines() - before);
    std::fs::remove_file(form).expect("it was written");
}

#[test]
fn on_the_application_s_own_store() {
    expect_full_and_usable(&Poll::start(1, &[("MAXMEMORY", "1mb".to_owned())], &[]));
}

#[test]
fn on_redis() {
    let server = redis(&["--maxmemory", "4mb"]);
    expect_full_and_usable(&Poll::start_on(server.address, 1, &[]));
}

#[test]
fn a_limit_on_new_voters_leaves_known_ones_alone() {
    let limits = [("NEW_VOTERS_PER_MINUTE_PER_ADDRESS", "3".to_owned())];
    let poll = Poll::start(1, &[], &limits);
    let url = poll.vote_url(0);
    assert_eq!(vote(&url, "a", Some(KNOWN)).status, 200);
    poll.wait_for_scores((1, 0));
    assert_eq!([(); 3].map(|()| vote(&url, "a", None).status), [200, 200, 429]);
    let forged = curl(&url, &["--data", "vote=a", "--header", "X-Forwarded-For: 10.1.2.3"]);
    assert_eq!(
        (forged.status, forged.header("retry-after")),
        (429, Some("60")),
        "no header is trusted unasked"
    );
    assert_eq!(vote(&url, "b", Some(KNOWN)).status, 200);
    poll.wait_for_scores((2, 1));
}
