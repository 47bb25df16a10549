//! How answers and scenes are handed over, through the binary; cuts, frame by frame.

use crate::support::clip::{Clip, number};
use crate::support::command::{Outcome, longsight};
use crate::support::stand_in::decoder;
use crate::support::{files, media};
use longsight::decode::apart::MEMORY;
use longsight::decode::{self, CutError, Feed, How, Limits, Request, Sampling};
use longsight::render::{self, Format, Media};
use longsight::run::Moments;
use longsight_models::Span;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A clip with things in it, and questions of which some are answered with a time.
fn asked() -> (tempfile::TempDir, PathBuf, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    // A name that is hostile to every format and to a shell.
    let path = folder.path().join("a --> <b> \"c\" $(d) #e.mp4");
    let script = Script::write(Split::HeldOut, 7, &Wishes { shortest: 12.0, longest: 12.0 });
    encode(&script, &path, &EncodeOptions { width: 128, height: 96, ..EncodeOptions::default() }).unwrap();
    let questions =
        script.sightings().iter().map(|seen| format!("When is the {} visible?", seen.pair.name())).collect();
    (folder, path, questions)
}

fn ask(path: &Path, questions: &[String], more: &[&str]) -> Outcome {
    let mut args = vec!["ask", path.to_str().unwrap()];
    args.extend(questions.iter().map(String::as_str));
    args.extend(more);
    let outcome = longsight(&args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn answers_come_in_every_format_with_pictures_and_clips_beside_them() {
    let (folder, path, questions) = asked();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let answers = ask(&path, &questions, &["--json", "-q"]).stdout;
    let spans: Vec<(f64, f64)> = answers
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .flat_map(|answer| answer["evidence"].as_array().unwrap().clone())
        .map(|span| (span["start"].as_f64().unwrap(), span["end"].as_f64().unwrap()))
        .collect();
    assert!(!spans.is_empty(), "none of {questions:?} was answered with a time");
    for (format, per_span) in [
        ("jsonl", "\"start\""),
        ("srt", " --> "),
        ("vtt", " --> "),
        ("vtt-metadata", " --> "),
        ("edl", "  AX  "),
        ("otio", "\"Clip.2\""),
        ("html", "<li>"),
    ] {
        let out = at(&format!("out.{format}"));
        let outcome = ask(&path, &questions, &["-q", "--format", format, "--out", &out]);
        assert_eq!(outcome.stdout, "");
        let text = std::fs::read_to_string(&out).unwrap();
        assert_eq!(text.matches(per_span).count(), spans.len(), "{format}: {text}");
    }
    let page = std::fs::read_to_string(at("out.html")).unwrap();
    assert!(page.contains("src=\"a%20--%3E%20%3Cb%3E%20%22c%22%20%24%28d%29%20%23e.mp4\""), "beside the page");
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), spans.len());
    for format in ["csv", "vtt-chapters", "ffmetadata", "markdown", "text"] {
        assert!(!ask(&path, &questions, &["-q", "--format", format]).stdout.is_empty(), "{format}");
    }
    let (thumbs, sheet, clips) = (at("thumbs"), at("sheet.jpg"), at("clips"));
    let args = ["--thumbs", &thumbs, "--contact-sheet", &sheet, "--clips", &clips, "--exact"];
    let told = ask(&path, &questions, &args).stderr;
    assert_eq!(names(Path::new(&thumbs)).len(), spans.len());
    assert!(image::open(&sheet).unwrap().width() > 128);
    let clips: Vec<PathBuf> = names(Path::new(&clips)).iter().map(|name| Path::new(&clips).join(name)).collect();
    assert_eq!(clips.len(), spans.len());
    for (number, (clip, (start, end))) in clips.iter().zip(&spans).enumerate() {
        let name = clip.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("{:03}-{start:.3}s-{end:.3}s.mp4", number + 1));
        let info = decode::open(clip, &Limits::default()).unwrap().info().clone();
        assert!((info.duration_s.unwrap() - (end - start)).abs() < 0.1, "{name}: {info:?}");
        assert!(told.contains(name), "{told}");
    }
}

