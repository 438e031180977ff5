//! Judges the page of exercise 08.3; the instructions are counted in a guest.

use exercise_08_3::Poll;

const OPTIONS: [&str; 4] = ["Cats", "Dogs & wolves", "Lizards", "<none>"];
const ESCAPED: [&str; 4] = ["Cats", "Dogs &amp; wolves", "Lizards", "&lt;none&gt;"];

fn expected(escaped: &[&str], choice: Option<usize>) -> String {
    let line = |(number, text): (usize, &&str)| {
        let class = if choice == Some(number) { " class=\"chosen\"" } else { "" };
        format!("<li{class}><a href=\"/?choice={number}\">{text}</a></li>")
    };
    let lines: String = escaped.iter().enumerate().map(line).collect();
    format!("<!doctype html><title>poll</title><ul>{lines}</ul>")
}

fn check(poll: &mut Poll, escaped: &[&str], choice: Option<usize>) {
    let (expected, came) = (expected(escaped, choice), poll.page(choice).to_string());
    let at = expected.bytes().zip(came.bytes()).take_while(|(one, other)| one == other).count();
    let from_there = |text: &str| text.chars().skip(at).take(40).collect::<String>();
    assert!(
        came == expected,
        "page({choice:?}), from byte {at} on: expected `{}`; came `{}`: the option that was chosen is marked, and all \
         else is as it was",
        from_there(&expected),
        from_there(&came)
    );
}

#[test]
fn judge() {
    let mut poll = Poll::new(&OPTIONS);
    for choice in [None, Some(2), Some(0), Some(2), None, Some(3), Some(4), Some(usize::MAX), Some(1)] {
        check(&mut poll, &ESCAPED, choice);
    }
    let mut other = Poll::new(&["one"]);
    check(&mut other, &["one"], Some(0));
    check(&mut Poll::new(&[]), &[], Some(0));
}
