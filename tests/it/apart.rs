//! Decoding in a process of its own: the same as in this one, and nothing that the process does or does not do harms more
//! than its file.

use crate::support::clip::Clip;
use crate::support::command::{Outcome, longsight};
use crate::support::stand_in::{decoder, script};
use crate::support::{files, media};
use longsight::decode::apart::{ForkServer, MEMORY, examine};
use longsight::decode::{
    DecodeError, DecodeReport, Feed, Limits, Program, Request, Sampling, Size, Warning, WarningKind,
};
use longsight::scenes::{self, Wishes};
use longsight_models::Span;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{self, Script};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Frames of a real video that are compared for each request.
const FRAMES: usize = 24;
/// Bytes of a real video that is compared.
const SMALL: u64 = 200 << 10;

fn apart() -> Limits {
    Limits { apart: Some(Arc::new(decoder(MEMORY))), ..Limits::default() }
}

/// Clips of several containers, with B-frames, with irregular times, and one whose second half is lost.
fn clips(folder: &Path) -> Vec<PathBuf> {
    let irregular: Vec<i64> = (0..120).map(|n| n * 100 + n * n % 7 * 10).collect();
    let made = [
        ("steady.mp4", Clip::steady(150)),
        ("steady.mkv", Clip::steady(150)),
        ("steady.ts", Clip::steady(150)),
        ("irregular.mkv", Clip::steady(120).at((1, 1000), irregular)),
    ];
    let mut paths: Vec<PathBuf> = made
        .iter()
        .map(|(name, clip)| (folder.join(name), clip))
        .filter(|(path, clip)| clip.write(path))
        .map(|made| made.0)
        .collect();
    if let Ok(whole) = std::fs::read(folder.join("steady.mkv")) {
        let cut = folder.join("cut.mkv");
        std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
        paths.push(cut);
    }
    paths
}

fn requests() -> Vec<Request> {
    let fit = Size::Fit { width: 64, height: 64 };
    vec![
        Request::new(Sampling::All),
        Request { size: fit, ..Request::new(Sampling::Fps { fps: 3.0, max_frames: None }) },
        Request { from: Some(1.3), to: Some(3.1), ..Request::new(Sampling::Fps { fps: 7.0, max_frames: Some(5) }) },
        Request { size: Size::Exact { width: 33, height: 17 }, ..Request::new(Sampling::Uniform { count: 4 }) },
        Request::new(Sampling::Times(vec![0.5, 4.2, 99.0])),
        Request::new(Sampling::Keyframes),
    ]
}

/// Number, ticks, size and pixels of each frame, at most `most`, and the report if all were taken.
type Seen = (Vec<(u64, String, (u32, u32), blake3::Hash)>, Result<Option<DecodeReport>, String>);

fn seen(feed: &Feed, request: &Request, most: usize) -> Seen {
    let mut stream = match feed.stream(request) {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Err(error.to_string())),
    };
    let mut frames: Vec<_> = stream
        .by_ref()
        .take(most)
        .map(|frame| (frame.index, format!("{:?}", frame.time), frame.image.dimensions(), blake3::hash(&frame.image)))
        .collect();
    // How far a decoder was ahead when it was told to stop is chance.
    let all = frames.len() < most;
    let report = stream.finish();
    if report.as_ref().is_ok_and(|report| conceals(&report.warnings)) {
        frames.iter_mut().for_each(|frame| frame.3 = blake3::hash(b""));
    }
    (frames, report.map(|report| all.then_some(report)).map_err(|error| error.to_string()))
}

/// Whether a decoder filled in what was damaged: with several threads, from whatever another had ready, so that pixels are chance.
fn conceals(warnings: &[Warning]) -> bool {
    warnings.iter().any(|warning| warning.kind == WarningKind::Concealed)
}

