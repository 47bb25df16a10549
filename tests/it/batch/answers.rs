//! What is asked, of which videos, and where the answers go.

use super::*;
use crate::support::command::longsight_fed;

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
