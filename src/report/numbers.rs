//! Numbers as people read them.

use crate::task::Unit;

/// Bytes in binary units: `1.5 MiB`.
pub fn bytes(n: u64) -> String {
    scaled(n as f64, 1024.0, &["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// Large counts in decimal units: `13.5 M`.
pub fn count(n: u64) -> String {
    scaled(n as f64, 1000.0, &["", "k", "M", "G", "T", "P"]).trim_end().to_string()
}

fn scaled(mut x: f64, base: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while x >= base && unit + 1 < units.len() {
        x /= base;
        unit += 1;
    }
    if unit == 0 { format!("{x} {}", units[0]) } else { format!("{x:.1} {}", units[unit]) }
}

/// Whole numbers with commas: `44,426`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|g| String::from_utf8_lossy(g).into_owned());
    let all: Vec<String> = Some(head.to_string()).filter(|h| !h.is_empty()).into_iter().chain(groups).collect();
    all.join(",")
}

/// A share as percent: `97.85 %`.
pub fn percent(share: f64) -> String {
    Unit::Share.text(share)
}

/// Seconds as milliseconds, with as many digits as a clock gives: `0.0798`, `32.53`.
pub fn ms(seconds: f64) -> String {
    let ms = seconds * 1e3;
    let digits = [(1.0, 4), (10.0, 3), (100.0, 2)].into_iter().find(|d| ms < d.0).map_or(1, |d| d.1);
    format!("{ms:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!((bytes(0), bytes(1023), bytes(1536)), ("0 bytes".into(), "1023 bytes".into(), "1.5 KiB".into()));
        assert_eq!((count(999), count(13_500_000)), ("999".into(), "13.5 M".into()));
        assert_eq!([0, 12, 123, 1234, 1_234_567].map(grouped), ["0", "12", "123", "1,234", "1,234,567"]);
        assert_eq!([7.98e-5, 0.0012345, 0.03253, 1.2].map(ms), ["0.0798", "1.234", "32.53", "1200.0"]);
        assert_eq!(percent(0.97854), "97.85 %");
    }
}
