use std::collections::BTreeMap;

use proptest::prelude::*;

use super::check::check;
use super::*;
use crate::dice::Split;
use crate::script::Wishes;

const MANY: usize = 1000;

fn scripts(count: u64) -> impl Iterator<Item = Script> {
    (0..count).map(|seed| Script::write(Split::HeldOut, seed, &Wishes::default()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_answer_follows_from_the_script(seed: u64, train: bool, shortest in 1.0..20.0_f64, more in 0.0..50.0_f64) {
        let split = if train { Split::Train } else { Split::HeldOut };
        let script = Script::write(split, seed, &Wishes { shortest, longest: shortest + more });
        for question in ask(&script, MANY).into_iter().chain(captions(&script)) {
            prop_assert_eq!(check(&script, &question), Ok(()));
        }
    }
}

#[test]
fn wrong_answers_are_noticed() {
    let mut noticed = 0;
    for script in scripts(20) {
        let questions = ask(&script, MANY);
        for question in &questions {
            let others =
                questions.iter().filter(|other| other.kind == question.kind && other.answer != question.answer);
            for other in others {
                let wrong = Question { answer: other.answer.clone(), ..question.clone() };
                assert!(check(&script, &wrong).is_err(), "{wrong:?}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 1000, "{noticed}");
}

#[test]
fn as_many_things_are_absent_as_present() {
    for script in scripts(200) {
        let questions = ask(&script, 16);
        let answers =
            |answer: &str| questions.iter().filter(|one| one.kind == Kind::Existence && one.answer == answer).count();
        assert_eq!(answers("Yes."), answers("No."), "seed {}", script.seed);
    }
}

#[test]
fn every_kind_is_asked_and_no_letter_is_preferred() {
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut letters: BTreeMap<String, usize> = BTreeMap::new();
    for question in scripts(400).flat_map(|script| ask(&script, 16)) {
        *kinds.entry(question.kind).or_default() += 1;
        if question.kind == Kind::Choice {
            *letters.entry(question.answer).or_default() += 1;
        }
    }
    assert_eq!(kinds.len(), 13, "{kinds:?}");
    assert!(kinds.values().all(|&count| count > 150), "{kinds:?}");
    let total: usize = letters.values().sum();
    assert!(letters.len() == 4 && letters.values().all(|&count| count * 5 > total), "{letters:?}");
}

#[test]
fn questions_of_a_clip_differ_and_are_the_same_each_time() {
    for script in scripts(50) {
        let questions = ask(&script, 16);
        let prompts: std::collections::BTreeSet<String> = questions.iter().map(prompt_text).collect();
        assert_eq!(prompts.len(), questions.len());
        assert_eq!(questions, ask(&script, 16));
        assert!(questions.len() >= 8, "seed {}: {}", script.seed, questions.len());
    }
}

#[test]
fn choices_are_part_of_the_prompt() {
    let question = Question {
        kind: Kind::Choice,
        text: "What colour is the star?".to_owned(),
        answer: "B.".to_owned(),
        choices: ["A. red", "B. blue", "C. cyan", "D. white"].map(str::to_owned).to_vec(),
        spans: Vec::new(),
    };
    let expected = "What colour is the star?\nA. red\nB. blue\nC. cyan\nD. white\nAnswer with the letter.";
    assert_eq!(prompt_text(&question), expected);
    assert_eq!(prompt_text(&Question { choices: Vec::new(), ..question }), "What colour is the star?");
}
