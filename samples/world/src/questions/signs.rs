//! What is written there.

use crate::dice::Dice;

use super::facts::Facts;
use super::{Kind, Question, question};

pub(super) const READING: [&str; 3] =
    ["What does the sign say?", "What is written on the sign?", "Which word or number is on the sign?"];
const ORDINALS: [&str; 4] = ["first", "second", "third", "fourth"];
/// A sign must share at least this many seconds with a thing to be the sign one sees with it.
const TOGETHER: f64 = 1.0;

pub(super) fn reading(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let mut questions = Vec::new();
    let several = ["What does the {} sign say?", "What is written on the {} sign?"];
    match facts.signs.as_slice() {
        [] => {}
        [only] => questions.push(question(dice, Kind::Reading, &READING, &[], says(&only.text), vec![only.span])),
        [.., last] => {
            for (sign, ordinal) in facts.signs.iter().zip(ORDINALS) {
                questions.push(question(dice, Kind::Reading, &several, &[ordinal], says(&sign.text), vec![sign.span]));
            }
            questions.push(question(dice, Kind::Reading, &several, &["last"], says(&last.text), vec![last.span]));
        }
    }
    if let Some(counter) = &facts.counter {
        let first = ["What does the counter show at first?", "Which time does the counter start from?"];
        questions.push(question(dice, Kind::Reading, &first, &[], says(&counter.text), vec![counter.span]));
    }
    let beside = ["What does the sign say while the {} is visible?", "Which sign can be read while the {} is visible?"];
    for thing in facts.things.iter().filter(|thing| thing.spans.len() == 1) {
        let [start, end] = thing.spans[0];
        let shared = |span: [f64; 2]| span[1].min(end) - span[0].max(start);
        let mut seen = facts.signs.iter().filter(|sign| shared(sign.span) > 0.0);
        if let (Some(sign), None) = (seen.next(), seen.next())
            && shared(sign.span) >= TOGETHER
        {
            let both = [sign.span[0].max(start), sign.span[1].min(end)];
            questions.push(question(dice, Kind::Reading, &beside, &[&thing.pair.name()], says(&sign.text), vec![both]));
        }
    }
    questions
}

fn says(text: &str) -> String {
    format!("{text}.")
}
