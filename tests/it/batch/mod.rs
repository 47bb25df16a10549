//! `batch` through the binary: what is done once is not done again, whatever happens in between.

mod answers;
mod failures;
mod interrupted;

use crate::support::command::{Outcome, longsight};
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

/// Videos, questions and outputs of a test.
struct Batch {
    folder: tempfile::TempDir,
}

impl Batch {
    fn new(questions: &str) -> Self {
        let batch = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(batch.videos()).unwrap();
        batch.ask(questions);
        batch
    }

    /// A batch of short clips, named and different from each other.
    fn of(names: &[&str], questions: &str) -> Self {
        let batch = Self::new(questions);
        for (seed, name) in (20..).zip(names) {
            batch.clip(name, seed);
        }
        batch
    }

    fn videos(&self) -> PathBuf {
        self.folder.path().join("videos")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn questions(&self) -> PathBuf {
        self.folder.path().join("questions.jsonl")
    }

    fn ask(&self, questions: &str) {
        std::fs::write(self.questions(), questions).unwrap();
    }

    /// Four seconds of the generated world.
    fn clip(&self, name: &str, seed: u64) -> PathBuf {
        let path = self.videos().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let script = Script::write(Split::HeldOut, seed, &Wishes { shortest: 4.0, longest: 4.0 });
        // FFmpeg takes some names for something else.
        let plain = self.folder.path().join("clip.mp4");
        encode(&script, &plain, &EncodeOptions { width: 96, height: 96, ..EncodeOptions::default() }).unwrap();
        std::fs::rename(plain, &path).unwrap();
        age(&path);
        path
    }

    /// A file that is no video.
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.videos().join(name);
        std::fs::write(&path, content).unwrap();
        age(&path);
        path
    }

    fn arguments(&self, more: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["batch".into(), self.videos().into()];
        arguments.extend(["--questions".into(), self.questions().into(), "--out".into(), self.out().into()]);
        arguments.push("--json".into());
        arguments.extend(more.iter().map(OsString::from));
        arguments
    }

    fn run(&self, more: &[&str]) -> Outcome {
        longsight(&self.arguments(more))
    }

    /// Runs to its end, which has to be `code`, and gives the summary.
    fn ends(&self, code: i32, more: &[&str]) -> Value {
        let outcome = self.run(more);
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    /// Names and numbers of lines of all that was written.
    fn tree(&self) -> Vec<(PathBuf, usize)> {
        let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
        let below = |path: &PathBuf| (path.strip_prefix(self.out()).unwrap().to_owned(), lines(path));
        crate::support::files(&self.out()).iter().map(below).collect()
    }

    fn start(&self, more: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longsight"));
        command.args(self.arguments(more)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.out().join(name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn answers(&self) -> Answers {
        answers(&self.out())
    }
}

/// Place, question, key and answer of every line.
type Answers = BTreeSet<[String; 4]>;

fn answers(out: &Path) -> Answers {
    let text = std::fs::read_to_string(out.join("answers.jsonl")).unwrap_or_default();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let field = |line: &Value, pointer: &str| line.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let set: Answers = lines
        .iter()
        .map(|line| ["/job/place", "/question", "/job/key", "/answer"].map(|pointer| field(line, pointer)))
        .collect();
    assert_eq!(set.len(), lines.len(), "an answer stands there twice");
    set
}

/// As if it had been written yesterday.
fn age(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(86_400)).unwrap();
}

fn places(lines: &[Value]) -> Vec<&str> {
    let mut places: Vec<&str> = lines.iter().map(|line| line["place"].as_str().unwrap()).collect();
    places.sort_unstable();
    places
}

const TWO: &str = "Is there a red star in the video?\nHow many different objects appear in the video?\n";
