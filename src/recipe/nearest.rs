//! The nearest known key to a misspelt one.

/// From serde's "unknown field `fsp`, expected one of `fps`, `from`": ` (did you mean `fps`?)`.
pub(super) fn hint(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return None;
    }
    let wrong = quoted.next()?;
    let best = quoted.max_by(|a, b| strsim::jaro_winkler(wrong, a).total_cmp(&strsim::jaro_winkler(wrong, b)))?;
    Some(format!("\ndid you mean `{best}`?"))
}
