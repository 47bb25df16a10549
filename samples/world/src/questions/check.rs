//! Re-derives answers from the script by other means than the questions were made with: it reads the English of a question
//! and looks at the clip every half second, as a viewer with a clock would.

use std::collections::BTreeSet;

use crate::script::{GRID, Script, Span};
use crate::words::{Colour, Pair, Shape};

use super::{Kind, NOT_THERE, Question};

/// What a question talks about.
#[derive(Clone, Debug, PartialEq)]
enum Mention {
    Pair(Pair),
    Shape(Shape),
    Colour(Colour),
    Sign(String),
    Counter,
}

/// What is seen at one moment, in the middle between two steps of the grid.
struct Look {
    /// Pair, centre and diameter.
    objects: Vec<(Pair, [f64; 2], f64)>,
    sign: Option<String>,
    counter: Option<String>,
    /// How far right the sign or counter is.
    plate: f64,
    scene: usize,
}

struct Viewer(Vec<Look>);

/// Whether `question` has its one right answer.
pub(super) fn check(script: &Script, question: &Question) -> Result<(), String> {
    let viewer = Viewer::watch(script);
    for [start, end] in &question.spans {
        if !(0.0 <= *start && start < end && *end <= script.duration) {
            return Err(format!("a span outside the clip in {question:?}"));
        }
    }
    let expected = if question.kind == Kind::Choice { viewer.letter(question)? } else { viewer.answer(question)? };
    if expected == question.answer { Ok(()) } else { Err(format!("expected {expected:?}: {question:?}\n{script:#?}")) }
}

impl Viewer {
    fn watch(script: &Script) -> Self {
        let looks = 0..(script.duration / GRID).round() as usize;
        let look = |step: usize| {
            let time = (step as f64 + 0.5) * GRID;
            let within = |span: Span| span[0] < time && time < span[1];
            let number = script.scenes.iter().position(|scene| within(scene.span)).expect("scenes fill the clip");
            let scene = &script.scenes[number];
            let plate = |counts| scene.sign.as_ref().filter(|sign| within(sign.span) && sign.counts == counts);
            let objects = scene.objects.iter().filter(|object| within(object.span));
            let colour = |object: &crate::script::Object| match object.repaint {
                Some(repaint) if repaint.at < time => repaint.colour,
                _ => object.colour,
            };
            Look {
                objects: objects
                    .map(|object| {
                        let pair = Pair { colour: colour(object), shape: object.shape };
                        (pair, object.centre(time), object.diameter(time))
                    })
                    .collect(),
                sign: plate(false).map(|sign| sign.text.clone()),
                counter: plate(true).map(|sign| sign.text_at(time)),
                plate: scene.sign.as_ref().map_or(0.0, |sign| sign.centre[0]),
                scene: number + 1,
            }
        };
        Self(looks.map(look).collect())
    }

    fn pairs(&self) -> BTreeSet<Pair> {
        self.0.iter().flat_map(|look| look.objects.iter().map(|(pair, ..)| *pair)).collect()
    }

