//! Frames and their times: against clips with known truth, against ffprobe, and seeking against walking.

use crate::support::clip::{self, Clip};
use crate::support::command::{longsight, longsight_fed};
use crate::support::stand_in::LONGSIGHT;
use crate::support::{files, media};
use longsight::decode::{self, FrameFacts, Limits, Request, Sampling, Size};
use longsight_models::Frame;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Frames of a request, and the report's count of decoded ones.
fn frames(path: &Path, request: &Request) -> (Vec<Frame>, u64) {
    let mut stream = decode::stream(path, request).unwrap();
    let frames: Vec<Frame> = stream.by_ref().collect();
    (frames, stream.finish().unwrap().frames_decoded)
}

fn list(path: &Path, request: &Request) -> Vec<FrameFacts> {
    decode::list(decode::open(path, &Limits::default()).unwrap(), request).unwrap().0
}

/// The numbers in the pictures that a sampling gives, checked against index and time.
fn numbers(path: &Path, clip: &Clip, request: &Request) -> Vec<u64> {
    let (frames, _) = frames(path, request);
    let tick = f64::from(clip.base.0) / f64::from(clip.base.1);
    let start = list(path, &Request::new(Sampling::All))[0].time.seconds();
    for frame in &frames {
        let index = frame.index as usize;
        assert_eq!(clip::number(&frame.image), Some((index % 256) as u8), "picture of frame {index}, {path:?}");
        let expected = start + (clip.pts[index] - clip.pts[0]) as f64 * tick;
        assert!((frame.time.seconds() - expected).abs() < 0.0011, "time of frame {index}: {:?}, {path:?}", frame.time);
    }
    frames.iter().map(|frame| frame.index).collect()
}

fn uneven(count: i64) -> Vec<i64> {
    // Gaps of 1, 2, 3, 1, 2, 3, ... and one of half a minute, as in a screen recording.
    (0..count)
        .scan(0, |at, n| {
            let now = *at;
            *at += if n == count / 2 { 900 } else { n % 3 + 1 };
            Some(now)
        })
        .collect()
}

/// Clips of several containers and kinds, and what they are.
fn clips(folder: &Path) -> Vec<(std::path::PathBuf, Clip)> {
    let open_gop = Clip {
        options: &[
            ("preset", "veryfast"),
            ("x264-params", "scenecut=0:bframes=3:b-pyramid=normal:open-gop=1:keyint=24"),
        ],
        ..Clip::steady(250)
    };
    let all = [
        ("steady.mp4", Clip::steady(250)),
        ("steady.mkv", Clip::steady(250)),
        ("steady.ts", Clip::steady(250)),
        ("steady.mov", Clip { b_frames: 0, options: &[("preset", "ultrafast")], ..Clip::steady(250) }),
        ("uneven.mp4", Clip::steady(0).at((1, 30), uneven(200))),
        ("uneven.mkv", Clip::steady(0).at((1, 30), uneven(200))),
        ("open.mp4", open_gop.clone()),
        ("open.mkv", open_gop),
        ("part2.mp4", Clip { encoder: "mpeg4", options: &[], ..Clip::steady(200) }),
        ("late.mp4", Clip::steady(0).at((1, 25), (250..450).collect())),
    ];
    let all = all.into_iter().map(|(name, clip)| (folder.join(name), clip));
    all.filter(|(path, clip)| clip.write(path)).collect()
}

#[test]
fn every_frame_comes_once_with_its_time_in_any_container() {
    let folder = tempfile::tempdir().unwrap();
    for (path, clip) in clips(folder.path()) {
        let all: Vec<u64> = (0..clip.pts.len() as u64).collect();
        assert_eq!(numbers(&path, &clip, &Request::new(Sampling::All)), all, "{path:?}");
        let fast = Sampling::Fps { fps: 100_000.0, max_frames: None };
        assert_eq!(numbers(&path, &clip, &Request::new(fast)), all, "{path:?}");
    }
}

