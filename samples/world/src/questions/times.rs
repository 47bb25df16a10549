//! When things happen: spans, order, succession, duration.

use crate::dice::Dice;
use crate::script::Span;
use crate::words::{article, sentence};

use super::facts::{Facts, Item};
use super::{Kind, Question, question};

pub(super) const WHEN: [&str; 4] = [
    "When is the {} visible?",
    "When can the {} be seen?",
    "When does the {} appear?",
    "From when to when is the {} visible?",
];
pub(super) const DURATION: [&str; 3] =
    ["How long is the {} visible?", "For how long can the {} be seen?", "How many seconds is the {} visible?"];
const SCENE: [&str; 3] =
    ["In which scene is the {} visible?", "Which scene shows the {}?", "In which scene does the {} appear?"];
/// Scenes up to this one are asked for.
const MOST_SCENES: usize = 9;
/// Two starts closer than this, in seconds, count as the same time.
const APART: f64 = 1.0;

pub(super) fn when(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let mut named: Vec<(String, Vec<Span>)> =
        facts.things.iter().map(|thing| (thing.pair.name(), thing.spans.clone())).collect();
    named.extend(facts.plates().map(|Item { name, span }| (name, vec![span])));
    let ask = |(name, spans): (String, Vec<Span>)| {
        let answer = format!("From {} seconds.", joined(&spans, " and from "));
        question(dice, Kind::When, &WHEN, &[&name], answer, spans)
    };
    named.into_iter().map(ask).collect()
}

/// "12.0 to 17.5", joined.
fn joined(spans: &[Span], by: &str) -> String {
    let words: Vec<String> = spans.iter().map(|[start, end]| format!("{start:.1} to {end:.1}")).collect();
    words.join(by)
}

pub(super) fn order(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let wordings = ["Does the {} appear before or after the {}?", "Is the {} first seen before or after the {}?"];
    let items = facts.items();
    let mut questions = Vec::new();
    for (place, one) in items.iter().enumerate() {
        for other in &items[place + 1..] {
            if other.span[0] - one.span[0] < APART {
                continue;
            }
            let (names, answer) = if dice.chance(50) {
                ([&one.name, &other.name], "Before.")
            } else {
                ([&other.name, &one.name], "After.")
            };
            let spans = vec![one.span, other.span];
            let names = names.map(String::as_str);
            questions.push(question(dice, Kind::Order, &wordings, &names, answer.to_owned(), spans));
        }
    }
    questions
}

/// The next object to appear, where it appears alone and nothing else, signs and changes of colour included, begins between.
pub(super) fn after(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let wordings =
        ["What appears after the {}?", "What appears next after the {}?", "Which object comes after the {}?"];
    let mut starts: Vec<f64> = facts.things.iter().flat_map(|thing| thing.spans.iter().map(|span| span[0])).collect();
    starts.extend(facts.plates().map(|item| item.span[0]));
    let mut questions = Vec::new();
    for thing in facts.things.iter().filter(|thing| thing.spans.len() == 1 && !thing.repainted) {
        let start = thing.spans[0][0];
        let Some(next) = starts.iter().copied().filter(|&other| other > start).min_by(f64::total_cmp) else { continue };
        let near = |time: f64| starts.iter().filter(|&&other| (other - time).abs() < APART).count();
        let following = facts.things.iter().find(|other| other.spans.iter().any(|span| span[0] == next));
        let Some(following) = following.filter(|other| !other.repainted && near(next) == 1 && near(start) == 1) else {
            continue;
        };
        let name = following.pair.name();
        let answer = sentence(&format!("{} {name}", article(&name)));
        let span = following.spans.iter().copied().filter(|span| span[0] == next);
        let spans = std::iter::once(thing.spans[0]).chain(span).collect();
        questions.push(question(dice, Kind::After, &wordings, &[&thing.pair.name()], answer, spans));
    }
    questions
}

pub(super) fn duration(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let ask = |Item { name, span }| {
        let answer = format!("{:.1} seconds.", span[1] - span[0]);
        question(dice, Kind::Duration, &DURATION, &[&name], answer, vec![span])
    };
    facts.once().into_iter().map(ask).collect()
}

/// Which scene something is seen in; asked where there are several, and few enough to count.
pub(super) fn scene(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    if facts.scenes.len() < 2 {
        return Vec::new();
    }
    let mut questions = Vec::new();
    for Item { name, span } in facts.once() {
        if let Some(number) = facts.scene_of(span).filter(|&number| number <= MOST_SCENES) {
            let answer = format!("Scene {number}.");
            questions.push(question(dice, Kind::Scene, &SCENE, &[&name], answer, vec![span]));
        }
    }
    questions
}
