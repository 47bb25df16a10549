//! `index --follow` through the binary, while another thread writes the videos.

use crate::support::clip::Clip;
use crate::support::command::longsight;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far above what any line takes.
const LIMIT: Duration = Duration::from_secs(100);

/// A running `index --follow`, and its lines as they come.
struct Follow {
    child: Child,
    lines: Receiver<Value>,
    store: PathBuf,
    pipeline: PathBuf,
}

impl Follow {
    /// Parts of four seconds; a file is complete when it has not been written to for `settle`.
    fn new(folder: &Path, what: &Path, settle: &str) -> Self {
        let (store, pipeline) = (folder.join("index"), folder.join("parts.toml"));
        std::fs::write(&pipeline, "[evidence]\npart = 4.0\n").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_longsight"))
            .args(["index", "--follow", "--json", "--every", "0.1", "--settle", settle, "--index-dir"])
            .args([&store, Path::new("--pipeline"), &pipeline, what])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (out, (sender, lines)) = (BufReader::new(child.stdout.take().unwrap()), channel());
        std::thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines, store, pipeline }
    }

    /// The next line about a video of this name.
    fn next(&self, name: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(LIMIT).unwrap();
            if line["video"].as_str().unwrap().ends_with(name) {
                return line;
            }
        }
    }

    /// The same once it is complete.
    fn complete(&self, name: &str) -> Value {
        loop {
            let line = self.next(name);
            if line["complete"] == true {
                return line;
            }
        }
    }

    /// `index` of the finished file: what it finds there already.
    fn indexed(&self, video: &Path) -> Value {
        let [store, pipeline, video] = [&self.store, &self.pipeline, video].map(|path| path.to_str().unwrap());
        let outcome = longsight(&["index", video, "--json", "--index-dir", store, "--pipeline", pipeline]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        serde_json::from_str::<Value>(outcome.stdout.trim()).unwrap()["indexed"][0].clone()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A recording of so many seconds, as it would be when it is finished.
fn recording(
    folder: &Path,
    name: &str,
    seconds: usize,
    container: &'static [(&'static str, &'static str)],
) -> Option<Vec<u8>> {
    let path = folder.join(format!("whole-{name}"));
    let clip = Clip { container, ..Clip::steady(seconds * 25) };
    clip.write(&path).then(|| std::fs::read(path).unwrap())
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn of_a_growing_recording_only_what_is_new_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let Some(whole) = recording(folder.path(), "film.ts", 22, &[]) else { return };
    let film = folder.path().join("film.ts");
    // Packets of 188 bytes, but not at their borders.
    append(&film, &whole[..whole.len() / 2]);
    let follow = Follow::new(folder.path(), &film, "4");
    let growing = follow.next("film.ts");
    assert_eq!(growing["complete"], false);
    assert!(growing["key"].is_null());
    let early = growing["read"].as_u64().unwrap();
    assert!(early >= 1 && growing["readings"] == early, "{growing}");
    // From here on it grows until it is whole.
    let rest = whole[whole.len() / 2..].to_vec();
    let writer = {
        let film = film.clone();
        std::thread::spawn(move || {
            for piece in rest.chunks(rest.len() / 20) {
                append(&film, piece);
                std::thread::sleep(Duration::from_millis(100));
            }
        })
    };
    writer.join().unwrap();
    let done = follow.complete("film.ts");
    // 22 seconds: five parts of four seconds, the rest, and the whole.
    let (readings, read) = (done["readings"].as_u64().unwrap(), done["read"].as_u64().unwrap());
    assert_eq!(readings, 7);
    assert!(read <= readings - early, "what was read while it grew is not read again: {done}");
    let again = follow.indexed(&film);
    assert_eq!(
        (&again["known"], &again["key"], &again["readings"]),
        (&Value::from(true), &done["key"], &done["readings"])
    );
    // Nothing of the states before is left.
    let store = follow.store.to_str().unwrap();
    let listed = longsight(&["index", "--list", "--json", "--index-dir", store]);
    let listed: Value = serde_json::from_str(listed.stdout.trim()).unwrap();
    assert_eq!(listed["entries"].as_array().unwrap().len() as u64, readings);
}

#[test]
fn segments_that_are_added_to_a_folder_are_indexed_whatever_else_lies_there() {
    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("segments");
    std::fs::create_dir(&segments).unwrap();
    let fragments: &[(&str, &str)] = &[("movflags", "frag_keyframe+empty_moov")];
    let Some(one) = recording(folder.path(), "a.mkv", 3, &[]) else { return };
    let Some(two) = recording(folder.path(), "b.mp4", 3, fragments) else { return };
    let follow = Follow::new(folder.path(), &segments, "0.5");
    append(&segments.join("broken.ts"), b"no video, and none will come of it");
    append(&segments.join("a.mkv"), &one);
    assert_eq!(follow.complete("a.mkv")["readings"], 1);
    // Fragments come one by one, the first of them in the middle of one.
    let path = segments.join("b.mp4");
    for piece in two.chunks(two.len() / 5) {
        append(&path, piece);
        std::thread::sleep(Duration::from_millis(30));
    }
    let mut done = follow.complete("b.mp4");
    // It may have seemed complete on the way.
    while !follow.indexed(&path)["known"].as_bool().unwrap() {
        done = follow.complete("b.mp4");
    }
    assert_eq!(done["key"], follow.indexed(&path)["key"]);
    assert_eq!(follow.indexed(&segments.join("a.mkv"))["known"], true);
}

#[test]
fn following_ends_by_itself_and_reads_what_is_there_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let Some(whole) = recording(folder.path(), "film.mkv", 9, &[]) else { return };
    let (film, store) = (folder.path().join("film.mkv"), folder.path().join("index"));
    append(&film, &whole);
    let (path, store) = (film.to_str().unwrap(), store.to_str().unwrap());
    let follow = ["index", "--follow", path, "--for", "0.5", "--settle", "3600", "--json", "--index-dir", store];
    let outcome = longsight(&follow);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let last: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["complete"], &last["schema"]), (&Value::from(true), &Value::from("longsight.indexed/1")));
    assert_eq!(longsight(&["index", "--for", "1", path]).code, Some(2), "it belongs to --follow");
}