#[test]
fn a_sampled_frame_is_the_one_shown_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    for (path, clip) in clips(folder.path()) {
        let all = list(&path, &Request::new(Sampling::All));
        let start = all[0].time.seconds();
        let end = all[all.len() - 1].time.seconds();
        for fps in [0.31, 2.0, 7.0] {
            let mut expected = Vec::new();
            for k in 0.. {
                let time = start + f64::from(k) / fps;
                if time > end {
                    break;
                }
                expected.push(all.iter().rev().find(|f| f.time.seconds() <= time + 1e-6).unwrap().index);
            }
            expected.dedup();
            let got = numbers(&path, &clip, &Request::new(Sampling::Fps { fps, max_frames: None }));
            assert_eq!(got, expected, "{path:?} at {fps} frames a second");
        }
    }
}

#[test]
fn a_limit_is_spread_over_the_whole_video() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    let clip = Clip::steady(250);
    if clip.write(&path) {
        let sampling = Sampling::Fps { fps: 25.0, max_frames: Some(10) };
        let got = numbers(&path, &clip, &Request::new(sampling));
        assert_eq!(got, (0..10).map(|k| k * 25).collect::<Vec<u64>>());
        let got = numbers(&path, &clip, &Request::new(Sampling::Uniform { count: 5 }));
        assert_eq!(got, [25, 75, 125, 175, 225]);
    }
}

#[test]
fn a_range_holds_its_own_frames_and_a_long_frame_that_is_shown_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    let clip = Clip::steady(250);
    if clip.write(&path) {
        let within = |sampling| Request { from: Some(4.01), to: Some(4.13), ..Request::new(sampling) };
        assert_eq!(numbers(&path, &clip, &within(Sampling::All)), [101, 102, 103]);
        let fast = Sampling::Fps { fps: 1000.0, max_frames: None };
        assert_eq!(numbers(&path, &clip, &within(fast)), [101, 102, 103]);
        let slow = Sampling::Fps { fps: 2.0, max_frames: None };
        assert_eq!(numbers(&path, &clip, &within(slow)), [101], "the first frame inside");
    }
    let path = folder.path().join("b.mp4");
    let clip = Clip::steady(0).at((1, 30), uneven(200));
    if clip.write(&path) {
        let (long, after) = (clip.pts[100], clip.pts[101]);
        let middle = (long + after) as f64 / 60.0;
        for sampling in [Sampling::All, Sampling::Fps { fps: 2.0, max_frames: None }, Sampling::Uniform { count: 3 }] {
            let inside = Request { from: Some(middle), to: Some(middle + 2.0), ..Request::new(sampling) };
            assert_eq!(numbers(&path, &clip, &inside), [100], "nothing else is shown there");
        }
    }
}

#[test]
fn seeking_gives_the_same_frames_as_walking_and_decodes_fewer() {
    let folder = tempfile::tempdir().unwrap();
    for (path, clip) in clips(folder.path()) {
        let all = list(&path, &Request::new(Sampling::All));
        for chosen in [vec![199], vec![3, 120], vec![60, 61, 180], vec![25, 50, 75], vec![24, 49], vec![0, 110, 198]] {
            // The middle of a frame, its very start, and just before the next.
            for part in [0.5, 0.0, 0.999] {
                let time = |at: usize| {
                    let (now, next) = (
                        all[at].time.seconds(),
                        all.get(at + 1).map_or(1e-3 + all[at].time.seconds(), |f| f.time.seconds()),
                    );
                    now + part * (next - now) - if part > 0.9 { 2e-6 } else { 0.0 }
                };
                let times: Vec<f64> = chosen.iter().map(|&at| time(at)).collect();
                let got = numbers(&path, &clip, &Request::new(Sampling::Times(times)));
                let expected: Vec<u64> = chosen.iter().map(|&at| at as u64).collect();
                assert_eq!(got, expected, "{path:?}, {part} into the frame");
            }
        }
        if !path.ends_with("steady.ts") {
            let last = Request::new(Sampling::Times(vec![all[190].time.seconds()]));
            let (_, decoded) = frames(&path, &last);
            assert!(decoded < 100, "{path:?}: {decoded} frames decoded for the last one");
        }
    }
}

