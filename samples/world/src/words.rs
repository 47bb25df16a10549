//! What the world is made of, and what the things are called.

use serde::{Deserialize, Serialize};

/// The colour of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Colour {
    Red,
    Green,
    Blue,
    Yellow,
    Purple,
    Orange,
    White,
    Cyan,
}

impl Colour {
    /// Every colour.
    pub const ALL: [Self; 8] =
        [Self::Red, Self::Green, Self::Blue, Self::Yellow, Self::Purple, Self::Orange, Self::White, Self::Cyan];

    /// The English word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Purple => "purple",
            Self::Orange => "orange",
            Self::White => "white",
            Self::Cyan => "cyan",
        }
    }

    /// The middle of the colour in sRGB; objects vary a little around it.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [220, 35, 40],
            Self::Green => [30, 160, 55],
            Self::Blue => [40, 70, 225],
            Self::Yellow => [245, 220, 40],
            Self::Purple => [145, 45, 175],
            Self::Orange => [250, 130, 20],
            Self::White => [245, 245, 245],
            Self::Cyan => [50, 210, 225],
        }
    }
}

/// The outline of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Star,
    Heart,
    Cross,
    Diamond,
    Ring,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 8] =
        [Self::Circle, Self::Square, Self::Triangle, Self::Star, Self::Heart, Self::Cross, Self::Diamond, Self::Ring];

    /// The English word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Circle => "circle",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Star => "star",
            Self::Heart => "heart",
            Self::Cross => "cross",
            Self::Diamond => "diamond",
            Self::Ring => "ring",
        }
    }

    /// The English plural.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Circle => "circles",
            Self::Square => "squares",
            Self::Triangle => "triangles",
            Self::Star => "stars",
            Self::Heart => "hearts",
            Self::Cross => "crosses",
            Self::Diamond => "diamonds",
            Self::Ring => "rings",
        }
    }
}

/// The way an object goes across the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Motion {
    Still,
    Left,
    Right,
    Up,
    Down,
}

impl Motion {
    /// Every motion.
    pub const ALL: [Self; 5] = [Self::Still, Self::Left, Self::Right, Self::Up, Self::Down];

    /// The answer to "which way does it move?".
    pub fn answer(self) -> &'static str {
        match self {
            Self::Still => "It does not move.",
            Self::Left => "To the left.",
            Self::Right => "To the right.",
            Self::Up => "Up.",
            Self::Down => "Down.",
        }
    }
}

/// A colour and a shape: what identifies an object to someone who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// Its colour.
    pub colour: Colour,
    /// Its shape.
    pub shape: Shape,
}

impl Pair {
    /// Every pair, colours first.
    pub fn all() -> impl Iterator<Item = Self> {
        Colour::ALL.into_iter().flat_map(|colour| Shape::ALL.into_iter().map(move |shape| Self { colour, shape }))
    }

    /// "red star".
    pub fn name(self) -> String {
        format!("{} {}", self.colour.word(), self.shape.word())
    }
}

/// The words on signs. None is the beginning of another, and no two differ in one letter only.
pub const SIGN_WORDS: [&str; 32] = [
    "OPEN", "EXIT", "STOP", "TAXI", "CAFE", "NORTH", "SOUTH", "EAST", "WEST", "BANK", "PARK", "HOTEL", "MALL", "BUS",
    "METRO", "ZOO", "MUSIC", "BOOKS", "PIZZA", "FISH", "MILK", "TEA", "GOLD", "RIVER", "LAKE", "HILL", "QUIET", "HELP",
    "SALE", "FIRE", "JUMP", "WAVE",
];

/// `"a"` or `"an"`, for the word that follows.
pub fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// The first letter made a capital, and a full stop at the end.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_words_cannot_be_taken_for_each_other() {
        for (place, one) in SIGN_WORDS.iter().enumerate() {
            assert!((3..=5).contains(&one.len()), "{one}");
            for other in &SIGN_WORDS[place + 1..] {
                let differing = one.bytes().zip(other.bytes()).filter(|(a, b)| a != b).count();
                assert!(differing >= 2 || one.len() != other.len(), "{one} and {other}");
                assert!(!one.starts_with(other) && !other.starts_with(one), "{one} and {other}");
            }
        }
    }

    #[test]
    fn articles_and_sentences() {
        assert_eq!((article("orange"), article("red")), ("an", "a"));
        assert_eq!(sentence("a blue circle"), "A blue circle.");
    }
}
