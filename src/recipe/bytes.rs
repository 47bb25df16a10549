//! Amounts of memory as people write them.

use serde::{Deserialize, Deserializer};

/// Reads `8G`, `512M`, `1.5GiB`, `800000000`; units are powers of 1024.
///
/// # Errors
/// With what is wrong.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 1_u64,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return Err(format!("`{text}` is no amount of memory; write 8G or 512M")),
    };
    match number.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok((number * factor as f64) as u64),
        _ => Err(format!("`{text}` is no amount of memory; write 8G or 512M")),
    }
}

/// A whole number of bytes, or text with a unit.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Option::<Written>::deserialize(from)? {
        None => Ok(None),
        Some(Written::Number(bytes)) => Ok(Some(bytes)),
        Some(Written::Text(text)) => parse_bytes(&text).map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn amounts_are_read_with_their_units() {
        for (text, bytes) in
            [("8G", 8 << 30), ("512m", 512 << 20), ("1.5 GiB", 3 << 29), ("10KB", 10 << 10), ("77", 77)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "8X", "-1G", "0", "1e9"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
