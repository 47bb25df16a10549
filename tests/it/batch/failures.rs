//! What fails, what is told of it, and how it is tried again.

use super::*;
use crate::support::stand_in::script;

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
        let command = line["command"].as_str().unwrap();
        let again = shell(command);
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
fn a_video_that_was_replaced_and_fails_leaves_no_answers_about_the_old_one() {
    let batch = Batch::of(&["a.mp4", "b.mp4", "c.mp4", "d.mp4"], TWO);
    batch.ends(0, &[]);
    let whole = std::fs::read(batch.videos().join("a.mp4")).unwrap();
    let other = std::fs::read(batch.clip("e.mp4", 50)).unwrap();
    std::fs::remove_file(batch.videos().join("e.mp4")).unwrap();
    batch.file("b.mp4", &other[..other.len() / 3]);
    batch.file("c.mp4", b"");
    // The same video that fails for another reason is still what was asked about.
    batch.ends(4, &["--memory", "1M"]);
    let about = |batch: &Batch| batch.answers().into_iter().map(|[place, ..]| place).collect::<BTreeSet<_>>();
    let left: BTreeSet<String> = ["a.mp4".to_owned(), "d.mp4".to_owned()].into();
    assert_eq!(about(&batch), left);
    let own = |name: &str| batch.out().join(format!("videos/{name}.jsonl"));
    assert!(own("a.mp4").is_file() && !own("b.mp4").exists() && !own("c.mp4").exists());
    let again = batch.ends(4, &[]);
    assert_eq!((&again["failed"], &again["answers"], &again["answers_before"]), (&2.into(), &0.into(), &4.into()));
    batch.file("b.mp4", &whole);
    assert_eq!(batch.ends(4, &[])["answers_shared"], 2, "a copy of another");
    assert_eq!(batch.lines("videos/b.mp4.jsonl").len(), 2);
}

#[test]
fn the_command_names_model_and_pipeline_from_any_folder() {
    let batch = Batch::of(&["a.mp4"], TWO);
    let folder = batch.folder.path();
    std::os::unix::fs::symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/models/longsight-tiny"), folder.join("my model"))
        .unwrap();
    std::fs::write(folder.join("mine.toml"), "[decode]\nmax_frames = 4\n[budget]\nmemory = \"1M\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_longsight"));
    command.args(batch.arguments(&["--model", "my model", "--pipeline", "mine.toml"])).current_dir(folder);
    command.env("LONGSIGHT_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    assert_eq!(command.output().unwrap().status.code(), Some(4));
    let [line] = &batch.lines("failed.jsonl")[..] else { panic!("not one line") };
    let again = shell(line["command"].as_str().unwrap());
    // Run in another folder, it comes as far as the batch did: what is planned does not fit.
    assert_eq!(again.status.code(), Some(6), "{again:?}");
    batch.ends(4, &["--memory", "1M"]);
    let [line] = &batch.lines("failed.jsonl")[..] else { panic!("not one line") };
    assert!(line["command"].as_str().unwrap().contains("--pipeline=balanced"), "a name stays a name: {line}");
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
fn the_command_asks_everything_again_with_its_choices() {
    let questions = r#"What is shown?
{"question": "Which 'one' $(is) it?", "choices": ["A. a \"red\" star", "-B. it's a blue ring"]}
{"question": "Which?", "choices": ["A. red", "B. blue", "-C"], "video": "*.mp4"}
{"question": "How many objects appear?", "video": "a b.mp4"}
{"question": "Is it red?", "choices": ["A. red", "B. blue", "-C"], "video": "a b.mp4"}
{"question": "Never asked", "video": "nobody.mp4"}"#;
    let batch = Batch::of(&["a b.mp4"], questions);
    // Breaks down once, so that what the command does can be seen.
    let body = format!("if mkdir '{}/first'; then\nkill -SEGV $$\nfi\nexec $real", batch.folder.path().display());
    let stand_in = script(batch.folder.path(), "crashes", &body);
    let flags = ["--decoder", stand_in.to_str().unwrap(), "--max-frames", "4", "--no-index"];
    batch.ends(3, &flags);
    let [line] = &batch.lines("failed.jsonl")[..] else { panic!("not one line") };
    let again = shell(line["command"].as_str().unwrap());
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let told = |line: &Value| [&line["question"], &line["answer"], &line["choice"], &line["plan"]].map(Value::clone);
    let again = String::from_utf8(again.stdout).unwrap();
    let mut again: Vec<_> = again.lines().map(|line| told(&serde_json::from_str(line).unwrap())).collect();
    batch.ends(0, &[&flags[..], &["--retry-failed"]].concat());
    let mut answers: Vec<_> = batch.lines("answers.jsonl").iter().map(told).collect();
    again.sort_by_key(|told| told[0].to_string());
    answers.sort_by_key(|told| told[0].to_string());
    assert_eq!(again, answers);
    assert_eq!(answers.len(), 5);
}

/// Runs a command in which the program is called by its name.
fn shell(command: &str) -> std::process::Output {
    let program = Path::new(env!("CARGO_BIN_EXE_longsight")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    Command::new("bash").args(["-c", command]).env("PATH", path).output().unwrap()
}