#[test]
fn a_hostile_question_stays_text() {
    let (_folder, path, questions) = asked();
    let hostile = format!("{}\n\n=cmd|'/c calc'!A0 --> </script><script>alert(1)</script>", questions[0]);
    let questions = [hostile];
    let page = ask(&path, &questions, &["-q", "--format", "html"]).stdout;
    assert_eq!(page.matches("<script>").count(), 1);
    for row in ask(&path, &questions, &["-q", "--format", "csv"]).stdout.lines().skip(1) {
        assert!(row.starts_with('"') && !row.contains("\"=") && row.matches('"').count() % 2 == 0, "{row}");
    }
    for line in ask(&path, &questions, &["-q", "--format", "jsonl"]).stdout.lines() {
        let one_line = questions[0].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["question"], one_line);
    }
}

#[test]
fn scenes_come_in_the_same_formats() {
    let (folder, path, _) = asked();
    let out = folder.path().join("scenes.html");
    let args = ["scenes", path.to_str().unwrap(), "-q", "--format", "html", "-o", out.to_str().unwrap()];
    assert_eq!(longsight(&args).code, Some(0));
    let page = std::fs::read_to_string(&out).unwrap();
    assert!(page.contains("<video") && page.contains("Scene 1"));
    for format in ["table", "srt", "vtt-chapters", "ffmetadata", "markdown", "edl", "otio"] {
        let outcome = longsight(&["scenes", path.to_str().unwrap(), "-q", "--format", format]);
        assert!(outcome.code == Some(0) && !outcome.stdout.is_empty(), "{format}: {}", outcome.stderr);
    }
    let both = longsight(&["scenes", path.to_str().unwrap(), "--json", "--format", "edl"]);
    assert_eq!(both.code, Some(2));
    let nowhere = longsight(&["scenes", path.to_str().unwrap(), "-q", "-o", "/no/such/folder/file"]);
    assert_eq!(nowhere.code, Some(2));
}

#[test]
fn moments_come_in_the_same_formats_and_know_which_speak_of_one_video() {
    let (_folder, path, questions) = asked();
    let answer: Value = serde_json::from_str(&ask(&path, &questions[..1], &["--json", "-q"]).stdout).unwrap();
    let found = |name: &str, spans: &[(f64, f64, f64)]| -> Moments {
        let moment = |&(start, end, score): &(f64, f64, f64)| json!({"start": start, "end": end, "score": score, "verified": true});
        let mut video = answer["video"].clone();
        video["path"] = name.into();
        serde_json::from_value(json!({
            "schema": "longsight.moments/1", "video": video, "query": "a <b>goal</b>",
            "moments": spans.iter().map(moment).collect::<Vec<_>>(), "coverage": answer["coverage"],
            "plan": answer["plan"], "model": answer["model"], "timing_s": answer["timing_s"], "warnings": [],
        }))
        .unwrap()
    };
    let media = |name: &str| Media { path: name.into(), frame_rate: Some(25.0), ..Media::default() };
    let documents = [found("a.mp4", &[(1.0, 2.0, 0.5), (4.0, 6.0, 0.25)]), found("b.mp4", &[(3.0, 4.0, 0.75)])];
    let media = [media("a.mp4"), media("b.mp4")];
    let both: Vec<(&Moments, &Media)> = documents.iter().zip(&media).collect();
    for (name, format) in Format::ALL {
        let one = render::moments(&both[..1], format).unwrap();
        assert!(!one.is_empty() && one.ends_with('\n'), "{name}");
        match render::moments(&both, format) {
            Ok(text) => assert!(format.holds_several_videos() && text.contains("b.mp4"), "{name}: {text}"),
            Err(error) => {
                assert!(!format.holds_several_videos());
                assert_eq!(error.to_string(), format!("{name} speaks of one video, and there are 2"));
            }
        }
    }
    let text = render::moments(&both, Format::Text).unwrap();
    assert!(text.starts_with("b.mp4  00:00:03.000 - 00:00:04.000  verified, score 0.75\n"), "best first: {text}");
    let lines = render::moments(&both, Format::JsonLines).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(
        last,
        json!({"video": "b.mp4", "query": "a <b>goal</b>", "start": 3.0, "end": 4.0, "score": 0.75, "verified": true})
    );
    let page = render::moments(&both, Format::Html).unwrap();
    assert_eq!((page.matches("<section>").count(), page.matches("<b>").count()), (2, 0));
}

