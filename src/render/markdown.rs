//! Markdown: a heading for each video and question, a table of the spans.

use super::plain::{clock, one_line};
use super::reel::{Group, Kind, Reel};
use std::fmt::Write;

pub(super) fn document(reels: &[Reel]) -> String {
    let mut text = String::new();
    for reel in reels {
        let break_before = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{break_before}# {}", escape(&reel.name()));
        for group in &reel.groups {
            write_group(&mut text, group, reel.kind == Kind::Captions);
        }
    }
    text
}

fn write_group(text: &mut String, group: &Group, named: bool) {
    if !group.heading.is_empty() {
        let _ = writeln!(text, "\n## {}", escape(&group.heading));
    }
    let _ = writeln!(text, "\n{}", escape(&group.text));
    if !group.marks.is_empty() {
        let (name, line) = if named { (" |", " :--- |") } else { ("", "") };
        let _ =
            writeln!(text, "\n| | start | end | seconds | score |{name}\n| ---: | ---: | ---: | ---: | ---: |{line}");
    }
    for (number, mark) in group.marks.iter().enumerate() {
        let (start, end, length) = (clock(mark.span.start), clock(mark.span.end), mark.span.duration());
        let score = mark.score.map_or_else(String::new, |score| format!("{score:.2}"));
        let name = if named { format!(" {} |", escape(&mark.title)) } else { String::new() };
        let _ = writeln!(text, "| {} | {start} | {end} | {length:.3} | {score} |{name}", number + 1);
    }
    if let Some(seen) = &group.coverage {
        let _ = writeln!(
            text,
            "\n{} frames seen from {} to {}, at most {:.2} s apart.",
            seen.frames_seen,
            clock(seen.from),
            clock(seen.to),
            seen.max_gap_s
        );
    }
    for warning in &group.warnings {
        let _ = writeln!(text, "\n> {}", escape(&one_line(warning)));
    }
}

/// Characters that could be markup get a backslash, which CommonMark reads as the characters themselves: those that mark
/// anywhere, the colon of an address, and what makes a heading or a list at the start of a line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let start = escaped.chars().all(|before| before.is_ascii_digit());
        let marks = match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~' | '|' | '!' | '$' => true,
            ':' => letters.peek() == Some(&'/'),
            '#' | '-' | '+' | '=' | '.' | ')' => start,
            _ => false,
        };
        if marks {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_is_no_markup() {
        assert_eq!(escape("# [x](http://e) <b> `c` | ![i]"), r"\# \[x\](http\://e) \<b\> \`c\` \| \!\[i\]");
        assert_eq!(escape("1. From 2.0 to 4.5 seconds."), r"1\. From 2.0 to 4.5 seconds.");
        assert_eq!(escape("- a well-known list"), r"\- a well-known list");
    }
}
