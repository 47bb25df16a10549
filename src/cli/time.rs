//! Times as users write and read them.

/// Reads `90`, `1:30`, `0:01:30.5`, `5415.25` or `5415s` as seconds.
///
/// # Errors
/// When the text is none of these; the message says what is accepted.
pub fn parse_time(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no time; write 90, 1:30, 0:01:30.5 or 90s");
    let parts: Vec<&str> = text.strip_suffix('s').unwrap_or(text).split(':').collect();
    if parts.len() > 3 {
        return Err(wrong());
    }
    let mut seconds = 0.0;
    for (place, part) in parts.iter().enumerate() {
        let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let value: f64 = if plain { part.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
        let last = place + 1 == parts.len();
        if (place > 0 && value >= 60.0) || (!last && part.contains('.')) {
            return Err(wrong());
        }
        seconds = seconds * 60.0 + value;
    }
    Ok(seconds)
}

/// Writes seconds as `HH:MM:SS.mmm`; negative times, which edit lists can cause, keep their sign.
#[must_use]
pub(super) fn format_time(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let millis = (seconds.abs() * 1000.0).round() as u64;
    let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    format!("{sign}{hours:02}:{minutes:02}:{:02}.{:03}", rest / 1000, rest % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_users_write_them() {
        for (text, seconds) in
            [("90", 90.0), ("1:30", 90.0), ("0:01:30.5", 90.5), ("5415.25", 5415.25), ("5415s", 5415.0)]
        {
            assert_eq!(parse_time(text), Ok(seconds), "{text}");
        }
        for text in ["", "s", "1:", "1:60", "1.5:00", "1:2:3:4", "-4", "1e3", "nan", "inf", "."] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_printed_to_the_millisecond() {
        assert_eq!(format_time(3725.0414), "01:02:05.041");
        assert_eq!(format_time(-0.5), "-00:00:00.500");
        assert_eq!(format_time(59.9996), "00:01:00.000");
    }
}
