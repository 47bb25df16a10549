//! Every time line format read back: by libavformat where it reads it, else by its grammar.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::plain::one_line;
use super::reel::{Group, Kind, Mark, Media, Reel, Thumb};
use super::{edl, ffmetadata, html, markdown, otio, srt, vtt};
use ffmpeg_next as ffmpeg;
use longsight_models::Span;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What somebody might write to break each of the formats.
const HOSTILE: [&str; 10] = [
    "a --> b",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "{\\an8}<b>big</b> &amp; \"quoted\" 'too'",
    "=HYPERLINK(\"http://example.org\")",
    "one\n\n2\n00:00:01,000 --> 00:00:02,000\ntwo\r\nthree",
    "title=x;[CHAPTER]\n#comment\\",
    "WEBVTT\n\nNOTE x\n\nSTYLE\n::cue{}",
    "\u{202e}desrever\u{0}\u{1b}[2J",
    "| a | [link](javascript:alert(1)) | `code` |",
];

fn media() -> Media {
    Media {
        path: "/videos/a \"b\" <c>.mp4".into(),
        player: Some("a \"b\" <c>.mp4".into()),
        frame_rate: Some(25.0),
        end_s: Some(100.0),
        ..Media::default()
    }
}

fn mark(start: f64, end: f64, title: &str, text: &str) -> Mark {
    Mark {
        span: Span { start, end },
        first_frame: (start * 25.0) as u64,
        end_frame: (end * 25.0) as u64,
        title: one_line(title),
        text: one_line(text),
        score: Some(0.5),
        verified: false,
        data: json!({"question": title, "answer": text}),
    }
}

fn reel(media: &Media, marks: Vec<Mark>) -> Reel<'_> {
    let group = Group {
        heading: one_line(HOSTILE[1]),
        text: one_line(HOSTILE[2]),
        status: None,
        coverage: None,
        warnings: vec![HOSTILE[2].to_owned()],
        marks,
    };
    Reel { kind: Kind::Evidence, media, groups: vec![group] }
}

/// A hostile span every ten seconds, none overlapping.
fn hostile() -> Vec<Mark> {
    let titles = HOSTILE.iter().enumerate();
    titles
        .map(|(n, title)| mark(n as f64 * 10.0, n as f64 * 10.0 + 5.0, title, HOSTILE[HOSTILE.len() - 1 - n]))
        .collect()
}

/// A cue of a WebVTT file.
#[derive(Debug, PartialEq)]
struct Cue {
    start: f64,
    end: f64,
    payload: String,
}

