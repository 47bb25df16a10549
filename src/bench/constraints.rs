//! Questions with conditions on time, and their one right answer, from a script.

use longsight_world::dice::Dice;
use longsight_world::script::Script;
use serde::Serialize;

use longsight_models::Span;

/// What a condition is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// "after 0:20", "before 0:20"
    Clock,
    /// "between 0:10 and 0:30"
    Between,
    /// "after the red star appears", "before the red star appears"
    Event,
    /// "the first time", "the second time"
    Nth,
    /// "the last time"
    Last,
}

/// A question for a time, with a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditioned {
    /// What kind of condition
    pub condition: Condition,
    /// The question
    pub question: String,
    /// When what it asks for is
    pub truth: Vec<Span>,
}

/// Times this close to a border leave it open on which side something is, in seconds.
const CLEAR_S: f64 = 1.0;

/// A thing of the script, and every time that it is seen.
struct Seen {
    name: String,
    spans: Vec<Span>,
}

/// Every question of this sort that has one right answer, in an arbitrary order.
#[must_use]
pub fn constraints(script: &Script, dice: &mut Dice) -> Vec<Conditioned> {
    let things = things(script);
    let mut questions = Vec::new();
    let mut add = |condition, question, truth: Vec<Span>| {
        questions.push(Conditioned { condition, question, truth });
    };
    for Seen { name, spans } in things.iter().filter(|seen| seen.spans.len() >= 2) {
        let (first, last) = (spans[0], spans[spans.len() - 1]);
        if let [one, two] = spans[..]
            && two.start - one.end >= 2.0 * CLEAR_S
        {
            let middle = ((one.end + two.start) / 2.0).round();
            add(Condition::Clock, format!("When is the {name} visible after {}?", clock(middle)), vec![two]);
            add(Condition::Clock, format!("When does the {name} appear before {}?", clock(middle)), vec![one]);
            let from = (two.start - CLEAR_S).floor().max(middle);
            let to = (two.end + CLEAR_S).ceil();
            let question = format!("When is the {name} visible between {} and {}?", clock(from), clock(to));
            add(Condition::Between, question, vec![two]);
            for other in things.iter().filter(|other| other.spans.len() == 1) {
                let at = other.spans[0].start;
                if at - one.end >= CLEAR_S && two.start - at >= CLEAR_S {
                    let word = if dice.chance(50) { "after" } else { "before" };
                    let truth = if word == "after" { two } else { one };
                    let question = format!("When is the {name} visible {word} the {} appears?", other.name);
                    add(Condition::Event, question, vec![truth]);
                }
            }
        }
        add(Condition::Nth, format!("When is the {name} visible for the first time?"), vec![first]);
        add(Condition::Nth, format!("When does the {name} appear the second time?"), vec![spans[1]]);
        add(Condition::Last, format!("When is the {name} visible the last time?"), vec![last]);
    }
    dice.shuffle(&mut questions);
    questions
}

/// Things that keep their colour, by name.
fn things(script: &Script) -> Vec<Seen> {
    let mut things: Vec<Seen> = Vec::new();
    let mut repainted = Vec::new();
    for seen in script.sightings() {
        let (name, span) = (seen.pair.name(), Span::new(seen.span[0], seen.span[1]));
        if seen.repainted {
            repainted.push(name.clone());
        }
        match things.iter_mut().find(|thing| thing.name == name) {
            Some(thing) => thing.spans.push(span),
            None => things.push(Seen { name, spans: vec![span] }),
        }
    }
    things.retain(|thing| !repainted.contains(&thing.name));
    let signs = script.signs().into_iter().filter(|sign| !sign.counts);
    things.extend(
        signs.map(|sign| Seen {
            name: format!("sign {}", sign.text),
            spans: vec![Span::new(sign.span[0], sign.span[1])],
        }),
    );
    things
}

/// `1:05`, `1:02:05`.
fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{Constraint, read};
    use longsight_world::dice::Split;
    use longsight_world::script::Wishes;
    use std::collections::BTreeSet;

    #[test]
    fn every_question_is_read_and_its_truth_lies_where_it_says() {
        let mut kinds = BTreeSet::new();
        for seed in 0..300 {
            let script = Script::write(Split::HeldOut, seed, &Wishes::default());
            let video = Span::new(0.0, script.duration);
            for asked in constraints(&script, &mut Dice::new(Split::HeldOut, seed, 77)) {
                let reading = read(&asked.question);
                assert_eq!(reading.constraints.len(), 1, "{asked:?}");
                kinds.insert(asked.condition);
                if let [Constraint::Clock(stretch)] = reading.constraints[..] {
                    let stretch = stretch.stretch(video).expect("inside the clip");
                    let inside = |span: &Span| stretch.start <= span.start && span.end <= stretch.end;
                    assert!(asked.truth.iter().all(inside), "{asked:?} {stretch:?}");
                }
            }
        }
        assert_eq!(kinds.len(), 5);
    }
}
