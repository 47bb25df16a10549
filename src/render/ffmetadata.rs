//! Chapters as FFmpeg reads them: `ffmpeg -i talk.mp4 -i chapters.txt -map_chapters 1 -c copy out.mp4`.

use super::plain::one_line;
use super::reel::Reel;
use std::fmt::Write;

pub(super) fn chapters(reels: &[Reel]) -> String {
    let mut text = ";FFMETADATA1\n".to_owned();
    for reel in reels {
        let _ = writeln!(text, "title={}", escape(&reel.name()));
        for chapter in reel.chapters() {
            let millis = |seconds: f64| (seconds * 1000.0).round() as u64;
            let (start, end) = (millis(chapter.span.start), millis(chapter.span.end));
            let _ = write!(
                text,
                "\n[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={}\n",
                escape(&chapter.title)
            );
        }
    }
    text
}

/// The characters that mean something to the format get a backslash.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        if matches!(c, '=' | ';' | '#' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    // FFmpeg takes a line break behind any backslash for part of the text, behind an escaped one too.
    if escaped.ends_with('\\') {
        escaped.push(' ');
    }
    escaped
}
