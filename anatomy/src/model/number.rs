//! Numbers as people read them.

/// Digits in groups of three.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let first = (digits.len() - 1) % 3 + 1;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    std::iter::once(head.to_owned()).chain(groups).collect::<Vec<_>>().join(",")
}

/// A size in KiB, with a decimal where it is small.
pub fn kib(bytes: u64) -> String {
    let kib = bytes as f64 / 1024.0;
    match kib {
        ..0.1 => format!("{bytes} B"),
        ..9.95 => format!("{kib:.1} KiB"),
        _ => format!("{} KiB", grouped(kib.round() as u64)),
    }
}

/// A size in the unit that makes it short.
pub fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        ..MIB => kib(bytes),
        _ if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB", grouped(bytes / MIB)),
        _ => format!("{:.1} MiB", bytes as f64 / MIB as f64).replace(".0 MiB", " MiB"),
    }
}

/// A share of a whole, in percent.
pub fn percent(part: u64, whole: u64) -> String {
    match 100.0 * part as f64 / whole.max(1) as f64 {
        share @ ..9.95 => format!("{share:.1}%"),
        share => format!("{share:.0}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        assert_eq!([0, 999, 1000, 691_445].map(grouped), ["0", "999", "1,000", "691,445"]);
        assert_eq!([64, 2048, 20 << 10].map(kib), ["64 B", "2.0 KiB", "20 KiB"]);
        assert_eq!([32 << 20, (1 << 20) + (1 << 19), 3 << 30].map(size), ["32 MiB", "1.5 MiB", "3 GiB"]);
        assert_eq!([percent(1, 200), percent(1, 2)], ["0.5%", "50%"]);
    }
}
