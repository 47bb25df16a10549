//! The commands that do to one video what the batch did.

use crate::run::Question;
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// `longsight ask` with the batch's flags, ready for a shell: one command for all questions that have the same choices, one after the
/// other until one fails.
pub(super) fn ask(path: &Path, questions: &[Question], flags: &[String], limit: Option<Duration>) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut groups: Vec<(&[String], Vec<&str>)> = Vec::new();
    for Question { text, choices } in questions {
        match groups.iter_mut().find(|(known, _)| known == choices) {
            Some((_, texts)) => texts.push(text),
            None => groups.push((choices, vec![text])),
        }
    }
    let command = |(choices, texts): (&[String], Vec<&str>)| {
        let mut words: Vec<String> = ["longsight", "ask", "--json"].map(str::to_owned).into();
        words.extend(flags.iter().map(|flag| quote(OsStr::new(flag))));
        words.extend(limit.map(|limit| format!("--timeout={}", limit.as_secs_f64())));
        // Each with its flag, as a choice may begin like one.
        words.extend(choices.iter().map(|choice| quote(OsStr::new(&format!("--choices={choice}")))));
        words.push("--".to_owned());
        words.push(quote(absolute.as_os_str()));
        words.extend(texts.into_iter().map(|text| quote(OsStr::new(text))));
        words.join(" ")
    };
    groups.into_iter().map(command).collect::<Vec<_>>().join(" && ")
}

/// One word of a shell's command line: as it is, in single quotes, or, where it holds what cannot be written there, as
/// `$'...'`.
fn quote(word: &OsStr) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&byte);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(plain) => text.to_owned(),
        Some(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut quoted = "$'".to_owned();
            for &byte in word.as_bytes() {
                match byte {
                    b'\'' | b'\\' => quoted.extend(['\\', char::from(byte)]),
                    b' '..=b'~' => quoted.push(char::from(byte)),
                    // Three octal digits, so that a digit behind them is not taken for a part of them.
                    _ => drop(write!(quoted, "\\{byte:03o}")),
                }
            }
            quoted + "'"
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_a_quoted_word_as_it_was() {
        let words: [&[u8]; 9] = [
            b"",
            b"plain.mp4",
            b"two words",
            b"it's",
            b"$(rm -rf x) `y` \"z\" *",
            "\u{1f600}.mp4".as_bytes(),
            b"line\nbreak's",
            b"\xff\x001"[..1].as_ref(),
            b"\x1b[2J\\7",
        ];
        for word in words {
            let script = format!("printf %s {}", quote(OsStr::from_bytes(word)));
            let printed = Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(printed.stdout, word, "{script}");
        }
    }
}
