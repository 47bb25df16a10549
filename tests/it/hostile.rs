//! Files that are no videos, no longer videos, or try to be something else: one line, exit code 3, no panic, no hang.

use crate::support::clip::Clip;
use crate::support::command::{Outcome, longsight, longsight_fed};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A case: the argument, and words that the message has to contain.
struct Case {
    argument: PathBuf,
    says: &'static str,
}

/// A pseudo-random byte stream (xorshift), the same on every machine.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
}

/// 0.1 s of silence as a WAV file.
fn wav() -> Vec<u8> {
    let data = vec![0u8; 1600];
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// A Flash video that holds PCM audio and nothing else.
fn flv_audio() -> Vec<u8> {
    let mut file = b"FLV\x01\x04\0\0\0\x09\0\0\0\0".to_vec();
    for packet in 0..20u32 {
        let data = [&[0x3e_u8][..], &[0; 400]].concat();
        file.push(8);
        file.extend(&(data.len() as u32).to_be_bytes()[1..]);
        file.extend(&(packet * 10).to_be_bytes()[1..]);
        file.extend([0, 0, 0, 0]);
        file.extend(&data);
        file.extend((data.len() as u32 + 11).to_be_bytes());
    }
    file
}

fn cases(folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, content: &[u8], says| {
        let argument = folder.join(name);
        std::fs::write(&argument, content).unwrap();
        cases.push(Case { argument, says });
    };
    add("empty.mp4", b"", "is empty");
    add("zeros.mp4", &[0; 100_000], "no video file");
    add("noise.mp4", &noise(1).take(100_000).collect::<Vec<_>>(), "no video file");
    add("noise.mkv", &noise(2).take(100_000).collect::<Vec<_>>(), "no video file");
    add("text.mp4", b"To be, or not to be, that is the question.\n".repeat(50).as_slice(), "no video file");
    add("page.mp4", b"<!DOCTYPE html><html><body>404 not found</body></html>", "no video file");
    add("list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n/etc/passwd\n#EXT-X-ENDLIST\n", "hls");
    add("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n", "hls");
    add("list.ffconcat", b"ffconcat version 1.0\nfile a.mp4\nfile /etc/passwd\n", "concat");
    add("list.mpd", b"<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"></MPD>", "");
    add(
        "session.sdp",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "sdp",
    );
    add("subtitles.mp4", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:03,000 --> 00:00:04,000\nYou\n", "srt");
    add("sound.wav", &wav(), "wav");
    add("sound.mp4", &flv_audio(), "audio only");
    add("huge.y4m", b"YUV4MPEG2 W12000 H12000 F25:1 Ip A1:1 C420jpeg\nFRAME\nxxxxxxxx", "12000x12000");
    add(
        "huge.gif",
        b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0;",
        "",
    );
    let mut reference = b"\0\0\0\x14ftypqt  \0\0\0\0qt  ".to_vec();
    reference.extend(b"\0\0\0\x34moov\0\0\0\x2crmra\0\0\0\x24rmda\0\0\0\x1crdrf\0\0\0\0url \0\0\0\x08file:/x\0");
    add("reference.mov", &reference, "");
    cases.push(Case { argument: folder.join("nothing.mp4"), says: "no such file" });
    cases.push(Case { argument: folder.join("text.mp4/inside.mp4"), says: "no such file" });
    cases.push(Case { argument: folder.to_path_buf(), says: "is a folder" });
    for (argument, says) in [
        ("http://127.0.0.1:9/a.mp4", "protocol"),
        ("https://example.invalid/a.mp4", "protocol"),
        ("rtsp://127.0.0.1:9/a", "protocol"),
        ("file:/etc/passwd", "protocol"),
        ("concat:a.ts|b.ts", "protocol"),
        ("pipe:0", "protocol"),
        ("data:video/mp4;base64,AAAA", "protocol"),
        ("/dev/zero", "no regular file"),
    ] {
        cases.push(Case { argument: argument.into(), says });
    }
    cases
}

/// One line and a next step on stderr, nothing on stdout, exit code 3.
fn assert_refused(name: &Path, run: &Outcome, says: &str) {
    assert_eq!(run.code, Some(3), "{name:?}: {run:?}");
    assert!(run.stdout.is_empty(), "{name:?}: {run:?}");
    assert!(run.stderr.contains(says), "{name:?} should say `{says}`: {run:?}");
    let mut lines = run.stderr.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("longsight: ")), "{name:?}: {run:?}");
    assert!(lines.all(|line| line.starts_with("  ")), "{name:?}: {run:?}");
    assert!(run.stderr.lines().count() <= 2, "{name:?}: {run:?}");
}

#[test]
fn what_is_no_video_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for Case { argument, says } in cases(folder.path()) {
        assert_refused(&argument, &longsight(&["frames".as_ref(), argument.as_os_str()]), says);
        let run = longsight(&["frames".as_ref(), "--json".as_ref(), argument.as_os_str()]);
        assert_eq!(run.code, Some(3), "{argument:?}: {run:?}");
        let error: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
        assert_eq!(error["error"]["code"], "input", "{argument:?}");
        assert!(!error["error"]["hint"].as_str().unwrap().is_empty(), "{argument:?} has no next step");
    }
}

