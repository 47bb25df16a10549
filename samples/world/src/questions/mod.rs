//! Script -> questions, each with the one right answer.
//!
//! In: a [`Script`]. Out: [`Question`]s. A question is asked only where the script decides it; every answer is checked
//! against the script by independent code in this module's tests. Never looks at pixels.

mod absent;
mod caption;
mod choice;
mod facts;
mod objects;
mod signs;
mod times;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::script::{Script, Span};

pub use caption::{CAPTION, NOTHING, captions};
use facts::Facts;

/// The stream of choices questions are drawn from.
const PURPOSE: u8 = 1;

/// What a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Is it there? As many answers are "No." as "Yes.".
    Existence,
    /// Which colour has the shape?
    Colour,
    /// Which shape has the colour?
    Shape,
    /// How many?
    Count,
    /// Which way does it move?
    Motion,
    /// What is written there?
    Reading,
    /// From when to when?
    When,
    /// Before or after?
    Order,
    /// What comes next?
    After,
    /// How long?
    Duration,
    /// In which scene?
    Scene,
    /// Which of four?
    Choice,
    /// Asks about something that is not there, and the answer says so.
    Absent,
    /// What happens in a scene? Not among those of [`ask`]: see [`captions`].
    Caption,
}

/// A question about a clip, with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What it asks for.
    pub kind: Kind,
    /// The question.
    pub text: String,
    /// The right answer, word for word; for a choice the letter: `"B."`.
    pub answer: String,
    /// Empty, or four: `"A. red"`.
    pub choices: Vec<String>,
    /// When what the answer is about can be seen; empty where nothing can.
    pub spans: Vec<Span>,
}

/// The answer to questions about what is not there.
pub const NOT_THERE: &str = "It is not in the video.";

/// What a model is asked: the text, and the choices where there are any.
pub fn prompt_text(question: &Question) -> String {
    if question.choices.is_empty() {
        return question.text.clone();
    }
    format!("{}\n{}\nAnswer with the letter.", question.text, question.choices.join("\n"))
}

/// Up to `count` different questions about a clip, of every kind the clip allows; the same ones each time.
pub fn ask(script: &Script, count: usize) -> Vec<Question> {
    let mut dice = Dice::new(script.split, script.seed, PURPOSE);
    let facts = Facts::new(script);
    let mut stacks = stacks(&facts, &mut dice);
    for stack in &mut stacks {
        dice.shuffle(stack);
    }
    dice.shuffle(&mut stacks);
    let mut asked: Vec<Question> = Vec::new();
    while asked.len() < count && stacks.iter().any(|stack| !stack.is_empty()) {
        for group in stacks.iter_mut().filter_map(Vec::pop) {
            let known = |new: &Question| asked.iter().any(|old| old.text == new.text && old.choices == new.choices);
            if asked.len() + group.len() <= count && !group.iter().any(known) {
                asked.extend(group);
            }
        }
    }
    dice.shuffle(&mut asked);
    asked
}

/// Questions that are only asked together: a "Yes." with a "No.".
type Group = Vec<Question>;

/// Everything that can be asked, by kind. Each round of [`ask`] takes one group from each stack.
fn stacks(facts: &Facts, dice: &mut Dice) -> Vec<Vec<Group>> {
    let single = |questions: Vec<Question>| questions.into_iter().map(|question| vec![question]).collect();
    vec![
        objects::existence(facts, dice),
        single(objects::colour(facts, dice)),
        single(objects::shape(facts, dice)),
        single(objects::count(facts, dice)),
        single(objects::motion(facts, dice)),
        single(signs::reading(facts, dice)),
        single(times::when(facts, dice)),
        single(times::order(facts, dice)),
        single(times::after(facts, dice)),
        single(times::duration(facts, dice)),
        single(times::scene(facts, dice)),
        single(choice::choice(facts, dice)),
        single(absent::absent(facts, dice)),
    ]
}

/// A question without choices: one of `wordings` with its blanks `{}` filled in order.
fn question(
    dice: &mut Dice,
    kind: Kind,
    wordings: &[&str],
    blanks: &[&str],
    answer: String,
    spans: Vec<Span>,
) -> Question {
    let text = blanks.iter().fold((*dice.pick(wordings)).to_owned(), |text, blank| text.replacen("{}", blank, 1));
    Question { kind, text, answer, choices: Vec::new(), spans }
}

#[cfg(test)]
mod check;
#[cfg(test)]
mod tests;