/// Numbers and times of the pictures of a file.
fn pictures(path: &Path) -> Vec<(u8, f64)> {
    let mut stream = decode::stream(path, &Request::new(Sampling::All)).unwrap();
    let pictures = (&mut stream).map(|frame| (number(&frame.image).unwrap(), frame.time.seconds())).collect();
    stream.finish().unwrap();
    pictures
}

/// A cut made in this process.
fn cut_here(path: &Path, span: Span, how: How, folder: &Path) -> Result<decode::Cut, CutError> {
    cut_by(path, &Limits::default(), span, how, folder)
}

fn cut_by(path: &Path, limits: &Limits, span: Span, how: How, folder: &Path) -> Result<decode::Cut, CutError> {
    decode::cut(&Feed::open(path, limits)?, span, how, folder, "cut", &Arc::default())
}

fn cut(path: &Path, span: (f64, f64), how: How) -> (decode::Cut, Vec<(u8, f64)>) {
    let folder = path.parent().unwrap().join("cuts");
    std::fs::create_dir_all(&folder).unwrap();
    let cut = cut_here(path, Span::new(span.0, span.1), how, &folder).unwrap();
    let pictures = pictures(&cut.path);
    assert_eq!(names(&folder), [cut.path.file_name().unwrap().to_str().unwrap()], "nothing else is left");
    std::fs::remove_dir_all(&folder).unwrap();
    (cut, pictures)
}

#[test]
fn a_picture_is_the_frame_that_is_shown_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    if !Clip::steady(150).write(&path) {
        return;
    }
    // Frames last 0.04 s; the order asked for is the order given.
    let times = [5.0, 0.1, 2.02, 2.03, 2.0];
    let frames =
        longsight::excerpt::pictures(&Feed::open(&path, &Limits::default()).unwrap(), &times, &Arc::default()).unwrap();
    let numbers: Vec<u8> = frames.iter().map(|frame| number(&frame.as_ref().unwrap().image).unwrap()).collect();
    assert_eq!(numbers, [125, 2, 50, 50, 50]);
}

#[test]
fn a_copy_begins_at_the_key_frame_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (name, ending) in [("clip.mp4", "mp4"), ("clip.mkv", "mkv"), ("clip.ts", "mkv"), ("clip.mov", "mp4")] {
        let path = folder.path().join(name);
        if !Clip::steady(150).write(&path) {
            return;
        }
        let first = pictures(&path)[0].1;
        // A key frame a second: 2.2 lies behind that of picture 50.
        let (cut, shown) = cut(&path, (first + 2.2, first + 3.4), How::Copied);
        assert_eq!(cut.path.extension().unwrap(), ending, "{name}");
        assert!((cut.span.start - first - 2.0).abs() < 1e-3, "{name}: {:?}", cut.span);
        assert!(cut.span.end >= first + 3.4 - 1e-3 && cut.span.end < first + 3.7, "{name}: {:?}", cut.span);
        assert_eq!(shown[0].0, 50, "{name}");
        assert!(shown.iter().any(|&(number, _)| number == 84), "{name}: the last picture of the span is there");
        let numbers: Vec<u8> = shown.iter().map(|&(number, _)| number).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{name}: {numbers:?}");
    }
}

