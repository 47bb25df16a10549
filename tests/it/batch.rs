//! `batch` through the binary: what is done once is not done again, whatever happens in between.

use crate::support::command::{Outcome, longsight, longsight_fed};
use crate::support::stand_in::script;
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

#[test]
fn every_question_is_answered_once_and_the_tree_mirrors_the_input() {
    let odd = "- \"it's\"\n😀 $(x).mp4";
    let names = ["a/x.mp4", "b/x.mp4", odd];
    let batch = Batch::of(&names, TWO);
    let summary = batch.ends(0, &[]);
    assert_eq!((&summary["done"], &summary["answers"]), (&3.into(), &6.into()), "{summary}");
    let answered = batch.answers();
    assert_eq!(answered.len(), 6);
    for name in names {
        let own = batch.lines(&format!("videos/{name}.jsonl"));
        let asked: Vec<&str> = own.iter().map(|line| line["question"].as_str().unwrap()).collect();
        assert_eq!(asked, TWO.lines().collect::<Vec<_>>(), "{name}");
        let path = batch.videos().join(name).display().to_string();
        assert!(own.iter().all(|line| line["video"]["path"] == path && line["job"]["place"] == name));
    }
    let before = std::fs::read(batch.out().join("answers.jsonl")).unwrap();
    let lost = batch.out().join("videos/a/x.mp4.jsonl");
    std::fs::remove_file(&lost).unwrap();
    let again = batch.ends(0, &[]);
    assert_eq!((&again["answers"], &again["answers_before"], &again["done_before"]), (&0.into(), &6.into(), &3.into()));
    assert_eq!(std::fs::read(batch.out().join("answers.jsonl")).unwrap(), before);
    assert!(lost.is_file(), "what can be made from the answers is made again");
}

