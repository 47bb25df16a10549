//! Which files are meant: `*.mp4`, `raw`, `2024/**/cam-?.mkv`.

use glob::{MatchOptions, Pattern};

/// `*` and `?` stay within a folder's name; `**` does not.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// A pattern of paths. Without a slash it is compared with names at any depth, else with the path from the input folder on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    text: String,
    pattern: Pattern,
}

/// A pattern that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no pattern: {reason}")]
pub struct SelectorError {
    /// The pattern
    pub text: String,
    /// What is wrong with it
    pub reason: String,
}

impl Selector {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When brackets or stars are out of place.
    pub fn new(text: &str) -> Result<Self, SelectorError> {
        let pattern = Pattern::new(text.trim_end_matches('/'))
            .map_err(|error| SelectorError { text: text.to_owned(), reason: error.msg.to_owned() })?;
        Ok(Self { text: text.to_owned(), pattern })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `relative`, a path with slashes, is meant. A path that is spelt like the pattern always is, so that names
    /// with brackets can be given as they are.
    #[must_use]
    pub fn selects(&self, relative: &str) -> bool {
        let name = relative.rsplit('/').next().unwrap_or(relative);
        if self.text == relative || self.text == name {
            return true;
        }
        let subject = if self.pattern.as_str().contains('/') { relative } else { name };
        self.pattern.matches_with(subject, OPTIONS)
    }
}

impl std::str::FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(pattern: &str, path: &str, expected: bool) {
        assert_eq!(Selector::new(pattern).unwrap().selects(path), expected, "{pattern} {path}");
    }

    #[test]
    fn names_match_at_any_depth_and_paths_from_the_folder_on() {
        check("*.mp4", "a.mp4", true);
        check("*.mp4", "x/y/a.mp4", true);
        check("*.mp4", "a.mkv", false);
        check("x/*.mp4", "x/a.mp4", true);
        check("x/*.mp4", "x/y/a.mp4", false);
        check("x/**/*.mp4", "x/y/z/a.mp4", true);
        check("raw/", "x/raw", true);
        check("cam-?.mp4", "cam-1.mp4", true);
    }

    #[test]
    fn a_name_with_brackets_is_itself() {
        check("take [1].mp4", "x/take [1].mp4", true);
        check("take [1].mp4", "x/take 1.mp4", true);
        assert!(Selector::new("a[").is_err());
    }
}