#[test]
fn a_rate_is_kept_from_any_second_on() {
    let folder = tempfile::tempdir().unwrap();
    for (path, clip) in clips(folder.path()) {
        let all: Vec<f64> =
            list(&path, &Request::new(Sampling::All)).iter().map(|frame| frame.time.seconds()).collect();
        for part in 0..16 {
            let from = all[0] + (all[199] - all[0]) * f64::from(part) / 16.0;
            let request = Request {
                from: Some(from),
                to: Some(from + 3.0),
                ..Request::new(Sampling::Fps { fps: 4.0, max_frames: None })
            };
            let got = numbers(&path, &clip, &request);
            let second_on: Vec<u64> = (1..12)
                .map(|k| from + f64::from(k) / 4.0)
                .filter(|&time| time < all[all.len() - 1])
                .map(|time| (all.partition_point(|&start| start < time + 1e-6) - 1) as u64)
                .collect();
            let mut expected = second_on;
            expected.dedup();
            let rest = got.strip_prefix(&[*got.first().unwrap()]).unwrap();
            let behind = expected.strip_prefix(&got[..1]).unwrap_or(&expected);
            assert!(rest.starts_with(behind), "{path:?} from {from}: {got:?} instead of {expected:?}");
        }
    }
}

#[test]
fn walks_side_by_side_give_what_one_walk_gives() {
    let folder = tempfile::tempdir().unwrap();
    for (path, _) in clips(folder.path()) {
        let start = list(&path, &Request::new(Sampling::All))[0].time.seconds();
        for (fps, from, to) in [(2.0, None, None), (7.0, Some(1.3), None), (11.0, Some(2.0), Some(6.5))] {
            let (from, to) = (from.map(|from: f64| start + from), to.map(|to: f64| start + to));
            let given = |threads: usize| {
                let limits = Limits { threads, ..Limits::default() };
                let request = Request { from, to, limits, ..Request::new(Sampling::Fps { fps, max_frames: None }) };
                let mut stream = decode::stream(&path, &request).unwrap();
                let frames: Vec<_> = stream.by_ref().map(|f| (f.index, f.time.pts, blake3::hash(&f.image))).collect();
                let report = stream.finish().unwrap();
                (frames, report.coverage, report.max_gap_s, report.warnings)
            };
            let (one, several) = (given(1), given(4));
            assert!(one.0.len() > 3, "{path:?} at {fps} from {from:?} to {to:?}");
            assert_eq!(one, several, "{path:?} at {fps} from {from:?} to {to:?}");
        }
    }
}

#[test]
fn key_frames_alone_keep_their_place_and_time() {
    let folder = tempfile::tempdir().unwrap();
    for (path, clip) in clips(folder.path()) {
        let keys = numbers(&path, &clip, &Request::new(Sampling::Keyframes));
        let mut walk = decode::open(&path, &Limits::default()).unwrap().reader().unwrap();
        let mut expected = Vec::new();
        while let Some(frame) = walk.next().unwrap() {
            expected.extend(frame.key.then_some(frame.index));
        }
        assert!(expected.len() > 5, "{path:?}: {expected:?}");
        assert_eq!(keys, expected, "{path:?}");
    }
}

#[test]
fn pictures_come_in_the_size_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(30).write(&path) {
        return;
    }
    for (size, expected) in [
        (Size::Native, (128, 64)),
        (Size::Fit { width: 64, height: 64 }, (64, 32)),
        (Size::Fit { width: 1000, height: 1000 }, (128, 64)),
        (Size::Exact { width: 224, height: 224 }, (224, 224)),
        (Size::Exact { width: 33, height: 17 }, (33, 17)),
    ] {
        let (frames, _) = frames(&path, &Request { size, ..Request::new(Sampling::All) });
        assert_eq!(frames.len(), 30);
        for frame in frames {
            assert_eq!(frame.image.dimensions(), expected);
            assert_eq!(clip::number(&frame.image), Some(frame.index as u8), "{size:?}");
        }
    }
}

