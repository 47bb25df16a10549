//! A page of its own, without network: a player with the file, a time line, the spans with their pictures. A click on a
//! span goes to it.

use super::plain::{clock, one_line, word};
use super::reel::{Group, Kind, Mark, Reel};
use crate::evidence::Coverage;
use longsight_models::Span;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");
/// What the page may load: the local file, pictures that it carries, nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
    media-src 'self' file:; base-uri 'none'; form-action 'none'";

pub(super) fn page(reels: &[Reel]) -> String {
    let what = match reels.first().map(|reel| reel.kind) {
        Some(Kind::Evidence) => "Answers about",
        Some(Kind::Moments) => "Moments of",
        Some(Kind::Captions) => "Captions of",
        Some(Kind::Scenes) | None => "Scenes of",
    };
    let title = match reels {
        [one] => format!("{what} {}", one.name()),
        several => format!("{what} {} videos", several.len()),
    };
    let sections: String = reels.iter().map(section).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
        <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
        {sections}<script>\n{SCRIPT}</script>\n</html>\n",
        escape(&title)
    )
}

fn section(reel: &Reel) -> String {
    let mut text = format!("<section>\n<h1>{}</h1>\n", escape(&reel.name()));
    if let Some(path) = &reel.media.player {
        let _ = writeln!(text, "<video controls preload=\"metadata\" src=\"{}\"></video>", escape(&url(path)));
    }
    text.push_str(&timeline(reel));
    for group in &reel.groups {
        text.push_str(&written(group, reel));
    }
    text.push_str("</section>\n");
    text
}

/// The video from left to right: its shots, the spans below, what was not looked at behind.
fn timeline(reel: &Reel) -> String {
    let whole = whole(reel);
    let place = |span: Span| {
        let share = |seconds: f64| ((seconds - whole.start) / whole.duration().max(1e-9)).clamp(0.0, 1.0) * 100.0;
        format!("left:{:.4}%;width:{:.4}%", share(span.start), share(span.end) - share(span.start))
    };
    let mut text = format!(
        "<nav class=\"timeline\" aria-label=\"Time line\" data-from=\"{:.3}\" data-to=\"{:.3}\">\n",
        whole.start, whole.end
    );
    for span in unseen(reel, whole) {
        let title = format!("not looked at: {} to {}", clock(span.start), clock(span.end));
        let _ = writeln!(text, "<div class=\"unseen\" style=\"{}\" title=\"{title}\"></div>", place(span));
    }
    let mut button = |class: &str, span: Span, title: &str| {
        let title = format!("{title}: {} to {}", clock(span.start), clock(span.end));
        let title = escape(&title);
        let _ = writeln!(
            text,
            "<button class=\"{class}\" style=\"{}\" {} title=\"{title}\" aria-label=\"{title}\"></button>",
            place(span),
            times(span)
        );
    };
    if reel.kind != Kind::Scenes {
        for (number, &scene) in reel.media.scenes.iter().enumerate() {
            button("scene", scene, &format!("Scene {}", number + 1));
        }
    }
    for mark in reel.marks() {
        let class = match (reel.kind, mark.verified) {
            (Kind::Scenes | Kind::Captions, _) => "scene",
            (_, true) => "mark verified",
            (_, false) => "mark",
        };
        button(class, mark.span, &mark.title);
    }
    text.push_str("<div class=\"head\"></div>\n</nav>\n");
    text
}

/// From the first second of the video or of what was found to the last.
fn whole(reel: &Reel) -> Span {
    let spans = || reel.marks().map(|mark| mark.span).chain(reel.media.scenes.iter().copied());
    let seen = || reel.groups.iter().filter_map(|group| group.coverage.as_ref());
    let starts = spans().map(|span| span.start).chain(seen().map(|seen| seen.from));
    let ends = spans().map(|span| span.end).chain(seen().map(|seen| seen.to));
    let start = starts.fold(if reel.kind == Kind::Scenes { f64::INFINITY } else { reel.media.start_s }, f64::min);
    let end = ends.chain(reel.media.end_s).fold(f64::NEG_INFINITY, f64::max);
    if start < end { Span { start, end } } else { Span { start: 0.0, end: 1.0 } }
}