#[test]
fn an_empty_pipe_is_refused() {
    assert_refused(Path::new("-"), &longsight_fed(&["frames", "-"], Stdio::null()), "is empty");
}

#[test]
fn a_file_may_be_called_anything() {
    let folder = tempfile::tempdir().unwrap();
    let clip = Clip::steady(30);
    for name in ["-dash.mp4", "http:colon.mp4", "a b|c?.mp4", "concat:x.mp4", "ünï.mp4", "no ending"] {
        let good = folder.path().join("good.mp4");
        if !clip.write(&good) {
            return;
        }
        let path = folder.path().join(name);
        std::fs::rename(&good, &path).unwrap();
        let run = longsight(&["frames".as_ref(), "--json".as_ref(), path.as_os_str()]);
        assert_eq!(run.code, Some(0), "{name}: {run:?}");
    }
}

#[test]
fn a_file_cut_off_says_so_or_shows_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mp4");
    if !Clip::steady(250).write(&whole) {
        return;
    }
    let bytes = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mp4");
    for part in [10, 50, 90] {
        std::fs::write(&cut, &bytes[..bytes.len() * part / 100]).unwrap();
        assert_refused(&cut, &longsight(&["frames".as_ref(), cut.as_os_str()]), "no index");
    }
    let whole = folder.path().join("whole.mkv");
    Clip::steady(250).write(&whole);
    let bytes = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mkv");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let run = longsight(&["frames".as_ref(), "--json".as_ref(), "--fps".as_ref(), "1000".as_ref(), cut.as_os_str()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let seen = json["frames"].as_array().unwrap().len();
    assert!((50..200).contains(&seen), "{seen} frames of half a file");
    assert!(json["warnings"].to_string().contains("the pictures end at"), "{json}");
    assert!(json["coverage"]["to"].as_f64().unwrap() < 8.0, "{json}");
}

#[test]
fn an_encrypted_video_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locked.mp4");
    let container = &[
        ("encryption_scheme", "cenc-aes-ctr"),
        ("encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"),
        ("encryption_kid", "a7e61c373e219033c21091fa607bf3b8"),
    ];
    if (Clip { container, ..Clip::steady(50) }).write(&path) {
        assert_refused(&path, &longsight(&["frames".as_ref(), path.as_os_str()]), "encrypted");
    }
}

#[test]
fn damaged_bytes_give_frames_or_an_error_and_never_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.mp4", "a.mkv", "a.ts"] {
        let whole = folder.path().join(name);
        if !Clip::steady(50).write(&whole) {
            return;
        }
        let bytes = std::fs::read(&whole).unwrap();
        for seed in 0..25u64 {
            let mut broken = bytes.clone();
            let mut random = noise(seed);
            // Half of the seeds strike the header and the index only.
            let span = if seed % 2 == 0 { broken.len() } else { broken.len().min(600) };
            for _ in 0..=seed {
                let at = (0..4).fold(0usize, |at, _| at << 8 | usize::from(random.next().unwrap())) % span;
                let from_end = seed % 4 == 3;
                let at = if from_end { broken.len() - 1 - at } else { at };
                broken[at] = random.next().unwrap();
            }
            let path = folder.path().join(format!("broken-{seed}-{name}"));
            std::fs::write(&path, broken).unwrap();
            let run = longsight(&["frames".as_ref(), "--fps".as_ref(), "1000".as_ref(), path.as_os_str()]);
            assert!(matches!(run.code, Some(0 | 3)), "{path:?} (seed {seed}): {run:?}");
        }
    }
}