#[test]
fn only_what_is_missing_or_has_changed_is_asked() {
    let batch = Batch::of(&["a.mp4", "b.mp4"], TWO);
    batch.ends(0, &[]);
    batch.ask(&TWO.replace("red star", "blue ring"));
    assert_eq!(batch.ends(0, &[])["answers"], 2, "the other question stands");
    assert_eq!(batch.answers().len(), 6, "what was asked before is kept");
    batch.clip("b.mp4", 40);
    assert_eq!(batch.ends(0, &[])["answers"], 2, "another video under the same name");
    assert_eq!(batch.answers().len(), 6, "one answer to each question about each video");
    assert_eq!(batch.ends(0, &["--fps", "1"])["answers"], 4, "another plan");
    assert_eq!(batch.ends(0, &["--fps", "1", "--dtype", "q8_0"])["answers"], 4, "another precision");
    std::fs::rename(batch.videos().join("a.mp4"), batch.videos().join("c.mp4")).unwrap();
    let renamed = batch.ends(0, &["--fps", "1", "--dtype", "q8_0"]);
    assert_eq!((&renamed["answers"], &renamed["answers_shared"]), (&0.into(), &2.into()), "content, not name");
    let path = batch.lines("videos/c.mp4.jsonl")[0]["video"]["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with("c.mp4"), "{path}");
}

#[test]
fn clips_of_one_shape_and_one_prompt_are_answered_as_they_are_alone() {
    let question = "How many different objects appear in the video?\nIs there a white cross in the video?\n";
    let batch = Batch::of(&["a.mp4", "b.mp4", "c.mp4", "d.mp4"], question);
    batch.ends(0, &["--jobs", "4"]);
    let mut texts = BTreeSet::new();
    for name in ["a.mp4", "b.mp4", "c.mp4", "d.mp4"] {
        let path = batch.videos().join(name);
        let alone = longsight(
            &[&["ask", path.to_str().unwrap()][..], &question.lines().collect::<Vec<_>>(), &["--json"]].concat(),
        );
        let own = batch.lines(&format!("videos/{name}.jsonl"));
        for (alone, line) in alone.stdout.lines().zip(&own) {
            let alone: Value = serde_json::from_str(alone).unwrap();
            for field in ["answer", "evidence", "coverage", "usage", "video"] {
                assert_eq!(alone[field], line[field], "{name}");
            }
        }
        texts.insert(own[0]["answer"].as_str().unwrap().to_owned() + own[1]["answer"].as_str().unwrap());
    }
    assert!(texts.len() > 1, "the clips differ: {texts:?}");
}

#[test]
fn questions_may_be_about_some_videos_and_have_choices() {
    let questions = r#"{"question": "Which?", "choices": ["A. a red star", "B. a blue ring"], "video": "a/*"}
What is shown?
{"question": "Never asked", "video": "nobody.mp4"}"#;
    let batch = Batch::of(&["a/x.mp4", "b.mp4"], questions);
    let outcome = batch.run(&[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("line 3: no video is `nobody.mp4`"), "{}", outcome.stderr);
    let asked: Vec<(String, String)> =
        batch.answers().into_iter().map(|[place, question, ..]| (place, question)).collect();
    let expected = [("a/x.mp4", "Which?"), ("a/x.mp4", "What is shown?"), ("b.mp4", "What is shown?")];
    assert_eq!(
        asked.into_iter().collect::<BTreeSet<_>>(),
        expected.map(|(place, question)| (place.to_owned(), question.to_owned())).into()
    );
    let own = batch.lines("videos/a/x.mp4.jsonl");
    assert_eq!(own[0]["job"]["choices"][1], "B. a blue ring");
}

#[test]
fn bad_files_cost_a_line_each_and_the_line_does_it_again() {
    let batch = Batch::of(&["good.mp4", "cut 'off'.mp4"], TWO);
    let whole = std::fs::read(batch.videos().join("cut 'off'.mp4")).unwrap();
    batch.file("empty.mp4", b"");
    batch.file("text.mp4", &b"To be, or not to be, that is the question.\n".repeat(50));
    batch.file("cut 'off'.mp4", &whole[..whole.len() / 3]);
    let bad = ["cut 'off'.mp4", "empty.mp4", "text.mp4"];
    let summary = batch.ends(4, &[]);
    assert_eq!((&summary["done"], &summary["failed"]), (&1.into(), &3.into()));
    let failed = batch.lines("failed.jsonl");
    assert_eq!(places(&failed), bad);
    for line in &failed {
        assert_eq!((&line["code"], &line["stage"]), (&"input".into(), &"open".into()), "{line}");
        let program = Path::new(env!("CARGO_BIN_EXE_longsight")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let command = line["command"].as_str().unwrap();
        let again = Command::new("bash").args(["-c", command]).env("PATH", path).output().unwrap();
        assert_eq!(again.status.code(), Some(3), "{command}");
        let error = String::from_utf8(again.stderr).unwrap();
        let error: Value = serde_json::from_str(error.lines().last().unwrap()).unwrap();
        let tail = |message: &Value| message.as_str().unwrap().rsplit(": ").next().unwrap().to_owned();
        assert_eq!(tail(&error["error"]["message"]), tail(&line["message"]), "{command}");
    }
    let again = batch.ends(4, &[]);
    assert_eq!((&again["failed"], &again["done_before"]), (&3.into(), &1.into()));
    assert_eq!(places(&batch.lines("failed.jsonl")), bad, "still one line each");
    batch.file("cut 'off'.mp4", &whole);
    assert_eq!(batch.ends(4, &[])["done"], 2, "a file that changed is tried again");
    assert_eq!(places(&batch.lines("failed.jsonl")), bad[1..]);
    for name in &bad[1..] {
        std::fs::remove_file(batch.videos().join(name)).unwrap();
    }
    batch.ends(0, &[]);
}

#[test]
fn a_decoder_that_breaks_down_costs_one_item() {
    for (name, body, says) in [
        ("crashes", "kill -SEGV $$", "signal: 11"),
        ("hangs", "exec sleep 600", "stopped moving"),
        ("half", "$real | dd bs=4k count=12 2>/dev/null; exit 0", "exit status: 0"),
        ("noise", "$real | { dd bs=4k count=12 2>/dev/null; exec cat /dev/urandom; }", "talks nonsense"),
    ] {
        let batch = Batch::of(&["a.mp4", "b.mp4", "c.mp4"], TWO);
        // The first decoder that is started does it; who has that one is chance.
        let first = format!("if mkdir '{0}/first'; then\n{body}\nelse\nexec $real\nfi", batch.folder.path().display());
        let stand_in = script(batch.folder.path(), name, &first);
        let flags = ["--decoder", stand_in.to_str().unwrap(), "--decoder-stall", "2"];
        let summary = batch.ends(4, &flags);
        assert_eq!((&summary["done"], &summary["failed"], &summary["answers"]), (&2.into(), &1.into(), &4.into()));
        let [line] = &batch.lines("failed.jsonl")[..] else { panic!("{name}: not one line") };
        assert_eq!((&line["stage"], &line["code"]), (&"decode".into(), &"input".into()), "{name}: {line}");
        assert!(line["message"].as_str().unwrap().contains(says), "{name}: {line}");
        assert_eq!(line["left_behind"], false, "{name}: {line}");
        let command = line["command"].as_str().unwrap();
        assert!(command.contains("--decoder-stall=2") && command.contains("--decoder="), "{command}");
        assert_eq!(batch.ends(0, &[&flags[..], &["--retry-failed"]].concat())["done"], 3, "{name}");
    }
}

#[test]
fn nothing_to_read_is_an_error_of_the_input() {
    let batch = Batch::new(TWO);
    assert_eq!(batch.run(&[]).code, Some(3));
    assert!(!batch.out().exists());
    batch.file("empty.mp4", b"");
    batch.ends(3, &[]);
}

#[test]
fn what_took_too_long_is_tried_again_when_that_is_asked_for() {
    let batch = Batch::of(&["a.mp4"], TWO);
    batch.ends(4, &["--item-timeout", "0.001"]);
    let failed = batch.lines("failed.jsonl");
    assert_eq!((&failed[0]["code"], &failed[0]["retryable"]), (&"timed_out".into(), &true.into()));
    // The time is up before or after the content is known; only then is there something to remember.
    if !failed[0]["attempt"].is_null() {
        assert_eq!(batch.ends(4, &[])["failed_before"], 1);
    }
    assert_eq!(batch.ends(0, &["--retry-failed"])["answers"], 2);
    assert!(batch.lines("failed.jsonl").is_empty());
}

#[test]
fn shards_together_are_the_whole() {
    let names: Vec<String> = (0..6).map(|number| format!("{number}.mp4")).collect();
    let batch = Batch::of(&names.iter().map(String::as_str).collect::<Vec<_>>(), TWO);
    batch.ends(0, &[]);
    let mut union = Answers::new();
    for part in ["1/3", "2/3", "3/3"] {
        let out = batch.folder.path().join(part.replace('/', "-"));
        let mut arguments = batch.arguments(&["--shard", part]);
        let at = arguments.iter().position(|argument| argument == "--out").unwrap();
        arguments[at + 1] = out.clone().into();
        assert_eq!(longsight(&arguments).code, Some(0));
        for answer in answers(&out) {
            assert!(union.insert(answer), "in two parts");
        }
    }
    assert_eq!(union, batch.answers());
}

#[test]
fn a_list_names_files_by_nul_or_by_line_and_no_output_leaves_its_folder() {
    let batch = Batch::of(&["a\nb.mp4", "c.mp4"], "What is shown?\n");
    let inside = batch.videos().join("sub");
    std::fs::create_dir(&inside).unwrap();
    let list = batch.folder.path().join("list");
    std::fs::write(
        &list,
        format!("{0}/../a\nb.mp4\0{0}/../c.mp4\0{1}/c.mp4\0", inside.display(), batch.videos().display()),
    )
    .unwrap();
    let mut arguments = batch.arguments(&[]);
    arguments[1] = "-".into();
    let outcome = longsight_fed(&arguments, std::fs::File::open(&list).unwrap().into());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let summary: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(summary["done"], 3);
    let outputs = crate::support::files(&batch.out().join("videos"));
    assert_eq!(outputs.len(), 3, "{outputs:?}");
    let outside: Vec<PathBuf> = crate::support::files(batch.folder.path())
        .into_iter()
        .filter(|path| !path.starts_with(batch.out()) && path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    assert_eq!(outside, [batch.questions()]);
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let batch = Batch::of(&["a.mp4", "b.mp4"], TWO);
    batch.file("empty.mp4", b"");
    let plan = batch.ends(0, &["--dry-run"]);
    assert_eq!(
        ["videos", "videos_open", "questions", "answered", "failed", "frames"].map(|name| plan[name].as_u64().unwrap()),
        [3, 2, 6, 0, 1, 16]
    );
    assert!(plan["visual_tokens"].as_u64().unwrap() > 0);
    assert!(!batch.out().exists());
    batch.ends(4, &[]);
    let before = crate::support::files(&batch.out());
    let plan = batch.ends(0, &["-n"]);
    assert_eq!((&plan["videos_open"], &plan["answered"], &plan["frames"]), (&0.into(), &4.into(), &0.into()));
    assert_eq!(crate::support::files(&batch.out()), before);
}

#[test]
fn wrong_arguments_are_told_before_anything_is_written() {
    let batch = Batch::of(&["a.mp4"], TWO);
    for more in
        [&["--shard", "3/2"][..], &["--include", "a["], &["--fps", "0"], &["--jobs", "0"], &["--pipeline", "no"]]
    {
        assert_eq!(batch.run(more).code, Some(2), "{more:?}");
    }
    assert_eq!(batch.run(&["--model", "/no/such/model"]).code, Some(5));
    std::fs::remove_dir_all(batch.out()).unwrap();
    batch.ask("{\"question\": 1}\n");
    assert_eq!(batch.run(&[]).code, Some(2));
    batch.ask(TWO);
    assert!(!batch.out().exists());
    std::fs::create_dir(batch.out()).unwrap();
    std::fs::write(batch.out().join("thesis.tex"), "years of work").unwrap();
    let outcome = batch.run(&[]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("not empty"), "{}", outcome.stderr);
    assert_eq!(crate::support::files(&batch.out()).len(), 1);
}

/// Waits for something that a process does while it runs.
fn until(child: &mut Child, mut happened: impl FnMut() -> bool) {
    while !happened() {
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A batch that waits for a file to settle, longer than any test takes.
fn waiting(batch: &Batch) -> Child {
    batch.clip("fresh.mp4", 50);
    let fresh = std::fs::File::options().write(true).open(batch.videos().join("fresh.mp4")).unwrap();
    fresh.set_modified(SystemTime::now()).unwrap();
    let mut child = batch.start(&["--settle", "3600"]);
    let marker = batch.out().join(".longsight-batch");
    until(&mut child, || std::fs::read_to_string(&marker).is_ok_and(|text| text.contains("pid")));
    child
}

#[test]
fn two_batches_do_not_write_to_one_folder() {
    let batch = Batch::of(&["a.mp4"], TWO);
    let mut first = waiting(&batch);
    let second = batch.run(&[]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.code, Some(2));
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{}", second.stderr);
    batch.ends(0, &["--settle", "0"]);
}

#[test]
fn a_batch_that_is_asked_to_stop_does_so_and_goes_on_next_time() {
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let batch = Batch::of(&["a.mp4"], TWO);
        let mut child = waiting(&batch);
        // Until the model is loaded and the first video is done.
        until(&mut child, || batch.out().join("videos/a.mp4.jsonl").exists());
        // SAFETY: a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, signal) }, 0);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(batch.answers().len(), 2);
        let rest = batch.ends(0, &["--settle", "0"]);
        assert_eq!((&rest["answers"], &rest["answers_before"]), (&2.into(), &2.into()));
    }
}

#[test]
fn a_file_that_grows_is_left_for_later() {
    let batch = Batch::of(&["done.mp4"], TWO);
    let growing = batch.clip("growing.mp4", 51);
    let whole = std::fs::read(&growing).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        let mut length = 0;
        while stopped.recv_timeout(Duration::from_millis(20)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            length = (length + 1).min(whole.len() - 1);
            std::fs::write(&growing, &whole[..length]).unwrap();
        }
        std::fs::write(&growing, &whole).unwrap();
        age(&growing);
    });
    std::thread::sleep(Duration::from_millis(100));
    let summary = batch.ends(0, &["--settle", "3"]);
    drop(stop);
    writer.join().unwrap();
    assert_eq!((&summary["done"], &summary["skipped"], &summary["failed"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!(batch.ends(0, &[])["done"], 2);
}

#[test]
fn a_torn_line_is_repaired_and_its_answer_given_again() {
    let batch = Batch::of(&["a.mp4", "b.mp4"], TWO);
    batch.ends(0, &[]);
    let (path, whole) = (batch.out().join("answers.jsonl"), batch.answers());
    let bytes = std::fs::read(&path).unwrap();
    for cut in [1, 2, bytes.len() / 4] {
        std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        assert!(batch.ends(0, &[])["answers"].as_u64() >= Some(1));
        assert_eq!(batch.answers(), whole);
    }
}

/// Kills a batch at `kills` moments within `longest` of its starts, and starts it again; where it comes to its end, what it left
/// is compared with what an uninterrupted run leaves, and it begins anew.
fn kill(batch: &Batch, kills: usize, longest: Duration) {
    batch.file("empty.mp4", b"");
    batch.ends(4, &[]);
    let whole = (batch.answers(), batch.tree());
    let anew = || std::fs::remove_dir_all(batch.out()).unwrap();
    anew();
    let mut seed = 88_172_645_463_325_252_u64;
    let (mut killed, mut ended) = (0, 0);
    while killed < kills {
        let mut child = batch.start(&[]);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(longest.mul_f64((seed % 4096) as f64 / 4096.0));
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(4));
            assert_eq!(whole, (batch.answers(), batch.tree()), "after {killed} kills");
            ended += 1;
            anew();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        // What stands there is true at any moment.
        let torn = |path: &Path| std::fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|&last| last != b'\n'));
        if !torn(&batch.out().join("answers.jsonl")) {
            assert!(batch.answers().is_subset(&whole.0), "after {killed} kills");
        }
    }
    batch.ends(4, &[]);
    assert_eq!(whole, (batch.answers(), batch.tree()), "nothing temporary is left, no line lost or doubled");
    println!("{killed} kills, {} batches whole", ended + 1);
}

#[test]
fn killed_at_any_moment_it_goes_on_to_the_same_answers() {
    kill(&Batch::of(&["a.mp4", "b/c.mp4", "b/d.mp4", "e.mp4", "f.mp4"], TWO), 8, Duration::from_millis(900));
}

#[test]
#[ignore = "takes minutes: cargo test --release -p longsight --test it two_hundred -- --ignored --nocapture"]
fn killed_two_hundred_times_fifty_videos_are_answered_as_if_nothing_had_happened() {
    let names: Vec<String> = (0..50).map(|number| format!("{}/{number}.mp4", number % 7)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    kill(&Batch::of(&names, TWO), 200, Duration::from_secs(6));
}

#[test]
fn memory_is_a_ceiling_for_every_video_and_for_those_under_way_together() {
    let batch = Batch::of(&["small.mp4", "too.mp4"], TWO);
    let large = batch.folder.path().join("clip.mp4");
    let script = Script::write(Split::HeldOut, 60, &Wishes { shortest: 4.0, longest: 4.0 });
    let options = EncodeOptions { width: 960, height: 720, preset: "veryfast".to_owned(), ..EncodeOptions::default() };
    encode(&script, &large, &options).unwrap();
    std::fs::rename(large, batch.videos().join("large.mp4")).unwrap();
    age(&batch.videos().join("large.mp4"));
    batch.ends(4, &["--memory", "1M"]);
    let needs = |place: &str| {
        let failed = batch.lines("failed.jsonl");
        let line = failed.iter().find(|line| line["place"] == place).unwrap();
        assert_eq!((&line["code"], &line["stage"]), (&"does_not_fit".into(), &"plan".into()), "{line}");
        assert!(line["command"].as_str().unwrap().contains("--memory=1048576"), "{line}");
        let hint = line["hint"].as_str().unwrap();
        let size = hint.strip_prefix("--memory ").unwrap().split_once("M would fit").unwrap().0;
        size.parse::<u64>().unwrap()
    };
    let (small, large) = (needs("small.mp4"), needs("large.mp4"));
    assert!(small < large, "{small} {large}");
    let memory = |mebibytes: u64| format!("--memory={mebibytes}M");
    // Less than one of the small ones takes beside the other.
    let summary = batch.ends(4, &[&memory(small), "--jobs", "3"]);
    assert_eq!((&summary["done"], &summary["failed"], &summary["answers"]), (&2.into(), &1.into(), &4.into()));
    assert_eq!(places(&batch.lines("failed.jsonl")), ["large.mp4"]);
    let summary = batch.ends(0, &[&memory(large), "--jobs", "3"]);
    assert_eq!((&summary["done"], &summary["failed"]), (&3.into(), &0.into()));
    // The decoder's process counts.
    let apart = batch.ends(4, &["--memory", "1M", "--retry-failed"]);
    assert_eq!(apart["failed"], 3);
    let whole = needs("small.mp4");
    batch.ends(4, &["--memory", "1M", "--retry-failed", "--in-process-decoder"]);
    assert!(needs("small.mp4") < whole);
}

#[test]
fn no_room_stops_it_and_what_is_written_is_whole() {
    let batch = Batch::of(&["a.mp4", "b.mp4", "c.mp4", "d.mp4"], TWO);
    let limited = |blocks: u32| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_longsight")]).args(batch.arguments(&["--jobs", "1"]));
        command.stdin(Stdio::null()).output().unwrap()
    };
    // In KiB; two answers take more than two and less than eight, four of four videos more.
    let full = limited(8);
    let error = String::from_utf8_lossy(&full.stderr).into_owned();
    assert_eq!(full.status.code(), Some(6), "{error}");
    let kept = batch.answers();
    assert!(kept.len() < 8, "the limit was reached: {error}");
    batch.ends(0, &[]);
    assert_eq!(batch.answers().len(), 8);
    assert!(kept.is_subset(&batch.answers()));
}

#[test]
fn another_folder_with_the_same_names_does_not_take_the_answers_places() {
    let batch = Batch::of(&["a.mp4"], TWO);
    batch.ends(0, &[]);
    let (before, moved) = (batch.answers(), batch.folder.path().join("moved"));
    let run = |folder: PathBuf| {
        let mut arguments = batch.arguments(&[]);
        arguments[1] = folder.into();
        longsight(&arguments)
    };
    let other = batch.clip("../other/a.mp4", 41);
    let outcome = run(other.parent().unwrap().to_owned());
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("holds answers about"), "{}", outcome.stderr);
    assert_eq!(batch.answers(), before);
    std::fs::rename(batch.videos(), &moved).unwrap();
    assert_eq!(run(moved).code, Some(0), "a folder that was moved is the same");
    assert_eq!(batch.answers(), before);
}