/// Everything that is asked of a file, here and apart, is the same.
fn assert_same(path: &Path, most: usize) {
    let (here, there) = (Feed::open(path, &Limits::default()), Feed::open(path, &apart()));
    let (here, there) = match (here, there) {
        (Ok(here), Ok(there)) => (here, there),
        (Err(here), Err(there)) => {
            assert_eq!(here.to_string(), there.to_string());
            assert_eq!(std::mem::discriminant(&here), std::mem::discriminant(&there), "{here:?} {there:?}");
            return;
        }
        (here, there) => panic!("{path:?}: {:?} here, {:?} apart", here.err(), there.err()),
    };
    assert_eq!(here.info(), there.info());
    for request in requests() {
        assert_eq!(seen(&here, &request, most), seen(&there, &request, most), "{path:?} {request:?}");
        let list = |feed: &Feed| feed.list(&request).map_err(|error| error.to_string());
        assert_eq!(list(&here), list(&there), "{path:?} {request:?}");
    }
    for (calm_below, likeness, range) in
        [(0.0, true, None), (27.0, false, None), (27.0, false, Some(Span { start: 1.0, end: 3.0 }))]
    {
        let survey = |feed: &Feed| {
            let mut told = 0.0;
            let wishes = Wishes { calm_below, likeness };
            let mut survey = scenes::survey(feed, wishes, range, &mut |seconds| told = seconds);
            if let Some(survey) = survey.as_mut().ok().filter(|survey| conceals(&survey.warnings)) {
                survey.rows.iter_mut().for_each(|row| (row.change, row.likeness, row.seen) = Default::default());
            }
            (survey.map_err(|error| error.to_string()), told)
        };
        let ((here, before), (there, after)) = (survey(&here), survey(&there));
        assert_eq!(here, there, "{path:?}");
        assert_eq!(before > 0.0, after > 0.0, "progress is told");
    }
}

#[test]
fn what_is_decoded_apart_is_what_is_decoded_here() {
    let folder = tempfile::tempdir().unwrap();
    for path in clips(folder.path()) {
        assert_same(&path, usize::MAX);
    }
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "no video ".repeat(99)).unwrap();
    assert_same(&text, usize::MAX);
    assert_same(&folder.path().join("nothing.mp4"), usize::MAX);
    assert_same(folder.path(), usize::MAX);
}

#[test]
fn real_videos_are_the_same_apart() {
    let Some(folder) = media() else { return };
    // All frames of a file are listed and surveyed, so that large ones would take minutes each.
    let small = |path: &PathBuf| path.metadata().is_ok_and(|facts| facts.len() < SMALL);
    for path in files(&folder).into_iter().filter(small) {
        assert_same(&path, FRAMES);
    }
}

#[test]
fn one_process_answers_one_ask_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(250).write(&path) {
        return;
    }
    // The second decoder that is started crashes.
    let once = format!("mkdir '{0}/started' || kill -SEGV $$\nexec $real", folder.path().display());
    let program = Program { path: script(folder.path(), "once", &once), ..decoder(MEMORY) };
    let feed = Feed::open(&path, &Limits { apart: Some(Arc::new(program)), ..Limits::default() }).unwrap();
    let mut stream = feed.stream(&Request::new(Sampling::All)).unwrap();
    assert_eq!(stream.by_ref().take(3).count(), 3);
    let report = stream.finish().unwrap();
    assert!((3..250).contains(&report.frames_yielded), "the rest was not wanted: {report:?}");
    assert_eq!(feed.list(&Request::new(Sampling::All)).unwrap().0.len(), 250);
    assert!(feed.stream(&Request::new(Sampling::Times(Vec::new()))).unwrap().finish().is_ok());
    assert!(feed.spent_apart() > Duration::ZERO);
    drop(feed.stream(&Request::new(Sampling::All)).unwrap());
    let again = feed.stream(&Request::new(Sampling::All)).err();
    assert!(matches!(again, Some(DecodeError::Crashed { .. })), "one that was left amid its work is gone: {again:?}");
}

/// Limits whose decoders come from a fork server that is called with `argument`; every program that is started for them leaves a
/// line in the file.
fn forked(folder: &Path, argument: &str) -> (Limits, PathBuf) {
    let starts = folder.join("starts");
    let count = format!("echo \"$1\" >> '{}'\nexec ${{real%% *}} \"$@\"", starts.display());
    let path = script(folder, "counts", &count);
    let program = Program { path, fork_server: ForkServer::by(vec![argument.into()]), ..decoder(MEMORY) };
    (Limits { apart: Some(Arc::new(program)), ..Limits::default() }, starts)
}

