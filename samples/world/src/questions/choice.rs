//! One of four. The right one stands at each letter equally often.

use crate::dice::Dice;
use crate::script::{GRID, Span};
use crate::words::{Colour, Motion, Shape, article};

use super::facts::{Facts, Item};
use super::{Kind, Question, question, times};

const LETTERS: [char; 4] = ['A', 'B', 'C', 'D'];
/// A wrong span differs from the right one by at least this much, start and end together, in seconds.
const WRONG: f64 = 3.0;
/// The first of four appears at least this long before the others, in seconds.
const FIRST: f64 = 1.0;

pub(super) fn choice(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let mut questions = Vec::new();
    for shape in facts.shapes() {
        if let Some((colour, spans)) = facts.only_colour(shape) {
            let wrong = others(dice, &Colour::ALL, colour).iter().map(|colour| colour.word().to_owned()).collect();
            let text = format!("What colour is the {}?", shape.word());
            questions.push(of_four(dice, &text, colour.word(), wrong, spans));
        }
    }
    for colour in facts.colours() {
        if let Some((shape, spans)) = facts.only_shape(colour) {
            let wrong = others(dice, &Shape::ALL, shape).iter().map(|shape| shape.word().to_owned()).collect();
            let text = format!("What shape is the {} object?", colour.word());
            questions.push(of_four(dice, &text, shape.word(), wrong, spans));
        }
    }
    if let [sign] = facts.signs.as_slice() {
        let mut wrong: Vec<String> = Vec::new();
        while wrong.len() < 3 {
            let text = facts.absent_text(dice);
            if !wrong.contains(&text) {
                wrong.push(text);
            }
        }
        questions.push(of_four(dice, "What does the sign say?", &sign.text, wrong, vec![sign.span]));
    }
    for thing in facts.things.iter().filter(|thing| !thing.repainted && thing.spans.len() == 1) {
        let text = format!("Which way does the {} move?", thing.pair.name());
        let wrong =
            others(dice, &Motion::ALL, thing.motions[0]).iter().map(|motion| motion.phrase().to_owned()).collect();
        questions.push(of_four(dice, &text, thing.motions[0].phrase(), wrong, thing.spans.clone()));
    }
    questions.extend(present(facts, dice));
    questions.extend(first(facts, dice));
    questions.extend(when(facts, dice));
    questions
}

/// "Which of these is in the video?"
fn present(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let mut questions = Vec::new();
    for thing in &facts.things {
        let mut wrong: Vec<String> = Vec::new();
        while wrong.len() < 3 {
            let name = with_article(&facts.absent_pair(dice).name());
            if !wrong.contains(&name) {
                wrong.push(name);
            }
        }
        let right = with_article(&thing.pair.name());
        questions.push(of_four(dice, "Which of these is in the video?", &right, wrong, thing.spans.clone()));
    }
    questions
}

/// "Which of these appears first?"
fn first(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let items = facts.items();
    let mut questions = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let mut later: Vec<&Item> =
            items[place + 1..].iter().filter(|other| other.span[0] - item.span[0] >= FIRST).collect();
        if later.len() < 3 {
            continue;
        }
        dice.shuffle(&mut later);
        let wrong = later[..3].iter().map(|other| format!("the {}", other.name)).collect();
        let right = format!("the {}", item.name);
        questions.push(of_four(dice, "Which of these appears first?", &right, wrong, vec![item.span]));
    }
    questions
}

/// "When is the red star visible?", with four spans.
fn when(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let words = |[start, end]: Span| format!("from {start:.1} to {end:.1} seconds");
    let mut questions = Vec::new();
    for Item { name, span: right } in facts.once() {
        let steps = (facts.duration / GRID) as i64;
        let mut spans = vec![right];
        // A short clip has no room for four spans that differ enough.
        for _ in 0..40 {
            let start = dice.between(0, (steps - 4).max(0));
            let end = dice.between((start + 4).min(steps), steps.min(start + 40));
            let new = [start as f64 * GRID, end as f64 * GRID];
            let far = |old: &Span| (old[0] - new[0]).abs() + (old[1] - new[1]).abs() >= WRONG;
            if spans.len() < 4 && end > start && spans.iter().all(far) {
                spans.push(new);
            }
        }
        if spans.len() == 4 {
            let text = times::WHEN[0].replacen("{}", &name, 1);
            let wrong = spans[1..].iter().map(|&span| words(span)).collect();
            questions.push(of_four(dice, &text, &words(right), wrong, vec![right]));
        }
    }
    questions
}

fn of_four(dice: &mut Dice, text: &str, right: &str, mut wrong: Vec<String>, spans: Vec<Span>) -> Question {
    let place = dice.below(LETTERS.len());
    wrong.truncate(LETTERS.len() - 1);
    wrong.insert(place, right.to_owned());
    let choices = LETTERS.iter().zip(wrong).map(|(letter, choice)| format!("{letter}. {choice}")).collect();
    let answer = format!("{}.", LETTERS[place]);
    Question { choices, ..question(dice, Kind::Choice, &[text], &[], answer, spans) }
}

/// Three of `all` that are not `right`.
fn others<T: Copy + PartialEq>(dice: &mut Dice, all: &[T], right: T) -> Vec<T> {
    let mut others: Vec<T> = all.iter().copied().filter(|&one| one != right).collect();
    dice.shuffle(&mut others);
    others.truncate(LETTERS.len() - 1);
    others
}

fn with_article(name: &str) -> String {
    format!("{} {name}", article(name))
}