/// The grammar of WebVTT (W3C, 4.1 and 4.2.2), as a file must be written, not as a lenient reader takes it.
fn webvtt(text: &str) -> Result<Vec<Cue>, String> {
    let time = |text: &str| -> Result<f64, String> {
        let wrong = || format!("`{text}` is no time");
        let (clock, millis) = text.split_once('.').ok_or_else(wrong)?;
        let parts: Vec<&str> = clock.split(':').collect();
        let digits = |text: &str, least: usize, most: usize| {
            (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let fits = parts.len() == 3 && digits(parts[0], 2, 9) && digits(parts[1], 2, 2) && digits(parts[2], 2, 2);
        if !fits || !digits(millis, 3, 3) || parts[1] > "59" || parts[2] > "59" {
            return Err(wrong());
        }
        let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
        Ok(number(parts[0])? * 3600.0 + number(parts[1])? * 60.0 + number(parts[2])? + number(millis)? / 1000.0)
    };
    if text.contains(['\0', '\r']) {
        return Err("a character that must not be there".to_owned());
    }
    let mut blocks = text.strip_suffix('\n').ok_or("no line break at the end")?.split("\n\n");
    if blocks.next() != Some("WEBVTT") {
        return Err("no signature".to_owned());
    }
    let mut cues: Vec<Cue> = Vec::new();
    for block in blocks {
        let mut lines = block.lines();
        let id = lines.next().ok_or("an empty block")?;
        if id.contains("-->") || id.is_empty() || ["STYLE", "REGION", "NOTE"].iter().any(|word| id.starts_with(word)) {
            return Err(format!("`{id}` is no identifier"));
        }
        let timing = lines.next().ok_or("a cue without times")?;
        let (start, end) = timing.split_once(" --> ").ok_or_else(|| format!("`{timing}` are no times"))?;
        let (start, end) = (time(start)?, time(end)?);
        let payload = lines.collect::<Vec<_>>().join("\n");
        if start >= end || payload.contains("-->") {
            return Err(format!("cue {id}: `{timing}`, `{payload}`"));
        }
        if cues.last().is_some_and(|last| last.start > start) {
            return Err(format!("cue {id} is out of order"));
        }
        cues.push(Cue { start, end, payload });
    }
    Ok(cues)
}

/// Cue text without markup: only the three character references that are needed, no tag.
fn cue_text(payload: &str) -> Result<String, String> {
    let bare = payload.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
    if bare.contains(['<', '>', '&']) {
        return Err(format!("`{payload}` has markup"));
    }
    Ok(payload.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

#[test]
fn webvtt_keeps_to_its_grammar_and_its_texts() {
    let media = media();
    let reels = [reel(&media, hostile())];
    let cues = webvtt(&vtt::captions(&reels)).unwrap();
    for (cue, mark) in cues.iter().zip(reels[0].marks()) {
        assert_eq!((cue.start, cue.end), (mark.span.start, mark.span.end));
        assert_eq!(cue_text(&cue.payload).unwrap(), mark.lines().collect::<Vec<_>>().join("\n"));
    }
    let chapters = webvtt(&vtt::chapters(&reels)).unwrap();
    assert_eq!(chapters.len(), HOSTILE.len());
    assert_eq!(cue_text(&chapters[0].payload).unwrap(), "a --> b");
    let data = webvtt(&vtt::metadata(&reels)).unwrap();
    for (cue, mark) in data.iter().zip(reels[0].marks()) {
        let value: Value = serde_json::from_str(&cue.payload).unwrap();
        assert_eq!((&value["data"], value["title"].as_str().unwrap()), (&mark.data, mark.title.as_str()));
    }
}

#[test]
fn the_grammar_check_is_strict() {
    for wrong in [
        "WEBVTT\n\n1\n00:00:01.000 --> 00:00:01.000\nx\n",
        "WEBVTT\n\n1\n00:01.000 --> 00:02.000\nx\n",
        "WEBVTT\n\n1\n00:00:01,000 --> 00:00:02,000\nx\n",
        "WEBVTT\n\n1\n00:00:61.000 --> 00:01:02.000\nx\n",
        "WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\na --> b\n",
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000 --> x\nx\n",
        "WEBVTT \n\n1\n00:00:05.000 --> 00:00:06.000\nx\n",
        "WEBVTT\n\n1\n00:00:05.000 --> 00:00:06.000\nx\n\n2\n00:00:04.000 --> 00:00:06.000\nx\n",
    ] {
        assert!(webvtt(wrong).is_err(), "{wrong}");
    }
    assert!(cue_text("a < b").is_err() && cue_text("<b>").is_err());
}

#[test]
fn cues_are_in_order_and_chapters_do_not_overlap() {
    let media = media();
    let marks = vec![
        mark(20.0, 30.0, "late", ""),
        mark(-1.0, 0.0, "before the start", ""),
        mark(5.0, 25.0, "long", ""),
        mark(7.0, 7.0, "short", ""),
        mark(20.0, 22.0, "twin", ""),
    ];
    let reels = [reel(&media, marks)];
    let starts: Vec<f64> = webvtt(&vtt::captions(&reels)).unwrap().iter().map(|cue| cue.start).collect();
    assert_eq!(starts, [0.0, 5.0, 7.0, 20.0, 20.0]);
    let chapters = webvtt(&vtt::chapters(&reels)).unwrap();
    for pair in chapters.windows(2) {
        assert!(pair[0].end <= pair[1].start, "{chapters:?}");
    }
    let titles: Vec<&str> = chapters.iter().map(|chapter| chapter.payload.as_str()).collect();
    assert_eq!(titles, ["before the start", "long", "short", "late"]);
}

/// Opened by libavformat as a file with this ending.
fn libavformat(text: &str, ending: &str) -> (tempfile::TempDir, ffmpeg::format::context::Input) {
    ffmpeg::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("file.{ending}"));
    std::fs::write(&path, text).unwrap();
    let input = ffmpeg::format::input(&path).unwrap();
    (folder, input)
}

#[test]
fn libavformat_reads_the_chapters() {
    let media = media();
    let (_folder, input) = libavformat(&ffmetadata::chapters(&[reel(&media, hostile())]), "ffmeta");
    assert_eq!(input.format().name(), "ffmetadata");
    assert_eq!(input.metadata().get("title"), Some("a \"b\" <c>.mp4"));
    assert_eq!(input.nb_chapters() as usize, HOSTILE.len());
    for (chapter, (n, title)) in input.chapters().zip(HOSTILE.iter().enumerate()) {
        assert_eq!((chapter.start(), chapter.end()), (n as i64 * 10_000, n as i64 * 10_000 + 5000));
        assert_eq!(chapter.metadata().get("title").map(str::trim_end), Some(one_line(title).as_str()));
    }
}

#[test]
fn libavformat_reads_the_captions() {
    let media = media();
    let reels = [reel(&media, hostile())];
    for (text, ending, name) in [(srt::captions(&reels), "srt", "srt"), (vtt::captions(&reels), "vtt", "webvtt")] {
        let (_folder, mut input) = libavformat(&text, ending);
        assert_eq!(input.format().name(), name);
        let base = f64::from(input.stream(0).unwrap().time_base());
        let mut packets = Vec::new();
        for (_, packet) in input.packets() {
            let text = String::from_utf8(packet.data().unwrap().to_vec()).unwrap();
            let start = packet.pts().unwrap() as f64 * base;
            packets.push((start, start + packet.duration() as f64 * base, text));
        }
        assert_eq!(packets.len(), HOSTILE.len(), "{ending}");
        for ((start, end, text), mark) in packets.iter().zip(reels[0].marks()) {
            assert!((start - mark.span.start).abs() < 1e-6 && (end - mark.span.end).abs() < 1e-6);
            assert_eq!(text.lines().count(), mark.lines().count(), "{text}");
            assert!(!text.contains('<') && (ending == "vtt" || !text.contains('{')), "{text}");
        }
    }
}

#[test]
fn an_edit_list_lays_selects_behind_each_other() {
    let media = media();
    let text = edl::edits(&[reel(&media, hostile())]);
    let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let frames = |code: &str| {
        let parts: Vec<u64> = code.split(':').map(|part| part.parse().unwrap()).collect();
        ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 25 + parts[3]
    };
    let mut recorded = 0;
    let events: Vec<&str> = text.lines().filter(|line| line.contains("  AX  ")).collect();
    assert_eq!(events.len(), HOSTILE.len());
    for (line, n) in events.iter().zip(0..) {
        let fields = fields(line);
        assert_eq!(fields[..4], [format!("{:03}", n + 1), "AX".into(), "V".into(), "C".into()]);
        assert_eq!((frames(&fields[4]), frames(&fields[5])), (n * 250, n * 250 + 125));
        assert_eq!((frames(&fields[6]), frames(&fields[7])), (recorded, recorded + 125));
        recorded += 125;
    }
    for line in text.lines().skip(2).filter(|line| !line.is_empty() && !line.contains("  AX  ")) {
        assert!(line.starts_with("* FROM CLIP NAME: ") || line.starts_with("* COMMENT: "), "{line}");
    }
}

#[test]
fn a_timeline_has_whole_frames_and_its_texts() {
    let media = media();
    let value: Value = serde_json::from_str(&otio::timeline(&[reel(&media, hostile())])).unwrap();
    assert_eq!(value["OTIO_SCHEMA"], "Timeline.1");
    let track = &value["tracks"]["children"][0];
    assert_eq!((&track["OTIO_SCHEMA"], &track["kind"]), (&json!("Track.1"), &json!("Video")));
    let clips = track["children"].as_array().unwrap();
    for (clip, (n, title)) in clips.iter().zip(HOSTILE.iter().enumerate()) {
        let range = &clip["source_range"];
        assert_eq!(
            (&clip["OTIO_SCHEMA"], clip["name"].as_str().unwrap()),
            (&json!("Clip.2"), one_line(title).as_str())
        );
        assert_eq!(range["start_time"]["value"], n as f64 * 250.0);
        assert_eq!((&range["duration"]["value"], &range["duration"]["rate"]), (&json!(125.0), &json!(25.0)));
        assert_eq!(clip["metadata"]["longsight"]["question"], *title);
        let whole = &clip["media_references"]["DEFAULT_MEDIA"]["available_range"];
        assert_eq!(whole["duration"]["value"], 2500.0);
    }
}

#[test]
fn a_page_carries_everything_and_runs_nothing_of_others() {
    let thumb = Thumb { time_s: 2.0, jpeg: b"\xff\xd8\xff".to_vec() };
    let media = Media { thumbs: vec![thumb], scenes: vec![Span::new(0.0, 50.0), Span::new(50.0, 100.0)], ..media() };
    let page = html::page(&[reel(&media, hostile())]);
    // What is not the page's own style and script.
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let (body, rest) = rest.split_once("<script>").unwrap();
    let (_, tail) = rest.split_once("</script>").unwrap();
    let markup = format!("{head}{body}{tail}");
    assert!(!markup.contains("<script") && !markup.contains("onerror=alert(1)>") && !markup.contains("<img src=x"));
    let sources: Vec<&str> = markup.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(sources, ["a%20%22b%22%20%3Cc%3E.mp4", "data:image/jpeg;base64,/9j/"]);
    assert!(!markup.contains("href=") && !markup.contains("url(") && !page.contains("@import"));
    // Every span twice, on the time line and as a card, and the scenes once.
    let spans: Vec<&str> = markup.split("data-start=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(spans.len(), 2 * HOSTILE.len() + 2);
    assert_eq!(spans.iter().filter(|start| **start == "10.000").count(), 2);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn markdown_shows_texts_as_they_are() {
    let media = media();
    let text = markdown::document(&[reel(&media, hostile())]);
    assert!(text.contains(r"## \<script\>alert(1)\</script\>"), "{text}");
    assert!(!text.contains("<script>"));
    assert_eq!(text.lines().filter(|line| line.starts_with("| ")).count(), HOSTILE.len() + 2);
}

proptest! {
    #[test]
    fn any_text_survives_captions_and_chapters(title in "\\PC{0,40}|(?s).{0,40}", text in "(?s).{0,20}") {
        let media = Media::default();
        let reels = [reel(&media, vec![mark(1.0, 2.0, &title, &text)])];
        let cues = webvtt(&vtt::captions(&reels)).map_err(TestCaseError::fail)?;
        let lines: Vec<String> = [&title, &text].iter().map(|text| one_line(text)).filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(cue_text(&cues[0].payload).map_err(TestCaseError::fail)?, lines.join("\n"));
        webvtt(&vtt::metadata(&reels)).map_err(TestCaseError::fail)?;
        prop_assert_eq!(srt::captions(&reels).matches("-->").count(), 1);
        let chapters = ffmetadata::chapters(&reels);
        prop_assert_eq!(chapters.lines().filter(|line| line.starts_with('[')).count(), 1);
    }
}
