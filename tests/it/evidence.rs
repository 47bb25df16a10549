//! Checked evidence, conditions on time and `find`, through the binary, on clips whose truth is known.

use crate::support::command::{Outcome, longsight};
use ffmpeg_next as ffmpeg;
use longsight_models::Span;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use longsight_world::words::Shape;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A clip of 24 s, its path and what is in it; the seed is one in which a thing is seen twice.
fn clip(seed: u64) -> (tempfile::TempDir, PathBuf, Script) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let script = Script::write(Split::HeldOut, seed, &Wishes { shortest: 24.0, longest: 24.0 });
    encode(&script, &path, &EncodeOptions { width: 192, height: 192, ..EncodeOptions::default() }).unwrap();
    (folder, path, script)
}

/// A copy of a clip of key frames alone, without those of a stretch.
fn without(path: &Path, hole: Span) -> PathBuf {
    let out = path.with_file_name("hole.mp4");
    let mut input = ffmpeg::format::input(path).unwrap();
    let mut output = ffmpeg::format::output(&out).unwrap();
    let stream = input.stream(0).unwrap();
    output.add_stream(None::<ffmpeg::Codec>).unwrap().set_parameters(stream.parameters());
    output.stream_mut(0).unwrap().set_time_base(stream.time_base());
    output.write_header().unwrap();
    let (from, to) = (input.stream(0).unwrap().time_base(), output.stream(0).unwrap().time_base());
    for (_, mut packet) in input.packets() {
        let seconds = packet.pts().unwrap() as f64 * f64::from(from);
        if !hole.contains(seconds) {
            packet.rescale_ts(from, to);
            packet.set_stream(0);
            packet.write_interleaved(&mut output).unwrap();
        }
    }
    output.write_trailer().unwrap();
    out
}

#[test]
fn what_begins_behind_a_hole_does_not_begin_before_it() {
    ffmpeg::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let when = |video: &Path, thing: &str| -> Vec<Span> {
        let question = format!("When is the {thing} visible?");
        let outcome = longsight(&["ask", video.to_str().unwrap(), &question, "--json", "--no-index"]);
        let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let second = |span: &Value, name: &str| span[name].as_f64().unwrap();
        let found = answer["evidence"].as_array().unwrap().iter();
        found.map(|span| Span::new(second(span, "start"), second(span, "end"))).collect()
    };
    let near = |a: f64, b: f64| (a - b).abs() <= 0.51;
    let mut tried = 0;
    for seed in 4_500_000.. {
        let script = Script::write(Split::HeldOut, seed, &Wishes { shortest: 24.0, longest: 24.0 });
        let late = |(_, spans): &&(String, Vec<Span>)| matches!(spans[..], [only] if only.start >= 7.0 && only.duration() >= 3.0 && only.end < 22.0);
        let things = things(&script);
        let Some((thing, spans)) = things.iter().find(late) else { continue };
        let start = spans[0].start;
        let options = EncodeOptions { width: 192, height: 192, gop: 1, ..EncodeOptions::default() };
        encode(&script, &path, &options).unwrap();
        // Not every thing is found as it is.
        if !matches!(when(&path, thing)[..], [only] if near(only.start, start)) {
            continue;
        }
        // Whichever frame of a pair the hole comes behind.
        for length in [4.4, 4.9] {
            let holed = without(&path, Span::new(start - length, start - 0.01));
            let found = when(&holed, thing);
            assert!(found.iter().all(|span| span.start > start - 1.0), "{thing} from {start}, {length} s: {found:?}");
        }
        tried += 1;
        if tried == 2 {
            return;
        }
    }
}