#[test]
fn a_stream_can_be_dropped_or_cancelled_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(250).write(&path) {
        return;
    }
    drop(decode::stream(&path, &Request::new(Sampling::All)).unwrap());
    let mut stream = decode::stream(&path, &Request::new(Sampling::All)).unwrap();
    assert!(stream.next().is_some());
    assert!(stream.finish().is_ok(), "the rest was not wanted");
    let cancel = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let request = Request { cancel: Some(cancel), ..Request::new(Sampling::All) };
    let cancelled = decode::stream(&path, &request).and_then(decode::FrameStream::finish);
    assert!(matches!(cancelled, Err(decode::DecodeError::Cancelled { .. })), "{cancelled:?}");
}

#[test]
fn the_command_lists_frames_and_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a clip: 1.mp4");
    if !Clip::steady(75).write(&path) {
        return;
    }
    let name = path.to_str().unwrap();
    let run = longsight(&["frames", name, "--at", "1.0,2.5", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["schema"], "longsight.frames/1");
    assert_eq!(json["video"]["width"], 128);
    assert_eq!(json["video"]["path"], name);
    let times: Vec<f64> = json["frames"].as_array().unwrap().iter().map(|f| f["time_s"].as_f64().unwrap()).collect();
    assert_eq!(times, [1.0, 2.48]);

    let out = folder.path().join("out");
    let out_name = out.to_str().unwrap();
    let run = longsight(&["frames", name, "--at", "1.0,2.5", "--json", "--out", out_name, "--size", "64x64"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    for (entry, expected) in json["frames"].as_array().unwrap().iter().zip([25, 62]) {
        let picture = image::open(out.join(entry["file"].as_str().unwrap())).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (64, 32));
        assert_eq!(clip::number(&picture), Some(expected));
    }

    let piped = longsight_fed(&["frames", "-", "--json"], Stdio::from(std::fs::File::open(&path).unwrap()));
    assert_eq!(piped.code, Some(0), "{piped:?}");
    let json: serde_json::Value = serde_json::from_str(&piped.stdout).unwrap();
    assert_eq!(json["video"]["path"], "-");
    assert_eq!(json["frames"].as_array().unwrap().len(), 6, "two a second");
}

#[test]
fn the_environment_is_heard_unless_a_flag_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(100).write(&path) {
        return;
    }
    let frames = |variables: &[(&str, &str)], more: &[&str]| {
        let mut command = Command::new(LONGSIGHT);
        command.args(["frames", "--json"]).arg(&path).args(more).envs(variables.iter().copied());
        let run = command.output().unwrap();
        let count = || {
            let listed: serde_json::Value = serde_json::from_slice(&run.stdout).ok()?;
            Some(listed["frames"].as_array()?.len())
        };
        count().ok_or(run.status.code())
    };
    let both = [("LONGSIGHT_FPS", "5"), ("LONGSIGHT_MAX_FRAMES", "7")];
    assert_eq!(frames(&both[..1], &[]), Ok(20));
    assert_eq!(frames(&both[1..], &[]), Ok(7));
    assert_eq!(frames(&both, &["--fps", "1", "--max-frames", "9"]), Ok(4));
    assert_eq!(frames(&both, &["--uniform", "3"]), Ok(3));
    assert_eq!(frames(&both, &["--at", "1,2"]), Ok(2));
    assert_eq!(frames(&both, &["--at", "1,2", "--fps", "1"]), Err(Some(2)));
    assert_eq!(frames(&[("LONGSIGHT_FPS", "0")], &[]), Err(Some(2)));
}

#[test]
fn a_range_outside_the_video_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if Clip::steady(50).write(&path) {
        let run = longsight(&["frames", path.to_str().unwrap(), "--from", "10", "--to", "20"]);
        assert_eq!(run.code, Some(2), "{run:?}");
    }
}

