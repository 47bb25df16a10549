//! Decoders that lie: whatever comes through the pipe, this side says so and holds little.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::wire::{FrameHead, Kind, Ready};
use super::{Confinement, ForkServer, Program, wire};
use crate::decode::info::VideoInfo;
use crate::decode::{
    self, CutError, DecodeError, DecodeReport, Feed, FrameFacts, How, Limits, Request, Sampling, Size,
};
use longsight_models::{Span, TimeBase, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What a decoder says, to be said by `cat`.
#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    fn say(mut self, kind: Kind, parts: &[&[u8]]) -> Self {
        wire::write(&mut self.0, kind, parts).unwrap();
        self
    }

    fn greet(self, info: VideoInfo) -> Self {
        let ready = Ready { confinement: Confinement::default(), info: Some(info) };
        self.say(Kind::Ready, &[&wire::content(&ready)])
    }

    fn frame(self, index: u64, width: u32, height: u32) -> Self {
        let time = Timestamp { pts: index.cast_signed(), base: TimeBase { num: 1, den: 25 } };
        let head = FrameHead { index, time, width, height };
        self.say(Kind::Frame, &[&head.bytes(), &vec![7; head.pixels().unwrap()]])
    }

    fn done(self, report: &DecodeReport) -> Self {
        self.say(Kind::Done, &[&wire::content(&Duration::ZERO), &wire::content(report)])
    }

    /// Limits under which this is heard, and then `after` runs in a shell.
    fn limits(&self, folder: &Path, after: &str) -> Limits {
        let file = folder.join("said");
        std::fs::write(&file, &self.0).unwrap();
        let script = format!("cat '{}'; {after}", file.display());
        let program = Program {
            fork_server: ForkServer::default(),
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
            memory: 0,
        };
        let soon = Duration::from_millis(500);
        Limits { apart: Some(Arc::new(program)), open_timeout: soon, stall_timeout: soon, ..Limits::default() }
    }
}

fn info() -> VideoInfo {
    VideoInfo { width: 4, height: 2, coded_width: 4, coded_height: 2, ..VideoInfo::example() }
}

fn report(frames: u64) -> DecodeReport {
    DecodeReport { frames_yielded: frames, ..DecodeReport::new(Span { start: 0.0, end: 1.0 }) }
}

/// Opens a file, and if that works takes all frames of at most 4 by 2 pixels; how many came, or why they ended.
fn watch(script: &Script, after: &str) -> Result<usize, DecodeError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video");
    std::fs::write(&path, b"never read").unwrap();
    let feed = Feed::open(&path, &script.limits(folder.path(), after))?;
    let request = Request { size: Size::Fit { width: 4, height: 2 }, ..Request::new(Sampling::All) };
    let mut frames = feed.stream(&request)?;
    let count = frames.by_ref().count();
    frames.finish().map(|_| count)
}

const STAYS: &str = "exec sleep 60";