#[test]
fn an_exact_cut_has_the_frames_of_its_span_at_their_times() {
    let folder = tempfile::tempdir().unwrap();
    // Irregular times: every third frame is shown twice as long.
    let pts: Vec<i64> = (0..150).map(|n| n * 3600 + n / 3 * 3600).collect();
    let clip = Clip::steady(150).at((1, 90_000), pts.clone());
    let path = folder.path().join("clip.mp4");
    if !clip.write(&path) {
        return;
    }
    let all = pictures(&path);
    let (from, to) = (all[31].1, all[62].1);
    let (cut, shown) = cut(&path, (from, to), How::Encoded);
    assert_eq!(cut.how, How::Encoded);
    assert!((cut.span.start - from).abs() < 1e-6 && (cut.span.end - to).abs() < 0.05, "{:?}", cut.span);
    let expected: Vec<u8> = (31..62).collect();
    assert_eq!(shown.iter().map(|&(number, _)| number).collect::<Vec<_>>(), expected);
    for ((_, time), (_, source)) in shown.iter().zip(&all[31..62]) {
        assert!((time - (source - from)).abs() < 1e-3, "{time} {source}");
    }
}

#[test]
fn a_span_behind_the_end_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    if !Clip::steady(50).write(&path) {
        return;
    }
    for how in [How::Copied, How::Encoded] {
        let target = folder.path().join("cuts");
        std::fs::create_dir_all(&target).unwrap();
        let outcome = cut_here(&path, Span::new(90.0, 95.0), how, &target);
        assert!(outcome.is_err(), "{outcome:?}");
        assert!(names(&target).is_empty());
    }
}

/// Six seconds with a tone; `None` where there is nothing to make it with.
fn with_sound(folder: &Path) -> Option<PathBuf> {
    let (silent, path) = (folder.join("silent.mp4"), folder.join("clip.mp4"));
    if !Clip::steady(150).write(&silent) {
        return None;
    }
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(&silent).args(["-f", "lavfi", "-i", "sine=duration=6", "-c:v", "copy"]);
    let made = ffmpeg.args(["-c:a", "aac", "-shortest"]).arg(&path).status().is_ok_and(|status| status.success());
    if !made {
        println!("skipped: no ffmpeg command to add sound with");
    }
    made.then_some(path)
}

/// What a decoder that is locked in sends is what is written here, byte for byte.
#[test]
fn clips_are_cut_where_the_video_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let irregular = folder.path().join("irregular.mkv");
    let pts: Vec<i64> = (0..120).map(|n| n * 100 + n * n % 7 * 10).collect();
    let mut paths: Vec<PathBuf> = with_sound(folder.path()).into_iter().collect();
    paths.extend(Some(irregular.clone()).filter(|path| Clip::steady(120).at((1, 1000), pts).write(path)));
    let apart = Limits { apart: Some(Arc::new(decoder(MEMORY))), ..Limits::default() };
    for (path, how) in paths.iter().flat_map(|path| [How::Copied, How::Encoded].map(|how| (path, how))) {
        let target = folder.path().join("cuts");
        std::fs::create_dir_all(&target).unwrap();
        let clip = |limits| {
            let cut = cut_by(path, limits, Span::new(2.0, 4.0), how, &target).unwrap();
            assert_eq!(names(&target), [cut.path.file_name().unwrap().to_str().unwrap()], "nothing else is left");
            let bytes = std::fs::read(&cut.path).unwrap();
            std::fs::remove_dir_all(&target).unwrap();
            std::fs::create_dir_all(&target).unwrap();
            (cut, bytes)
        };
        let ((here, kept), (there, sent)) = (clip(&Limits::default()), clip(&apart));
        assert_eq!(here, there);
        assert!(kept.len() > 1000);
        // Matroska names a file by a number of chance.
        let same = if path == &irregular { kept.len() == sent.len() } else { kept == sent };
        assert!(same, "{path:?}, {how:?}: {} and {} bytes", kept.len(), sent.len());
        let nothing = cut_by(path, &apart, Span::new(90.0, 95.0), how, &target);
        assert!(matches!(nothing, Err(CutError::Nothing { .. })), "{nothing:?}");
        assert!(names(&target).is_empty());
    }
}