#[test]
fn copies_of_a_fork_server_are_what_a_decoder_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(60).write(&path) {
        return;
    }
    let (limits, starts) = forked(folder.path(), "--fork-decoders");
    let here = Feed::open(&path, &Limits::default()).unwrap();
    let all = Request::new(Sampling::All);
    let expected = seen(&here, &all, usize::MAX);
    let feeds: Vec<Feed> = (0..4).map(|_| Feed::open(&path, &limits).unwrap()).collect();
    for feed in &feeds {
        assert_eq!(seen(feed, &all, usize::MAX), expected);
        assert!(feed.spent_apart() > Duration::ZERO);
    }
    let program = limits.apart.as_deref().unwrap();
    let target = folder.path().join("trespass");
    let (alone, copy) = (decoder(MEMORY), |path: &Path| examine(program, &Limits::default(), path).unwrap());
    assert_eq!(copy(&target), examine(&alone, &Limits::default(), &target).unwrap());
    let size = Size::Exact { width: 50_000, height: 50_000 };
    let mut stream = feeds[3].stream(&Request { size, ..Request::new(Sampling::All) }).unwrap();
    assert_eq!(stream.by_ref().count(), 0);
    let ended = stream.finish();
    assert!(matches!(ended, Err(DecodeError::OutOfMemory { .. })), "{ended:?}");
    assert_eq!(seen(&Feed::open(&path, &limits).unwrap(), &all, usize::MAX), expected, "one that fails harms no other");
    assert_eq!(std::fs::read_to_string(starts).unwrap(), "--serve-decoder\n--fork-decoders\n");
}

#[test]
fn without_its_fork_server_a_decoder_is_started_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(30).write(&path) {
        return;
    }
    let (limits, starts) = forked(folder.path(), "--no-such-flag");
    for _ in 0..3 {
        let feed = Feed::open(&path, &limits).unwrap();
        assert_eq!(feed.list(&Request::new(Sampling::All)).unwrap().0.len(), 30);
    }
    assert_eq!(std::fs::read_to_string(starts).unwrap().matches("--serve-decoder\n").count(), 3);
}

#[test]
fn a_cancelled_stream_ends_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(250).write(&path) {
        return;
    }
    let feed = Feed::open(&path, &apart()).unwrap();
    let cancel = Arc::new(AtomicBool::new(false));
    let request = Request { cancel: Some(Arc::clone(&cancel)), ..Request::new(Sampling::All) };
    let mut stream = feed.stream(&request).unwrap();
    assert!(stream.next().is_some());
    cancel.store(true, Ordering::Relaxed);
    let ended = stream.finish();
    assert!(matches!(ended, Ok(_) | Err(DecodeError::Cancelled { .. })), "{ended:?}");
}