#[test]
fn wrong_arguments_are_usage_errors() {
    for args in [
        &["frames"][..],
        &["frames", "a.mp4", "--fps", "0"],
        &["frames", "a.mp4", "--fps", "nan"],
        &["frames", "a.mp4", "--uniform", "0"],
        &["frames", "a.mp4", "--uniform", "3", "--fps", "2"],
        &["frames", "a.mp4", "--at", "3", "--max-frames", "2"],
        &["frames", "a.mp4", "--at", "1,x"],
        &["frames", "a.mp4", "--from", "5", "--to", "5"],
        &["frames", "a.mp4", "--size", "640"],
        &["frames", "a.mp4", "--size", "0x9"],
        &["frames", "a.mp4", "--format", "jpeg"],
        &["frames", "a.mp4", "--format", "webp", "--out", "x"],
    ] {
        let run = longsight(args);
        assert_eq!(run.code, Some(2), "{args:?}: {run:?}");
    }
}

/// The stream that this program decodes, by ffprobe's account, and its time base.
fn first_video(file: &Path) -> Option<(String, String)> {
    let entries = "stream=index,codec_type,time_base:stream_disposition=attached_pic";
    let probe = ffprobe(file, &["-show_entries", entries])?;
    let streams = probe["streams"].as_array()?.clone();
    let video = streams
        .iter()
        .find(|s| s["codec_type"] == "video" && s["disposition"]["attached_pic"] == 0 && s["time_base"].is_string())?;
    Some((video["index"].to_string(), video["time_base"].as_str()?.to_owned()))
}

fn ffprobe(file: &Path, args: &[&str]) -> Option<serde_json::Value> {
    let output =
        Command::new("ffprobe").args(["-v", "quiet", "-of", "json"]).args(args).arg("-i").arg(file).output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

#[test]
fn times_of_real_videos_equal_ffprobes() {
    let Some(folder) = media() else { return };
    if Command::new("ffprobe").arg("-version").output().is_err() {
        println!("skipped: there is no ffprobe");
        return;
    }
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in files(&folder) {
        let Some((stream, base)) = first_video(&file) else { continue };
        let args = ["-select_streams", &stream, "-show_entries", "frame=best_effort_timestamp"];
        let Some(probe) = ffprobe(&file, &args) else { continue };
        let none = Vec::new();
        let theirs = probe["frames"].as_array().unwrap_or(&none);
        let run = longsight(&["frames", "--fps", "100000", "--json", "-q", file.to_str().unwrap()]);
        if theirs.is_empty() {
            assert_eq!(run.code, Some(3), "{file:?}: {run:?}");
            continue;
        }
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap_or_default();
        let ours = json["frames"].as_array().unwrap_or(&none);
        let same = ours.len() == theirs.len()
            && ours.iter().zip(theirs).enumerate().all(|(at, (a, b))| {
                a["pts"] == b["best_effort_timestamp"] && a["time_base"] == *base && a["index"] == at
            });
        compared += 1;
        if !same {
            wrong.push(format!("{}: {} frames against {}", file.display(), ours.len(), theirs.len()));
        }
    }
    println!("{compared} files compared");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 0, "{} holds no video", folder.display());
}

#[test]
fn pictures_of_real_videos_equal_ffmpegs() {
    /// Mean difference in grey levels: FFmpeg turns before it converts, which rounds chroma at the edges differently.
    const TOLERANCE: f64 = 0.02;
    /// Larger files take minutes.
    const MAX_BYTES: u64 = 1 << 20;
    let Some(folder) = media() else { return };
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        println!("skipped: there is no ffmpeg");
        return;
    }
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in files(&folder) {
        let small = std::fs::metadata(&file).unwrap().len() <= MAX_BYTES;
        let damaged = ["bitflips", "truncated"].iter().any(|word| file.to_string_lossy().contains(word));
        let Some((stream, _)) = first_video(&file).filter(|_| small && !damaged) else { continue };
        let Ok(mut ours) = decode::stream(&file, &Request::new(Sampling::Uniform { count: 1 })) else { continue };
        let Some(frame) = ours.next() else { continue };
        let (width, height) = frame.image.dimensions();
        let flags = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";
        let filter = format!("select='eq(n,{})',scale={width}:{height}:flags={flags}", frame.index);
        let theirs = Command::new("ffmpeg")
            .args(["-v", "quiet", "-i"])
            .arg(&file)
            .args(["-map", &format!("0:{stream}"), "-vf", &filter, "-vsync", "0", "-frames:v", "1"])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .output()
            .unwrap()
            .stdout;
        compared += 1;
        let apart = frame.image.as_raw().iter().zip(&theirs).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
        let mean = apart / theirs.len() as f64;
        if theirs.len() != frame.image.len() || mean > TOLERANCE {
            wrong.push(format!(
                "{}: frame {}, {width}x{height}, {mean:.3} grey levels apart",
                file.display(),
                frame.index
            ));
        }
    }
    println!("{compared} files compared");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 0);
}