    /// In the order they are first seen.
    fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.0.iter().filter_map(|look| look.sign.clone()).collect();
        texts.dedup();
        texts
    }

    /// The stretches in which something is seen.
    fn spans(&self, mention: &Mention) -> Vec<Span> {
        let seen = |look: &Look| match mention {
            Mention::Pair(pair) => look.objects.iter().any(|(other, ..)| other == pair),
            Mention::Shape(shape) => look.objects.iter().any(|(other, ..)| other.shape == *shape),
            Mention::Colour(colour) => look.objects.iter().any(|(other, ..)| other.colour == *colour),
            Mention::Sign(text) => look.sign.as_ref() == Some(text),
            Mention::Counter => look.counter.is_some(),
        };
        let mut spans: Vec<Span> = Vec::new();
        for (step, _) in self.0.iter().enumerate().filter(|(_, look)| seen(look)) {
            let (start, end) = (step as f64 * GRID, (step + 1) as f64 * GRID);
            match spans.last_mut() {
                Some(last) if last[1] == start => last[1] = end,
                _ => spans.push([start, end]),
            }
        }
        spans
    }

    fn answer(&self, question: &Question) -> Result<String, String> {
        let text = &question.text;
        let mentions = mentions(text);
        let fail = |why: &str| Err(format!("{why}: {question:?}"));
        let only = || match mentions.as_slice() {
            [one] => Ok(one),
            other => Err(format!("{other:?} mentioned in {text:?}")),
        };
        Ok(match question.kind {
            Kind::Existence => if self.spans(only()?).is_empty() { "No." } else { "Yes." }.to_owned(),
            Kind::Absent => match mentions.as_slice() {
                [] if self.texts().is_empty() && self.spans(&Mention::Counter).is_empty() => NOT_THERE.to_owned(),
                [one] if self.spans(one).is_empty() && question.spans.is_empty() => NOT_THERE.to_owned(),
                _ => return fail("something is there"),
            },
            Kind::Colour => {
                let Mention::Shape(shape) = only()? else { return fail("no shape") };
                let found: BTreeSet<Colour> =
                    self.pairs().iter().filter(|pair| pair.shape == *shape).map(|pair| pair.colour).collect();
                capital(one_of(&found)?.word())
            }
            Kind::Shape => {
                let Mention::Colour(colour) = only()? else { return fail("no colour") };
                let found: BTreeSet<Shape> =
                    self.pairs().iter().filter(|pair| pair.colour == *colour).map(|pair| pair.shape).collect();
                capital(one_of(&found)?.word())
            }
            Kind::Count => {
                let pairs = self.pairs();
                let number = match mentions.as_slice() {
                    [Mention::Shape(shape)] => pairs.iter().filter(|pair| pair.shape == *shape).count(),
                    [Mention::Colour(colour)] => pairs.iter().filter(|pair| pair.colour == *colour).count(),
                    [] if text.contains("signs") => self.texts().len(),
                    [] if text.contains("different objects") => pairs.len(),
                    _ => return fail("cannot count"),
                };
                format!("{number}.")
            }
            Kind::Motion => {
                let Mention::Pair(pair) = only()? else { return fail("no pair") };
                let ways: BTreeSet<&str> =
                    self.spans(&Mention::Pair(*pair)).into_iter().map(|span| self.way(*pair, span)).collect();
                (*one_of(&ways)?).to_owned()
            }
            Kind::Reading => format!("{}.", self.read(text, &mentions)?),
            Kind::When => {
                let spans = self.spans(only()?);
                if spans.is_empty() || spans != question.spans {
                    return fail("other spans");
                }
                let words: Vec<String> =
                    spans.iter().map(|[start, end]| format!("from {start:.1} to {end:.1}")).collect();
                capital(&format!("{} seconds", words.join(" and ")))
            }
            Kind::Duration => match self.spans(only()?).as_slice() {
                [[start, end]] => format!("{:.1} seconds.", end - start),
                _ => return fail("not one span"),
            },
            Kind::Order => {
                let [one, other] = mentions.as_slice() else { return fail("not two things") };
                match (self.spans(one).as_slice(), self.spans(other).as_slice()) {
                    ([one], [other]) if one[0] + 1.0 <= other[0] => "Before.".to_owned(),
                    ([one], [other]) if other[0] + 1.0 <= one[0] => "After.".to_owned(),
                    _ => return fail("no clear order"),
                }
            }
            Kind::After => self.next(only()?)?,
            Kind::Scene => {
                let [[start, end]] = self.spans(only()?)[..] else { return fail("not one span") };
                let looks = &self.0[(start / GRID) as usize..(end / GRID) as usize];
                let scenes: BTreeSet<usize> = looks.iter().map(|look| look.scene).collect();
                format!("Scene {}.", one_of(&scenes)?)
            }
            Kind::Caption => self.tell(question.spans[0]),
            Kind::Choice => return fail("a choice in a choice"),
        })
    }

    /// What happens within a scene, in the order of first sight, from left to right.
    fn tell(&self, [start, end]: Span) -> String {
        let within = |span: &Span| start <= span[0] && span[1] <= end;
        let looks = |[start, end]: Span| &self.0[(start / GRID) as usize..(end / GRID) as usize];
        let pairs: Vec<(Pair, Span)> = self
            .pairs()
            .into_iter()
            .flat_map(|pair| self.spans(&Mention::Pair(pair)).into_iter().map(move |span| (pair, span)))
            .filter(|(_, span)| within(span))
            .collect();
        let at = |look: &Look, pair: Pair| look.objects.iter().find(|one| one.0 == pair).map_or([0.0; 2], |one| one.1);
        let first = |(pair, span): (Pair, Span)| at(&looks(span)[0], pair);
        // The same thing in another colour from then on: it shows in the same place.
        let follows = |(one, a): (Pair, Span), (other, b): (Pair, Span)| {
            let last = at(&looks(a)[looks(a).len() - 1], one);
            one.shape == other.shape && a[1] == b[0] && last == first((other, b))
        };
        let mut told: Vec<(f64, f64, String)> = Vec::new();
        for &thing in pairs.iter().filter(|&&thing| !pairs.iter().any(|&other| follows(other, thing))) {
            let (pair, span) = thing;
            let does = match pairs.iter().find(|&&other| follows(thing, other)) {
                Some((other, _)) => format!("becomes {}", other.colour.word()),
                None => match self.way(pair, span) {
                    "It grows." => "grows".to_owned(),
                    "It shrinks." => "shrinks".to_owned(),
                    "It does not move." => "does not move".to_owned(),
                    way => format!("moves {}", way.trim_end_matches('.').to_lowercase()),
                },
            };
            // Looks are half a step after what they stand for.
            let next = looks(span).get(1).map_or(first(thing), |look| at(look, pair));
            let left = first(thing)[0] - (next[0] - first(thing)[0]) / 2.0;
            let article = if pair.colour == Colour::Orange { "An" } else { "A" };
            told.push((span[0], left, format!("{article} {} {} {does}.", pair.colour.word(), pair.shape.word())));
        }
        let plates = self.texts().into_iter().map(|text| (Mention::Sign(text.clone()), format!("A sign says {text}.")));
        let counter = self.0.iter().find_map(|look| look.counter.clone());
        let counter = counter.map(|text| (Mention::Counter, format!("A counter starts from {text}.")));
        for (mention, text) in plates.chain(counter) {
            for span in self.spans(&mention).into_iter().filter(within) {
                told.push((span[0], looks(span)[0].plate, text.clone()));
            }
        }
        told.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let told: Vec<String> = told.into_iter().map(|(.., text)| text).collect();
        if told.is_empty() { "Nothing happens.".to_owned() } else { told.join(" ") }
    }

    fn way(&self, pair: Pair, span: Span) -> &'static str {
        let seen = |time: f64| {
            let look = &self.0[(time / GRID) as usize];
            *look.objects.iter().find(|(other, ..)| *other == pair).expect("visible")
        };
        let ((_, [ax, ay], before), (_, [bx, by], after)) = (seen(span[0]), seen(span[1] - GRID));
        let sign = |change: f64| if change > 0.0 { 1 } else { -i32::from(change < 0.0) };
        match (sign(bx - ax), sign(by - ay), sign(after - before)) {
            (-1, 0, 0) => "To the left.",
            (1, 0, 0) => "To the right.",
            (0, -1, 0) => "Up.",
            (0, 1, 0) => "Down.",
            (-1, -1, 0) => "Up and to the left.",
            (1, -1, 0) => "Up and to the right.",
            (-1, 1, 0) => "Down and to the left.",
            (1, 1, 0) => "Down and to the right.",
            (0, 0, 1) => "It grows.",
            (0, 0, -1) => "It shrinks.",
            (0, 0, 0) => "It does not move.",
            _ => "It moves and grows at once.",
        }
    }

    fn read(&self, text: &str, mentions: &[Mention]) -> Result<String, String> {
        let texts = self.texts();
        if mentions == [Mention::Counter] {
            let first = self.0.iter().find_map(|look| look.counter.clone());
            return first.ok_or_else(|| format!("no counter: {text}"));
        }
        if let [thing] = mentions {
            let [span] = self.spans(thing)[..] else { return Err(format!("seen more than once: {text}")) };
            let looks = &self.0[(span[0] / GRID) as usize..(span[1] / GRID) as usize];
            let seen: BTreeSet<&String> = looks.iter().filter_map(|look| look.sign.as_ref()).collect();
            return one_of(&seen).map(|text| (*text).clone());
        }
        let ordinals = ["first", "second", "third", "fourth"];
        let place = ordinals.iter().position(|ordinal| text.contains(&format!("the {ordinal} sign")));
        match place {
            Some(place) if texts.len() > 1 => texts.get(place).cloned().ok_or_else(|| format!("too few signs: {text}")),
            None if text.contains("the last sign") && texts.len() > 1 => Ok(texts[texts.len() - 1].clone()),
            None if texts.len() == 1 => Ok(texts[0].clone()),
            _ => Err(format!("which sign? {text}")),
        }
    }

    /// What begins next, if it is one object and nothing else begins within a second of it.
    fn next(&self, thing: &Mention) -> Result<String, String> {
        let mut starts: Vec<(f64, Mention)> = Vec::new();
        let pairs = self.pairs().into_iter().map(Mention::Pair);
        for mention in pairs.chain(self.texts().into_iter().map(Mention::Sign)).chain([Mention::Counter]) {
            starts.extend(self.spans(&mention).into_iter().map(|span| (span[0], mention.clone())));
        }
        starts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let place = starts.iter().position(|(_, other)| other == thing).ok_or("not seen")?;
        if self.spans(thing).len() != 1 {
            return Err(format!("{thing:?} is seen more than once"));
        }
        let (Some(next), after) = (starts.get(place + 1), starts.get(place + 2)) else {
            return Err(format!("nothing after {thing:?}"));
        };
        if next.0 - starts[place].0 < 1.0 || after.is_some_and(|after| after.0 - next.0 < 1.0) {
            return Err(format!("not clearly after {thing:?}: {starts:?}"));
        }
        let Mention::Pair(pair) = next.1 else { return Err(format!("a sign after {thing:?}")) };
        let article = if pair.colour == Colour::Orange { "An" } else { "A" };
        Ok(format!("{article} {} {}.", pair.colour.word(), pair.shape.word()))
    }

    /// The letter of the only choice that is right.
    fn letter(&self, question: &Question) -> Result<String, String> {
        let text = question.text.as_str();
        let choices: Vec<&str> = question.choices.iter().map(|choice| &choice[3..]).collect();
        let letters: String = question.choices.iter().map(|choice| &choice[..1]).collect();
        let different: BTreeSet<&&str> = choices.iter().collect();
        if letters != "ABCD" || different.len() != 4 {
            return Err(format!("bad choices: {question:?}"));
        }
        let first = |choice: &str| mentions(choice).first().map(|one| self.spans(one)).unwrap_or_default();
        let right: Vec<usize> = match text {
            "Which of these is in the video?" => (0..4).filter(|&place| !first(choices[place]).is_empty()).collect(),
            "Which of these appears first?" => {
                let starts: Vec<f64> = choices.iter().map(|choice| first(choice)[0][0]).collect();
                let least = starts.iter().copied().fold(f64::MAX, f64::min);
                (0..4).filter(|&place| starts[place] < least + 1.0).collect()
            }
            _ => {
                let kind = match text {
                    _ if text.starts_with("What colour") => Kind::Colour,
                    _ if text.starts_with("What shape") => Kind::Shape,
                    _ if text.starts_with("Which way") => Kind::Motion,
                    _ if text.starts_with("When") => Kind::When,
                    _ => Kind::Reading,
                };
                let answer = self.answer(&Question { kind, ..question.clone() })?;
                (0..4).filter(|&place| capital(choices[place]) == answer).collect()
            }
        };
        let [place] = right[..] else { return Err(format!("{right:?} are right: {question:?}")) };
        Ok(format!("{}.", &letters[place..=place]))
    }
}

