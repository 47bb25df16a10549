//! For people.

use super::plain::{clock, one_line};
use crate::evidence::Check;
use crate::run::{Answer, Captions, Moments};
use crate::scenes::Scenes;
use std::fmt::Write;

/// A table.
pub(super) fn scenes(scenes: &Scenes) -> String {
    let mut text = format!("{:>5}  {:>12}  {:>12}  {:>10}  {:>17}\n", "scene", "start", "end", "seconds", "frames");
    for scene in &scenes.scenes {
        let frames = format!("{}-{}", scene.start_frame, scene.end_frame);
        let (start, end, length) = (clock(scene.start), clock(scene.end), scene.end - scene.start);
        let _ = writeln!(text, "{:>5}  {start:>12}  {end:>12}  {length:>10.3}  {frames:>17}", scene.index);
    }
    text
}

/// Words first, then what they rest on.
pub(super) fn answers(answers: &[Answer]) -> String {
    let mut text = String::new();
    for answer in answers {
        if answers.len() > 1 {
            let _ = writeln!(text, "{}", shown(&answer.question));
        }
        let _ = writeln!(text, "{}", shown(&answer.answer));
        for span in &answer.evidence {
            let (start, end, seen) = (clock(span.start), clock(span.end), span.frames.len());
            let _ =
                writeln!(text, "  {start} - {end}  {}, {seen} frames seen, score {:.2}", check(span.check), span.score);
        }
    }
    text
}

/// What a closer look came to.
fn check(check: Check) -> &'static str {
    match check {
        Check::Verified => "verified",
        Check::Weak => "weak: a closer look does not bear it out",
        Check::Contradicted => "contradicted: a closer look does not show it",
        Check::Unchecked => "not checked",
    }
}

/// A line for each moment, best first; the video in front where there are several.
pub(super) fn moments<'a>(found: impl Iterator<Item = &'a Moments> + Clone) -> String {
    let several = found.clone().nth(1).is_some();
    let mut lines: Vec<(f64, String)> = Vec::new();
    for one in found {
        let name = if several { format!("{}  ", one_line(&one.video.path)) } else { String::new() };
        let line = |moment: &crate::run::Moment| {
            let (start, end) = (clock(moment.start), clock(moment.end));
            let check = if moment.verified { "verified" } else { "not verified" };
            (moment.score, format!("{name}{start} - {end}  {check}, score {:.2}\n", moment.score))
        };
        lines.extend(one.moments.iter().map(line));
    }
    lines.sort_by(|a, b| b.0.total_cmp(&a.0));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// A line for each stretch; a heading for each chapter where there are fewer of them than stretches.
pub(super) fn captions(told: &Captions) -> String {
    let headed = told.chapters.len() < told.captions.len() && told.chapters.len() > 1;
    let mut text = String::new();
    let mut captions = told.captions.iter();
    for (number, chapter) in told.chapters.iter().enumerate() {
        if headed {
            let _ = writeln!(text, "{}. {}", number + 1, one_line(&chapter.title));
        }
        for caption in captions.by_ref().take(chapter.captions) {
            let (start, end) = (clock(caption.start), clock(caption.end));
            let _ = writeln!(text, "  {start} - {end}  {}", one_line(&caption.text));
        }
    }
    text
}

/// Text as a terminal may show it: lines stay, other control characters, which could move the cursor, do not.
fn shown(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n")
}