#[test]
fn sound_is_cut_along() {
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = with_sound(folder.path()) else { return };
    for how in [How::Copied, How::Encoded] {
        let target = folder.path().join("cuts");
        std::fs::create_dir_all(&target).unwrap();
        let cut = cut_here(&path, Span::new(2.0, 4.0), how, &target).unwrap();
        let input = ffmpeg_next::format::input(&cut.path).unwrap();
        let streams: Vec<(ffmpeg_next::media::Type, f64)> = input
            .streams()
            .map(|stream| (stream.parameters().medium(), stream.duration() as f64 * f64::from(stream.time_base())))
            .collect();
        assert_eq!(streams.len(), 2, "{how:?}: {streams:?}");
        assert_eq!(streams[1].0, ffmpeg_next::media::Type::Audio);
        assert!((streams[1].1 - 2.0).abs() < 0.1, "{how:?}: {streams:?}");
    }
}

#[test]
fn cuts_of_real_videos_hold_what_they_say() {
    let Some(media) = media() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (mut tried, mut wrong) = (0, Vec::new());
    for path in files(&media) {
        let Ok(video) = decode::open(&path, &Limits::default()) else { continue };
        let info = video.info().clone();
        let (Some(start), Some(seconds)) = (info.start_s, info.duration_s.filter(|_| !info.duration_is_guess)) else {
            continue;
        };
        let span = Span { start: start + 0.4 * seconds, end: start + 0.4 * seconds + (0.2 * seconds).min(0.5) };
        let request =
            |span: Span| Request { from: Some(span.start), to: Some(span.end), ..Request::new(Sampling::All) };
        // What cannot be decoded without a warning here is no measure for a cut.
        let Ok((source, report)) = decode::list(video, &request(span)) else { continue };
        if source.is_empty() || source[0].time.seconds() < span.start - 1e-6 || !report.warnings.is_empty() {
            continue;
        }
        for how in [How::Copied, How::Encoded] {
            tried += 1;
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let cut = match cut_here(&path, span, how, folder.path()) {
                Ok(cut) => cut,
                Err(error) => {
                    wrong.push(format!("{name}, {how:?}: {error}"));
                    continue;
                }
            };
            let Ok((frames, _)) = decode::open(&cut.path, &Limits::default())
                .and_then(|video| decode::list(video, &Request::new(Sampling::All)))
            else {
                wrong.push(format!("{name}, {how:?}: the cut cannot be decoded"));
                continue;
            };
            let times =
                |frames: &[decode::FrameFacts]| frames.iter().map(|frame| frame.time.seconds()).collect::<Vec<_>>();
            // On the source's clock.
            let shown: Vec<f64> =
                times(&frames).iter().map(|time| time - frames[0].time.seconds() + cut.span.start).collect();
            let expected = times(&source);
            let near = |time: f64| shown.iter().any(|shown| (shown - time).abs() < 2e-3);
            let whole = expected.iter().all(|&time| near(time));
            let exact = cut.how == How::Copied || shown.len() == expected.len();
            if !whole || !exact || cut.span.start > span.start + 1e-3 && cut.how == How::Copied {
                let said = (cut.span.start, cut.span.end, shown.len(), expected.len());
                wrong.push(format!("{name}, {how:?}: {said:?} of {:?}", (span.start, span.end)));
            }
        }
    }
    println!("{tried} cuts, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 0 && wrong.is_empty());
}
