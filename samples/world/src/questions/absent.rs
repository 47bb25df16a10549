//! Questions about what is not there, in the same words as about what is.

use crate::dice::Dice;
use crate::words::{Colour, Shape};

use super::facts::{COUNTER, Facts, sign_name};
use super::{Kind, NOT_THERE, Question, objects, question, signs, times};

pub(super) fn absent(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut ask = |dice: &mut Dice, wordings: &[&str], blanks: &[&str]| {
        questions.push(question(dice, Kind::Absent, wordings, blanks, NOT_THERE.to_owned(), Vec::new()));
    };
    for wordings in [&times::WHEN[..], &times::WHEN[..], &objects::MOTION[..], &times::DURATION[..]] {
        let name = facts.absent_pair(dice).name();
        ask(dice, wordings, &[&name]);
    }
    let name = sign_name(&facts.absent_text(dice));
    ask(dice, &times::WHEN, &[&name]);
    let (here, there) = (facts.shapes(), facts.colours());
    let shapes: Vec<Shape> = Shape::ALL.into_iter().filter(|shape| !here.contains(shape)).collect();
    if !shapes.is_empty() {
        let shape = dice.pick(&shapes).word();
        ask(dice, &objects::COLOUR, &[shape]);
    }
    let colours: Vec<Colour> = Colour::ALL.into_iter().filter(|colour| !there.contains(colour)).collect();
    if !colours.is_empty() {
        let colour = dice.pick(&colours).word();
        ask(dice, &objects::SHAPE, &[colour]);
    }
    if facts.signs.is_empty() && facts.counter.is_none() {
        ask(dice, &signs::READING, &[]);
    }
    if facts.counter.is_none() {
        ask(dice, &times::WHEN, &[COUNTER]);
    }
    questions
}
