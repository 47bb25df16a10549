//! A page of its own: a timeline and a table.

use super::{clock, file_name};
use crate::scenes::Scenes;
use std::fmt::Write;

const STYLE: &str = "body{font:16px system-ui,sans-serif;margin:2rem;max-width:60rem;color:#222;background:#fff}\
    .timeline{display:flex;height:2.5rem;margin:1rem 0;border-radius:4px;overflow:hidden}\
    .timeline a{background:#4a7fb5;border-right:1px solid #fff;min-width:1px}.timeline a:nth-child(2n){background:#8fb3d6}\
    table{border-collapse:collapse}th,td{padding:.25rem .75rem;text-align:right;border-bottom:1px solid #ddd}\
    td{font-variant-numeric:tabular-nums}tr:target{background:#fff3c4}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}tr:target{background:#443c00}}";

pub(super) fn scenes(scenes: &Scenes) -> String {
    let name = escape(&file_name(scenes));
    let start = scenes.scenes.first().map_or(0.0, |first| first.start);
    let whole = (scenes.scenes.last().map_or(0.0, |last| last.end) - start).max(1e-9);
    let (mut timeline, mut rows) = (String::new(), String::new());
    for scene in &scenes.scenes {
        let (number, length) = (scene.index + 1, scene.end - scene.start);
        let (from, to) = (clock(scene.start), clock(scene.end));
        let _ = writeln!(
            timeline,
            "<a href=\"#s{number}\" style=\"flex:{:.6}\" title=\"{number}: {from} to {to}\"></a>",
            length / whole
        );
        let _ = writeln!(
            rows,
            "<tr id=\"s{number}\"><td>{number}<td>{from}<td>{to}<td>{length:.3}<td>{}<td>{}</tr>",
            scene.start_frame, scene.end_frame
        );
    }
    let count = scenes.scenes.len();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width\">\n<title>Scenes of {name}</title>\n<style>{STYLE}</style>\n\
        <h1>{name}</h1>\n<p>{count} scenes in {}, found by the {} detector.</p>\n\
        <nav class=\"timeline\" aria-label=\"Timeline\">\n{timeline}</nav>\n\
        <table>\n<thead><tr><th>Scene<th>Start<th>End<th>Seconds<th>First frame<th>Frame after</tr></thead>\n\
        <tbody>\n{rows}</tbody>\n</table>\n</html>\n",
        clock(whole),
        escape(scenes.detector),
    )
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
    use super::escape;

    #[test]
    fn names_cannot_be_markup() {
        assert_eq!(escape("<script>'a' & \"b\""), "&lt;script&gt;&#39;a&#39; &amp; &quot;b&quot;");
    }
}