fn one_of<T: std::fmt::Debug + Ord>(found: &BTreeSet<T>) -> Result<&T, String> {
    match found.len() {
        1 => found.first().ok_or_else(String::new),
        _ => Err(format!("{found:?} are possible")),
    }
}

fn capital(text: &str) -> String {
    format!("{}{}.", text[..1].to_uppercase(), &text[1..])
}

/// The things named in a text, in order.
fn mentions(text: &str) -> Vec<Mention> {
    let words: Vec<&str> =
        text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let colour = |word: &str| Colour::ALL.into_iter().find(|colour| colour.word() == word);
    let shape = |word: &str| Shape::ALL.into_iter().find(|shape| [shape.word(), shape.plural()].contains(&word));
    let mut found = Vec::new();
    let mut rest = words.as_slice();
    while let [word, tail @ ..] = rest {
        rest = tail;
        let capitals =
            word.len() > 1 && word.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit());
        match (colour(word), shape(word), tail.first().and_then(|next| shape(next))) {
            (Some(colour), _, Some(shape)) => {
                found.push(Mention::Pair(Pair { colour, shape }));
                rest = &tail[1..];
            }
            (Some(colour), ..) => found.push(Mention::Colour(colour)),
            (_, Some(shape), _) => found.push(Mention::Shape(shape)),
            _ if *word == "counter" => found.push(Mention::Counter),
            _ if capitals => found.push(Mention::Sign((*word).to_owned())),
            _ => {}
        }
    }
    found
}