fn garbled(script: &Script) -> String {
    match watch(script, STAYS) {
        Err(DecodeError::Garbled { what, .. }) => what.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_honest_decoder_is_believed() {
    let script = Script::default().greet(info()).say(Kind::Alive, &[]).frame(0, 4, 2).frame(1, 3, 2).done(&report(2));
    assert_eq!(watch(&script, STAYS).unwrap(), 2);
}

#[test]
fn an_error_of_the_file_is_its_own() {
    let script = Script::default().say(Kind::Failed, &[&wire::content(&DecodeError::Empty { path: "x".into() })]);
    assert!(matches!(watch(&script, STAYS), Err(DecodeError::Empty { path }) if path.ends_with("video")));
}

#[test]
fn lies_are_found_out() {
    let greeted = || Script::default().greet(info());
    let mut noise = Script::default();
    noise.0.extend(*b"<html>what is this");
    assert_eq!(garbled(&noise), "what is no message");
    assert_eq!(garbled(&Script::default().frame(0, 4, 2)), "a picture out of turn");
    assert_eq!(garbled(&greeted().frame(0, 5, 2)), "a picture of a size that was not asked for");
    let mut absurd = greeted().frame(0, 4, 2);
    let at = absurd.0.len() - 24 - wire::FRAME_BYTES - 4;
    absurd.0[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(garbled(&absurd), "a picture of a size that was not asked for");
    assert_eq!(garbled(&greeted().frame(0, 4, 2).done(&report(3))), "a report of other frames than it gave");
    let endless = DecodeReport { max_gap_s: f64::NAN, ..report(0) };
    assert_eq!(garbled(&greeted().done(&endless)), "a report of other frames than it gave");
    assert_eq!(garbled(&greeted().greet(info())), "a message out of turn");
    assert_eq!(garbled(&greeted().say(Kind::Item, &[b"x"])), "a part of another answer");
    for wrong in [
        VideoInfo { duration_s: Some(f64::INFINITY), ..info() },
        VideoInfo { coded_width: u32::MAX, ..info() },
        VideoInfo { pixel_aspect: (0, 1), ..info() },
    ] {
        assert_eq!(garbled(&Script::default().greet(wrong)), "a header that cannot be");
    }
    let escapes = VideoInfo { codec: "\u{1b}[2J".into(), ..info() };
    assert_eq!(garbled(&Script::default().greet(escapes)), "no greeting");
    let not_its_own = DecodeError::Cancelled { path: "x".into() };
    assert_eq!(garbled(&greeted().say(Kind::Failed, &[&wire::content(&not_its_own)])), "an error that is none");
}

#[test]
fn one_that_ends_early_is_found_out_whatever_it_exits_with() {
    let half = Script::default().greet(info()).frame(0, 4, 2);
    for (after, says) in [
        ("exit 0", "exit status: 0"),
        ("kill -SEGV $$", "signal: 11"),
        ("kill -ABRT $$", "signal: 6"),
        ("echo 'out of \u{1b}luck' >&2; exit 3", "exit status: 3: out of luck"),
        ("yes 2>&1 | head -c 3000000 >&2; exit 0", "exit status: 0: "),
    ] {
        match watch(&half, after) {
            Err(DecodeError::Crashed { how, .. }) => assert!(how.starts_with(says), "{after}: {how}"),
            other => panic!("{after}: {other:?}"),
        }
    }
}

#[test]
fn one_that_no_longer_moves_is_killed() {
    assert!(
        matches!(watch(&Script::default(), STAYS), Err(DecodeError::Stalled { .. })),
        "before it has opened the file"
    );
    let half = Script::default().greet(info()).frame(0, 4, 2);
    assert!(matches!(watch(&half, STAYS), Err(DecodeError::Stalled { .. })), "amid the frames");
    let mut cut = half;
    cut.0.extend(b"ls");
    assert!(matches!(watch(&cut, STAYS), Err(DecodeError::Stalled { .. })), "amid a message");
    let flood = watch(&Script::default(), "while :; do echo nothing new >&2; done");
    assert!(matches!(flood, Err(DecodeError::Stalled { .. })), "talking to stderr is no sign of life: {flood:?}");
}

#[test]
fn signs_of_life_are_signs() {
    let alive: String = wire::head(Kind::Alive, 0).unwrap().iter().map(|byte| format!("\\{byte:03o}")).collect();
    let beat = format!("printf '{alive}'; sleep 0.3; ").repeat(6);
    let slow = watch(&Script::default().greet(info()), &format!("{beat} exit 0"));
    assert!(matches!(slow, Err(DecodeError::Crashed { .. })), "longer than the silence that is suffered: {slow:?}");
}

#[test]
fn a_list_is_bounded_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video");
    std::fs::write(&path, b"never read").unwrap();
    let time = Timestamp { pts: 0, base: TimeBase { num: 1, den: 25 } };
    let facts = vec![FrameFacts { index: 0, time, width: 4, height: 2 }; 3];
    let script = Script::default().greet(info()).say(Kind::Item, &[&wire::content(&facts)]).done(&report(3));
    let feed = Feed::open(&path, &script.limits(folder.path(), STAYS)).unwrap();
    assert_eq!(feed.list(&Request::new(Sampling::All)).unwrap().0, facts);
    let script = Script::default().greet(info()).say(Kind::Item, &[b"\xff\xff\xff\xff\x0f"]);
    let feed = Feed::open(&path, &script.limits(folder.path(), STAYS)).unwrap();
    assert!(matches!(feed.list(&Request::new(Sampling::All)), Err(DecodeError::Garbled { .. })));
}

#[test]
fn who_waits_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video");
    std::fs::write(&path, b"never read").unwrap();
    let limits = Script::default().greet(info()).limits(folder.path(), STAYS);
    let feed = Feed::open(&path, &Limits { stall_timeout: Duration::from_secs(3600), ..limits }).unwrap();
    let cancel = Arc::new(AtomicBool::new(true));
    let request = Request { cancel: Some(cancel), ..Request::new(Sampling::All) };
    let mut frames = feed.stream(&request).unwrap();
    assert_eq!(frames.by_ref().count(), 0);
    assert!(matches!(frames.finish(), Err(DecodeError::Cancelled { .. })));
}

#[test]
fn a_clip_is_bounded_and_leaves_nothing_where_it_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clips) = (folder.path().join("video"), folder.path().join("clips"));
    std::fs::write(&path, b"never read").unwrap();
    std::fs::create_dir(&clips).unwrap();
    let far = wire::content(&(u64::MAX - 1, vec![0_u8; 1]));
    let large = wire::content(&(2_u64 << 30, vec![0_u8; 1]));
    for item in [&far[..], &large[..], b"\xff\xff\xff\xff\x0f"] {
        let script = Script::default().greet(info()).say(Kind::Item, &[item]);
        let feed = Feed::open(&path, &script.limits(folder.path(), STAYS)).unwrap();
        let span = Span { start: 0.0, end: 1.0 };
        let outcome = decode::cut(&feed, span, How::Copied, &clips, "clip", &Arc::default());
        assert!(matches!(outcome, Err(CutError::Decode(DecodeError::Garbled { .. }))), "{outcome:?}");
        assert_eq!(std::fs::read_dir(&clips).unwrap().count(), 0);
    }
}
