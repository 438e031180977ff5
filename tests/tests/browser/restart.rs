//! The result page while its unikernel is away.

use tests::client::vote;
use tests::crash::Dice;
use tests::crash::machines::Machines;

use crate::PATIENCE;
use crate::browser::Browser;
use tests::client::wait_for;

#[test]
fn the_result_page_comes_back_by_itself_after_its_unikernel() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut machines = Machines::new(folder.path()).expect("images");
    let mut dice = Dice::new(5);
    machines.start_all(&mut dice).expect("QEMU");
    let url = |address| format!("http://{address}/");
    let vote_url = url(machines.vote_address());
    let accepted = wait_for(PATIENCE, || (vote(&vote_url, "a", None).status == 200).then_some(()));
    assert!(accepted.is_some(), "the first vote is not accepted");
    let counted = wait_for(PATIENCE, || machines.scores().filter(|scores| *scores == (1, 0)));
    assert!(counted.is_some(), "{:?}", machines.scores());

    let browser = Browser::open();
    browser.visit(&url(machines.result_address()));
    browser.wait_for_text("#connection", |text| text == "Live");
    assert_eq!(browser.text("#result"), "1 vote");
    browser.evaluate("window.isTheSamePage = true");

    machines.kill(&["result"]);
    let since = browser.wait_for_text("#connection", |text| text.starts_with("Reconnecting since "));
    let digits: String =
        since.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(digits, "Reconnecting since 00:00:00", "{since}");
    assert_eq!(browser.text("#result"), "1 vote", "the last known scores stay");
    assert_eq!(vote(&vote_url, "b", None).status, 200);

    machines.start(&["result"], &mut dice).expect("QEMU");
    browser.wait_for_text("#connection", |text| text == "Live");
    browser.wait_for_text("#result", |text| text == "2 votes");
    assert_eq!(browser.text("#notice"), "");
    assert_eq!(browser.evaluate("return window.isTheSamePage"), true, "nobody loaded it again");
}