/// Every span in which a thing is seen, by name, of things that keep their colour.
fn things(script: &Script) -> Vec<(String, Vec<Span>)> {
    let mut things: Vec<(String, Vec<Span>)> = Vec::new();
    for seen in script.sightings().iter().filter(|seen| !seen.repainted) {
        let (name, span) = (seen.pair.name(), Span::new(seen.span[0], seen.span[1]));
        match things.iter_mut().find(|(known, _)| *known == name) {
            Some((_, spans)) => spans.push(span),
            None => things.push((name, vec![span])),
        }
    }
    things
}

/// A seed, and a thing of it that is seen twice.
fn twice() -> (tempfile::TempDir, PathBuf, String, [Span; 2]) {
    for seed in 4_200_000.. {
        let script = Script::write(Split::HeldOut, seed, &Wishes { shortest: 24.0, longest: 24.0 });
        let found =
            things(&script).into_iter().find(|(_, spans)| spans.len() == 2 && spans[1].start - spans[0].end > 4.0);
        if let Some((name, spans)) = found {
            let (folder, path, _) = clip(seed);
            return (folder, path, name, [spans[0], spans[1]]);
        }
    }
    unreachable!("some seed has a thing that is seen twice")
}

fn lines(outcome: &Outcome) -> Vec<Value> {
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ask(path: &Path, more: &[&str]) -> Value {
    let mut args = vec!["ask", path.to_str().unwrap(), "--json"];
    args.extend(more);
    lines(&longsight(&args)).remove(0)
}

/// Intersection over union of a JSON span and a span.
fn overlap(found: &Value, truth: Span) -> f64 {
    let (start, end) = (found["start"].as_f64().unwrap(), found["end"].as_f64().unwrap());
    let both = (end.min(truth.end) - start.max(truth.start)).max(0.0);
    both / (end - start + truth.duration() - both)
}

#[test]
fn a_span_is_looked_at_again_on_frames_of_its_own_before_it_is_shown() {
    let (_folder, path, name, spans) = twice();
    let question = format!("When is the {name} visible?");
    let checked = ask(&path, &[&question]);
    let evidence = checked["evidence"].as_array().unwrap();
    assert_eq!(checked["status"], "supported", "{checked}");
    assert!(evidence.iter().all(|span| span["verified"] == true && span["check"] == "verified"), "{checked}");
    for truth in spans {
        assert!(evidence.iter().any(|span| overlap(span, truth) > 0.5), "{truth:?}: {checked}");
    }
    assert!(checked["timing_s"]["check"].as_f64().unwrap() > 0.0);
    assert!(checked["usage"]["check_tokens"].as_u64().unwrap() > 0);
    // Closer than the half second of the first look.
    let frames: Vec<f64> = evidence
        .iter()
        .flat_map(|span| span["frames"].as_array().unwrap())
        .map(|frame| frame["time_s"].as_f64().unwrap())
        .collect();
    assert!(frames.windows(2).any(|pair| pair[1] - pair[0] < 0.4), "{frames:?}");
    let unchecked = ask(&path, &[&question, "--no-check"]);
    assert_eq!(
        (&unchecked["plan"]["evidence"]["check"], &unchecked["usage"]["check_tokens"]),
        (&false.into(), &0.into())
    );
    let shown = unchecked["evidence"].as_array().unwrap();
    assert!(shown.iter().all(|span| span["verified"] == false && span["check"] == "unchecked"), "{unchecked}");
    assert_ne!(unchecked["status"], "supported");
}

#[test]
fn conditions_on_time_are_kept_and_told() {
    let (_folder, path, name, [first, second]) = twice();
    let middle = f64::midpoint(first.end, second.start);
    let clock = format!("0:{middle:02.0}");
    for (question, truth, constraints) in [
        (format!("When is the {name} visible after {clock}?"), second, 1),
        (format!("When does the {name} appear before {clock}?"), first, 1),
        (format!("When is the {name} visible the second time?"), second, 1),
        (format!("When is the {name} visible the last time?"), second, 1),
        (format!("When is the {name} visible for the first time?"), first, 1),
    ] {
        let answer = ask(&path, &[&question]);
        let evidence = answer["evidence"].as_array().unwrap();
        assert!(evidence.len() == 1 && overlap(&evidence[0], truth) > 0.5, "{question}: {answer}");
        assert_eq!(answer["question"], question);
        let read = &answer["plan"]["question"];
        assert_eq!(read["constraints"].as_array().unwrap().len(), constraints, "{answer}");
        assert!(!read["asked"].as_str().unwrap().contains(&clock));
    }
    let third = ask(&path, &[&format!("When is the {name} visible the fifth time?")]);
    assert_eq!((&third["status"], third["evidence"].as_array().unwrap().len()), (&"unsupported".into(), 0), "{third}");
    // What no second of the video meets is no condition to drop.
    let beyond = longsight(&["ask", path.to_str().unwrap(), "What is shown after 59:00?"]);
    assert!(beyond.code == Some(2) && beyond.stderr.contains("nothing is after 3540 s"), "{beyond:?}");
}

/// A clip, and two things of it that are seen once, the first well before the second.
fn in_order() -> (tempfile::TempDir, PathBuf, [(String, Span); 2]) {
    for seed in 4_400_000.. {
        let script = Script::write(Split::HeldOut, seed, &Wishes { shortest: 24.0, longest: 24.0 });
        let once = things(&script).into_iter().filter(|(_, spans)| spans.len() == 1);
        let mut once: Vec<(String, Span)> = once.map(|(name, spans)| (name, spans[0])).collect();
        once.sort_by(|a, b| a.1.start.total_cmp(&b.1.start));
        if let [first, .., last] = once.as_slice()
            && last.1.start - first.1.end > 2.0
        {
            let (folder, path, _) = clip(seed);
            return (folder, path, [first.clone(), last.clone()]);
        }
    }
    unreachable!("some seed has two things one after the other")
}

/// A clip with one sign alone, what that says, and when.
fn signed() -> (tempfile::TempDir, PathBuf, String, Span) {
    for seed in 4_300_000.. {
        let script = Script::write(Split::HeldOut, seed, &Wishes { shortest: 24.0, longest: 24.0 });
        let signs: Vec<_> = script.scenes.iter().filter_map(|scene| scene.sign.as_ref()).collect();
        if let [sign] = signs.as_slice()
            && !sign.counts
            && sign.text.chars().all(char::is_alphabetic)
        {
            let (folder, path, _) = clip(seed);
            return (folder, path, sign.text.clone(), Span::new(sign.span[0], sign.span[1]));
        }
    }
    unreachable!("some seed has one sign")
}

#[test]
fn what_something_says_is_shown_where_it_can_be_seen() {
    let (_folder, path, text, truth) = signed();
    let answer = ask(&path, &["What does the sign say?"]);
    assert_eq!(answer["answer"], format!("{text}."));
    assert_eq!(answer["status"], "supported", "{answer}");
    let evidence = answer["evidence"].as_array().unwrap();
    assert!(evidence.iter().any(|span| span["verified"] == true && overlap(span, truth) > 0.5), "{truth:?}: {answer}");
    let unchecked = ask(&path, &["What does the sign say?", "--no-check"]);
    assert_eq!((&unchecked["status"], unchecked["evidence"].as_array().unwrap().len()), (&"partly".into(), 0));
}

#[test]
fn lengths_and_orders_follow_from_the_spans_that_are_shown() {
    let (_folder, path, name, [first, second]) = twice();
    let long = ask(&path, &[&format!("How long is the {name} visible?")]);
    assert_eq!(long["plan"]["question"]["asked"], format!("When is the {name} visible?"));
    let seconds = |span: &Value| span["end"].as_f64().unwrap() - span["start"].as_f64().unwrap();
    let shown: f64 = long["evidence"].as_array().unwrap().iter().map(seconds).sum();
    assert_eq!(long["answer"], format!("{shown:.1} seconds."), "{long}");
    assert!((shown - first.duration() - second.duration()).abs() < 1.0, "{long}");
    let (_folder, path, [(one, early), (other, _)]) = in_order();
    let before = ask(&path, &[&format!("Does the {one} appear before or after the {other}?")]);
    assert_eq!((&before["answer"], &before["status"]), (&"Before.".into(), &"supported".into()), "{before}");
    let evidence = before["evidence"].as_array().unwrap();
    assert!(overlap(&evidence[0], early) > 0.5, "{before}");
    let choices = ["--choices", &format!("A. the {other}"), &format!("B. the {one}")];
    let first = ask(&path, &[&["Which of these appears first?"], &choices[..]].concat());
    assert_eq!((&first["answer"], &first["choice"]), (&"B.".into(), &choices[2].into()), "{first}");
    let choices =
        ["--choices", "A. from 0.0 to 0.5 seconds", &format!("B. from {} to {} seconds", early.start, early.end)];
    let when = ask(&path, &[&[&*format!("When is the {one} visible?")], &choices[..]].concat());
    assert_eq!((&when["answer"], &when["status"]), (&"B.".into(), &"supported".into()), "{when}");
    let plain = ask(&path, &[&format!("Does the {other} appear before or after the {one}?"), "--no-check"]);
    assert!(plain["plan"]["question"].is_null() && plain["evidence"].as_array().unwrap().is_empty(), "{plain}");
}

#[test]
fn evidence_that_was_required_must_have_held() {
    let (_folder, path, name, _) = twice();
    let path = path.to_str().unwrap();
    let question = format!("When is the {name} visible?");
    assert_eq!(longsight(&["ask", path, &question, "--require-evidence"]).code, Some(0));
    let refused = longsight(&["ask", path, "How many signs are there in the video?", "--require-evidence"]);
    assert_eq!(refused.code, Some(7), "{}", refused.stderr);
    assert_eq!(longsight(&["ask", path, &question, "--require-evidence", "--no-check"]).code, Some(2));
}

#[test]
fn a_moment_is_found_in_the_video_that_has_it() {
    let (folder, path, name, spans) = twice();
    // A video without it, and a file that is none.
    let other = (4_300_000..)
        .map(|seed| (seed, Script::write(Split::HeldOut, seed, &Wishes { shortest: 12.0, longest: 12.0 })))
        .find(|(_, script)| things(script).iter().all(|(known, _)| *known != name));
    let (_, script) = other.unwrap();
    encode(
        &script,
        &folder.path().join("a.mp4"),
        &EncodeOptions { width: 192, height: 192, ..EncodeOptions::default() },
    )
    .unwrap();
    let within = folder.path().to_str().unwrap();
    let found = lines(&longsight(&["find", within, &format!("a {name}"), "--json"]));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["schema"], "longsight.moments/1");
    assert_eq!(found[0]["video"]["path"].as_str(), path.to_str());
    let moments = found[0]["moments"].as_array().unwrap();
    assert!(moments.iter().any(|moment| overlap(moment, spans[0]) > 0.5), "{found:?}");
    assert!(moments.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()), "{moments:?}");
    assert!(found[1]["moments"].as_array().unwrap().is_empty(), "{found:?}");
    let one = lines(&longsight(&["find", within, &format!("the {name} appears"), "--json", "--top", "1"]));
    let count: usize = one.iter().map(|video| video["moments"].as_array().unwrap().len()).sum();
    assert_eq!(count, 1);
    let none = longsight(&["find", within, &format!("a {name}"), "--top", "0"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
}

#[test]
fn a_folder_with_a_bad_file_is_searched_and_told() {
    let (folder, _path, name, _) = twice();
    std::fs::write(folder.path().join("broken.mp4"), b"not a video").unwrap();
    let within = folder.path().to_str().unwrap();
    let partly = longsight(&["find", within, &name, "--json"]);
    assert_eq!(partly.code, Some(4), "{}", partly.stderr);
    assert!(partly.stdout.contains("longsight.moments/1") && partly.stderr.contains("broken.mp4"));
    let alone = folder.path().join("broken.mp4");
    assert_eq!(longsight(&["find", alone.to_str().unwrap(), &name]).code, Some(3));
    assert_eq!(longsight(&["find", within, " "]).code, Some(2));
    assert_eq!(longsight(&["find", within]).code, Some(2));
}

#[test]
fn long_videos_are_asked_part_by_part_at_the_frames_of_one_look() {
    let (folder, path, name, spans) = twice();
    let pipeline = folder.path().join("parts.toml");
    std::fs::write(&pipeline, "[evidence]\npart = 8.0\n").unwrap();
    let question = format!("When is the {name} visible?");
    let parts = ask(&path, &[&question, "--pipeline", pipeline.to_str().unwrap()]);
    let whole = ask(&path, &[&question]);
    assert_eq!(parts["coverage"]["frames_seen"], whole["coverage"]["frames_seen"]);
    assert_eq!(
        (&parts["coverage"]["from"], &parts["coverage"]["to"]),
        (&whole["coverage"]["from"], &whole["coverage"]["to"])
    );
    let evidence = parts["evidence"].as_array().unwrap();
    for truth in spans {
        assert!(evidence.iter().any(|span| overlap(span, truth) > 0.5), "{truth:?}: {parts}");
    }
}

/// Where a long look's answer holds nowhere, its parts are asked, and what one of them says instead is held against the look. How often that
/// happens is the model's: which answer is taken is tested where it is chosen.
#[test]
fn only_an_answer_that_holds_takes_the_place_of_one_that_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("joined.mp4");
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/world-");
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-v", "error"]);
    for number in 1..=5 {
        ffmpeg.args(["-i", &format!("{samples}{number}.mp4")]);
    }
    let scaled: String = (0..5).map(|n| format!("[{n}:v]scale=256:256,setsar=1,fps=12[v{n}];")).collect();
    let filter = format!("{scaled}[v0][v1][v2][v3][v4]concat=n=5:v=1:a=0");
    ffmpeg.args(["-filter_complex", &filter, "-c:v", "libx264", "-crf", "18", "-g", "24", "-pix_fmt", "yuv420p"]);
    if !ffmpeg.arg(&path).status().is_ok_and(|status| status.success()) {
        println!("skipped: no ffmpeg to join videos with");
        return;
    }
    let pipeline = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, format!("[evidence]\n{text}\n")).unwrap();
        file
    };
    let questions: Vec<String> =
        Shape::ALL.iter().map(|shape| format!("What colour is the {}?", shape.word())).collect();
    let answers = |file: PathBuf| -> Vec<Value> {
        let mut args =
            vec!["ask", path.to_str().unwrap(), "--no-index", "--json", "--pipeline", file.to_str().unwrap()];
        args.extend(questions.iter().map(String::as_str));
        let outcome = longsight(&args);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let whole = answers(pipeline("whole.toml", "search = \"never\""));
    let parts = answers(pipeline("parts.toml", "part = 20.0"));
    let holds = |answer: &Value| answer["evidence"].as_array().unwrap().iter().any(|one| one["verified"] == true);
    for (whole, parts) in whole.iter().zip(&parts) {
        if holds(whole) {
            assert_eq!(whole["answer"], parts["answer"], "what holds stays");
            continue;
        }
        let tokens = |answer: &Value| answer["usage"]["check_tokens"].as_u64();
        let changed = whole["answer"] != parts["answer"];
        assert_eq!(changed, holds(parts), "{} instead of {}", parts["answer"], whole["answer"]);
        if changed {
            assert_eq!(parts["status"], "supported", "{}", parts["answer"]);
            assert!(tokens(parts) > tokens(whole), "parts were asked");
        }
    }
}
