//! The pictures in `docs/images`, taken anew after the pages have changed:
//! `cargo test -p tests --test browser screenshots -- --ignored`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::{Duration, Instant};

use tests::http::{Connection, post_vote};

use crate::browser::Browser;
use crate::up;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images");
const NARROW: (u32, u32) = (390, 700);
/// How many vote for each option in a second, and for how many seconds: a race in which one is overtaken.
const RACE: [(u32, u32, u32); 6] =
    [(4, 8, 6), (3, 30, 8), (25, 20, 7), (70, 22, 12), (30, 30, 6), (65, 18, 8)];

#[test]
#[ignore = "writes docs/images, and takes a minute for a chart that tells something"]
fn screenshots_are_taken() {
    let application = up("browser-screenshots");
    let (voter, watcher) = (Browser::open(), Browser::open());
    watcher.visit(&application.result_url("/"));
    watcher.wait_for_text("#connection", |text| text == "Live");
    keep("result-no-votes.png", &watcher);

    voter.visit(&application.vote_url());
    voter.vote("#b", "Dogs ✓");
    keep("vote.png", &voter);

    race(application.vote_port);
    let total = RACE.iter().map(|(a, b, seconds)| (a + b) * seconds).sum::<u32>() + 1;
    watcher.wait_for_text("#result", |text| text == format!("{total} votes"));
    // The halves move for a moment, and the chart is drawn once a second.
    std::thread::sleep(Duration::from_secs(2));
    keep("result.png", &watcher);
    watcher.resize(NARROW);
    keep("result-narrow.png", &watcher);
}

fn keep(name: &str, browser: &Browser) {
    fs::write(Path::new(FOLDER).join(name), browser.screenshot()).expect("docs can be written");
}

fn race(vote_port: u16) {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, vote_port);
    let mut connection = Connection::open(address).expect("it listens");
    for (a, b, seconds) in RACE {
        for _ in 0..seconds {
            let begun = Instant::now();
            for choice in std::iter::repeat_n("a", a as usize).chain(std::iter::repeat_n("b", b as usize)) {
                assert_eq!(connection.ask(&post_vote(choice)).expect("an answer").0, 200);
            }
            std::thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
        }
    }
}
