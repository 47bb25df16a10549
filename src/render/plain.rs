//! What every format needs: times in words, and text on one line.

/// Seconds as `HH:MM:SS.mmm`; negative times, which edit lists can cause, keep their sign.
#[must_use]
pub fn clock(seconds: f64) -> String {
    clock_with(seconds, '.')
}

/// The same with another decimal mark.
pub(super) fn clock_with(seconds: f64, mark: char) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let millis = (seconds.abs() * 1000.0).round() as u64;
    let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    format!("{sign}{hours:02}:{minutes:02}:{:02}{mark}{:03}", rest / 1000, rest % 1000)
}

/// Text on one line: line breaks and control characters become spaces, runs of spaces one, and marks that turn the
/// direction of what follows go.
#[must_use]
pub fn one_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let spaced: String = text
        .chars()
        .filter(|&c| !turns(c))
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The word that JSON has for a value of an enum.
pub(super) fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_hours_and_thousandths() {
        assert_eq!(clock(3725.0414), "01:02:05.041");
        assert_eq!(clock(-0.5), "-00:00:00.500");
        assert_eq!(clock_with(59.9996, ','), "00:01:00,000");
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(one_line(" a\r\n\n\tb\u{0}c\u{2028}d \u{202e}e\u{1b}[31m"), "a b c d e [31m");
    }
}