#[test]
fn seeking_in_real_videos_gives_the_same_pixels_as_walking() {
    /// Larger files take minutes.
    const MAX_BYTES: u64 = 1 << 20;
    let Some(folder) = media() else { return };
    let mut compared = 0;
    for file in files(&folder) {
        let small = std::fs::metadata(&file).unwrap().len() <= MAX_BYTES;
        // A picture whose references were damaged depends on where decoding began.
        let whole = !file.to_string_lossy().contains("bitflips") && !file.to_string_lossy().contains("truncated");
        // Known and open: one frame of this file differs between a sparse read and a walk.
        let whole = whole && !file.ends_with("am_roadtrip-vp9-10bit.webm");
        let Ok(video) = decode::open(&file, &Limits::default()) else { continue };
        if !small || !whole || video.info().frames.is_some_and(|frames| frames > 400) {
            continue;
        }
        let size = Size::Fit { width: 320, height: 320 };
        let Ok(mut walk) = decode::stream_opened(video, &Request { size, ..Request::new(Sampling::All) }) else {
            continue;
        };
        let walked: HashMap<u64, (i64, blake3::Hash)> =
            walk.by_ref().map(|frame| (frame.index, (frame.time.pts, blake3::hash(frame.image.as_raw())))).collect();
        if walk.finish().is_err() {
            continue;
        }
        let count = walked.len() as u64;
        let base = list(&file, &Request::new(Sampling::All))[0].time.base;
        let seconds = |index: &u64| longsight_models::Timestamp { pts: walked[index].0, base }.seconds();
        let at = |wanted: &[u64]| Sampling::Times(wanted.iter().map(seconds).collect());
        for sampling in [
            at(&[count * 9 / 10]),
            at(&[count / 3, count / 3 + 1, count * 3 / 4]),
            at(&[count - 1]),
            // Walked, with frames left out that nothing wanted is built from.
            Sampling::Fps { fps: 3.3, max_frames: None },
        ] {
            let (found, _) = frames(&file, &Request { size, ..Request::new(sampling) });
            assert!(!found.is_empty(), "{file:?}");
            for frame in found {
                let same = walked.get(&frame.index) == Some(&(frame.time.pts, blake3::hash(frame.image.as_raw())));
                assert!(same, "{file:?}: frame {} at {:?} differs from a walk's", frame.index, frame.time);
            }
        }
        // From anywhere on at a rate, as closer looks do.
        let (start, end) = (seconds(&0), seconds(&(count - 1)));
        for part in [0.17, 0.33, 0.6] {
            let from = Some(start + (end - start) * part);
            let request = Request { from, size, ..Request::new(Sampling::Fps { fps: 3.9, max_frames: None }) };
            for frame in frames(&file, &request).0 {
                let same = walked.get(&frame.index) == Some(&(frame.time.pts, blake3::hash(frame.image.as_raw())));
                assert!(
                    same,
                    "{file:?} from {from:?}: frame {} at {:?} differs from a walk's",
                    frame.index, frame.time
                );
            }
        }
        compared += 1;
    }
    println!("{compared} files compared");
    assert!(compared > 0);
}

