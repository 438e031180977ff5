//! Judges exercise 06.2: compares each answer with a look at every entry.

use exercise_06_2::must_notify;

/// The entries written, one by one.
fn entries(old: u16, new: u16) -> Vec<u16> {
    (0..new.wrapping_sub(old)).map(|step| old.wrapping_add(step)).collect()
}

#[test]
fn judge() {
    let starts: [u16; 6] = [3, 0, 1_000, 32_767, 65_530, 65_535];
    for old in starts {
        for count in [1, 3, 0, 2, 7, 256, 32_768] {
            let new = old.wrapping_add(count);
            let entries = entries(old, new);
            let around = (0..600).map(|step| old.wrapping_sub(300).wrapping_add(step));
            for event in around.chain([new.wrapping_sub(1), new, new.wrapping_add(1)]) {
                check(event, old, new, &entries);
            }
        }
    }
}

fn check(event: u16, old: u16, new: u16, entries: &[u16]) {
    let (expected, came) = (entries.contains(&event), must_notify(event, old, new));
    if came == expected {
        return;
    }
    let written = match entries {
        [] => "no entry was written".to_string(),
        [one] => format!("entry {one} was written"),
        [first, .., last] => format!("entries {first} to {last} were written"),
    };
    let why = match expected {
        false => "it is not among them, so nobody waits",
        true if old > new => "it is among them, though the numbers have begun again at 0",
        true => "it is among them, and a batch may have gone past the entry that is waited for",
    };
    panic!(
        "old = {old}, new = {new}: {written}, and the other side waits for entry {event}: expected {expected}; came \
         {came}: {why}"
    );
}
