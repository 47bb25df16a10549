//! SubRip. It has no escapes, and players read `<...>` and `{...}` as styles: both are written as their full-width
//! likenesses, which also breaks an arrow in the text.

use super::plain::clock_with;
use super::reel::Reel;
use std::fmt::Write;

pub(super) fn captions(reels: &[Reel]) -> String {
    let mut text = String::new();
    for (number, cue) in reels.iter().flat_map(Reel::cues).enumerate() {
        let (start, end) = (clock_with(cue.span.start, ','), clock_with(cue.span.end, ','));
        let _ = writeln!(text, "{}\n{start} --> {end}", number + 1);
        for line in cue.lines() {
            let _ = writeln!(text, "{}", escape(line));
        }
        text.push('\n');
    }
    text
}

fn escape(text: &str) -> String {
    let likeness = |c: char| match c {
        '<' => '\u{ff1c}',
        '>' => '\u{ff1e}',
        '{' => '\u{ff5b}',
        '}' => '\u{ff5d}',
        c => c,
    };
    text.chars().map(likeness).collect()
}