/// What no question's look covered.
fn unseen(reel: &Reel, whole: Span) -> Vec<Span> {
    let covered = |seen: &Coverage| Span { start: seen.from, end: seen.to };
    let mut seen: Vec<Span> = reel.groups.iter().filter_map(|group| group.coverage.as_ref()).map(covered).collect();
    if seen.is_empty() {
        return Vec::new();
    }
    seen.sort_by(|a, b| a.start.total_cmp(&b.start));
    let (mut gaps, mut at) = (Vec::new(), whole.start);
    for span in seen.into_iter().chain([Span { start: whole.end, end: whole.end }]) {
        // A container's length and its last frame's end differ by up to a frame.
        if span.start - at > 0.1 {
            gaps.push(Span { start: at, end: span.start });
        }
        at = at.max(span.end);
    }
    gaps
}

fn written(group: &Group, reel: &Reel) -> String {
    let mut text = String::new();
    if !group.heading.is_empty() {
        let _ = writeln!(text, "<h2>{}</h2>", escape(&group.heading));
    }
    let _ = writeln!(text, "<p class=\"answer\">{}</p>", escape(&group.text));
    let mut facts = Vec::new();
    if let Some(status) = group.status {
        facts.push(word(&status));
    }
    if let Some(seen) = &group.coverage {
        let (from, to) = (clock(seen.from), clock(seen.to));
        facts.push(format!(
            "{} frames seen from {from} to {to}, at most {:.2} s apart",
            seen.frames_seen, seen.max_gap_s
        ));
    }
    facts.extend(group.warnings.iter().map(|warning| one_line(warning)));
    for fact in facts {
        let _ = writeln!(text, "<p class=\"facts\">{}</p>", escape(&fact));
    }
    text.push_str("<ol class=\"spans\">\n");
    for mark in &group.marks {
        let _ = writeln!(text, "<li>{}", card(mark, reel));
    }
    text.push_str("</ol>\n");
    text
}

/// A span to click on, with its picture where there is one.
fn card(mark: &Mark, reel: &Reel) -> String {
    let thumb = reel.media.thumbs.iter().find(|thumb| mark.span.contains(thumb.time_s));
    let picture = thumb.map_or_else(String::new, |thumb| {
        format!("<img alt=\"{}\" src=\"data:image/jpeg;base64,{}\">", clock(thumb.time_s), base64::encode(&thumb.jpeg))
    });
    let score = mark.score.map_or_else(String::new, |score| format!(" · {score:.2}"));
    let verified = if mark.verified { " · verified" } else { "" };
    let title = if matches!(reel.kind, Kind::Scenes | Kind::Captions) {
        format!("{} · ", escape(&mark.title))
    } else {
        String::new()
    };
    format!(
        "<button {}>{picture}{title}<span class=\"time\">{} – {}</span>{score}{verified}</button>",
        times(mark.span),
        clock(mark.span.start),
        clock(mark.span.end)
    )
}

fn times(span: Span) -> String {
    format!("data-start=\"{:.3}\" data-end=\"{:.3}\"", span.start, span.end)
}

/// A path as a page writes it: relative, or as a `file:` URL.
fn url(path: &Path) -> String {
    let mut url = if path.is_absolute() { "file://".to_owned() } else { String::new() };
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

/// Text that is no markup, in content and in attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_markup() {
        assert_eq!(escape("<script>'a' & \"b\""), "&lt;script&gt;&#39;a&#39; &amp; &quot;b&quot;");
    }

    #[test]
    fn paths_become_urls() {
        assert_eq!(url(Path::new("/a b/#1?.mp4")), "file:///a%20b/%231%3F.mp4");
        assert_eq!(url(Path::new("../javascript:x.mp4")), "../javascript%3Ax.mp4");
    }
}