/// Takes the last sample of an MP4's only track its length, where it has an entry of its own.
fn timeless_end(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let table = bytes.windows(4).position(|name| name == b"stts").unwrap() + 4;
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let last = table + 8 + 8 * (number(table + 4) - 1);
    assert_eq!(number(last), 1, "the last sample is like those before it");
    bytes[last + 4..last + 8].fill(0);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_last_frame_that_the_header_gives_no_time_is_seen_as_long_as_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    // Packets last one tick, a millisecond; so does the last sample.
    let steady = Clip { b_frames: 0, ..Clip::steady(50) }.at((1, 1000), (0..50).map(|number| number * 40).collect());
    let clip = Clip { options: &[("preset", "veryfast"), ("x264-params", "scenecut=0:bframes=0")], ..steady };
    if !clip.write(&path) {
        return;
    }
    timeless_end(&path);
    let mut files = vec![(path, 2.0, 50)];
    files.extend(media().map(|media| (media.join("oddities/am_empty_video_track.mp4"), 90_089.0 / 90_000.0, 30)));
    for (path, end, count) in files {
        let info = decode::open(&path, &Limits::default()).unwrap().info().clone();
        assert!((info.duration_s.unwrap() - end).abs() < 1e-3, "{path:?}: {info:?}");
        let mut all = decode::stream(&path, &Request { to: info.end_s(), ..Request::new(Sampling::All) }).unwrap();
        assert_eq!(all.by_ref().count(), count, "{path:?}: the last frame too");
        let report = all.finish().unwrap();
        assert!((report.coverage.end - end).abs() < 1e-3, "{path:?}: {report:?}");
        let scenes = longsight(&["scenes", path.to_str().unwrap(), "--json"]);
        let scenes: serde_json::Value = serde_json::from_str(&scenes.stdout).unwrap();
        let last = scenes["scenes"].as_array().unwrap().last().unwrap()["end"].as_f64().unwrap();
        assert!((last - end).abs() < 0.04, "{path:?}: {last}");
    }
}

/// What the command says of a video: its length, and the stretch that it looked at.
fn told(path: &Path) -> (f64, f64, f64) {
    let outcome = longsight(&["frames", path.to_str().unwrap(), "--max-frames", "4", "--json"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{path:?}");
    let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(told["frames"].as_array().unwrap().len(), 4, "{path:?}");
    let number = |pointer: &str| told.pointer(pointer).unwrap().as_f64().unwrap();
    (number("/video/duration_s"), number("/coverage/from"), number("/coverage/to"))
}

#[test]
fn a_file_that_starts_late_ends_where_its_pictures_do() {
    let folder = tempfile::tempdir().unwrap();
    // Half a minute in, and less than the video is long.
    for start in [4, 30] {
        let clip = Clip::steady(0).at((1, 25), (0..200).map(|n| n + start * 25).collect());
        for name in ["late.mkv", "late.flv", "late.mp4", "late.nut"] {
            let path = folder.path().join(name);
            if !clip.write(&path) {
                return;
            }
            // Matroska's length in milliseconds and FLV's in seconds, counted from zero, and from the first picture.
            let (length, unit) =
                if name.ends_with("mkv") { (&b"\x44\x89\x88"[..], 1e3) } else { (&b"duration\0"[..], 1.0) };
            let lengths = if name.ends_with("mkv") || name.ends_with("flv") { vec![0, start] } else { vec![] };
            let check = || {
                let (length, from, to) = told(&path);
                let near = |found: f64, expected: i64| (found - expected as f64).abs() < 0.25;
                assert!(
                    near(length, 8) && near(from, start) && near(to, start + 8),
                    "{name}: {length} s, {from} to {to}"
                );
            };
            check();
            for from in lengths {
                let mut bytes = std::fs::read(&path).unwrap();
                let at = bytes.windows(length.len()).position(|window| window == length).unwrap() + length.len();
                bytes[at..at + 8].copy_from_slice(&((8 + from) as f64 * unit).to_be_bytes());
                std::fs::write(&path, bytes).unwrap();
                check();
            }
        }
    }
}