#[test]
fn memory_beyond_the_ceiling_costs_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(30).write(&path) {
        return;
    }
    let program = decoder(256 << 20);
    let feed = Feed::open(&path, &Limits { apart: Some(Arc::new(program)), ..Limits::default() }).unwrap();
    assert_eq!(feed.stream(&Request::new(Sampling::All)).unwrap().count(), 30);
    let size = Size::Exact { width: 16_000, height: 16_000 };
    let mut stream = feed.stream(&Request { size, ..Request::new(Sampling::All) }).unwrap();
    assert_eq!(stream.by_ref().count(), 0);
    let ended = stream.finish();
    assert!(
        matches!(ended, Err(DecodeError::OutOfMemory { limit: Some(limit), .. }) if limit == 256 << 20),
        "{ended:?}"
    );
    // FFmpeg's own memory runs out in the middle of a packet.
    let large = folder.path().join("large.mp4");
    let options =
        EncodeOptions { width: 3840, height: 2160, preset: "ultrafast".to_owned(), ..EncodeOptions::default() };
    encode(&Script::write(Split::HeldOut, 20, &script::Wishes { shortest: 1.0, longest: 1.0 }), &large, &options)
        .unwrap();
    let ask = |memory: &str| {
        let large = large.to_str().unwrap();
        let outcome = longsight(&["frames", large, "--fps", "100", "--decoder-memory", memory, "--json"]);
        (outcome.code, outcome.stderr)
    };
    let (code, told) = ask("64M");
    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("takes more memory than the 64M") && told.contains("--decoder-memory"), "{told}");
    let (code, told) = ask("4G");
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_decoder_is_held_by_what_the_kernel_has() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("trespass");
    let (held, could) = examine(&decoder(MEMORY), &Limits::default(), &target).unwrap();
    println!("{held:?} {could:?}");
    assert!(!target.exists() || !(held.seccomp || held.landlock.is_some()));
    assert!(!(could.reads_files && held.landlock.is_some()));
    assert!(!(could.writes_files && (held.landlock.is_some() || held.seccomp)));
    assert!(!((could.opens_sockets || could.starts_programs) && held.seccomp));
    assert!(!(could.exceeds_memory && held.memory_bytes.is_some()));
    assert_eq!(held.memory_bytes, Some(MEMORY));
    let report = longsight(&["doctor", "--json", "--decoder-memory", "1G"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["isolation"]["process"], true);
    assert_eq!(report["isolation"]["confinement"]["memory_bytes"], 1 << 30);
    assert_eq!(report["isolation"]["confinement"]["seccomp"], held.seccomp);
    assert_eq!(report["isolation"]["could"], serde_json::to_value(could).unwrap());
    let report = longsight(&["doctor", "--json", "--in-process-decoder"]);
    assert!(report.stdout.contains("ends the program"), "{}", report.stdout);
}

#[test]
fn a_decoder_ends_with_the_one_that_started_it() {
    let outcome = longsight(&["--serve-decoder"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "nobody at the other end: {outcome:?}");
}

fn with(stand_in: &Path, more: &[&str], path: &Path) -> Outcome {
    let mut arguments = vec![OsStr::new("frames"), "--json".as_ref(), "--fps".as_ref(), "1000".as_ref()];
    arguments.extend(more.iter().map(OsStr::new));
    arguments.extend(["--decoder".as_ref(), stand_in.as_os_str(), path.as_os_str()]);
    longsight(&arguments)
}

#[test]
fn the_command_tells_what_its_decoder_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    if !Clip::steady(250).write(&path) {
        return;
    }
    let out = folder.path().join("out");
    let (pictures, none): (&[&str], &[&str]) = (&["--out", out.to_str().unwrap()], &[]);
    for (name, body, more, code, says) in [
        ("crashes", "kill -SEGV $$", none, 3, "signal: 11"),
        ("aborts", "echo 'assertion failed' >&2\nkill -ABRT $$", none, 3, "signal: 6 (SIGABRT): assertion failed"),
        ("hangs", "exec sleep 600", &["--decoder-stall", "0.5"], 3, "stopped moving for 1s"),
        ("half", "$real | dd bs=4k count=40 2>/dev/null\nexit 0", pictures, 3, "broke down (exit status: 0"),
        (
            "crashes later",
            "$real | dd bs=4k count=40 2>/dev/null\nkill -SEGV $$",
            pictures,
            3,
            "broke down (signal: 11",
        ),
        ("noise", "$real | { dd bs=4k count=40 2>/dev/null; exec cat /dev/urandom; }", pictures, 3, "talks nonsense"),
        // It may be gone before it is spoken to, or be heard first.
        ("is none", "echo usage: foo", none, 3, "its decoder"),
        ("floods", "{ yes >&2; } & { $real; kill $!; }", none, 0, ""),
    ] {
        let run = with(&script(folder.path(), name, body), more, &path);
        assert_eq!(run.code, Some(code), "{name}: {run:?}");
        assert!(run.stderr.contains(says), "{name} should say `{says}`: {}", run.stderr);
        assert_eq!(run.stdout.is_empty(), code != 0, "{name}");
    }
    let run = with(&folder.path().join("no such program"), none, &path);
    assert_eq!(run.code, Some(1), "{run:?}");
    let run = with(&folder.path().join("no such program"), &["--in-process-decoder"], &path);
    assert_eq!(run.code, Some(0), "{run:?}");
}
