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
    Pink,
    Black,
}

impl Colour {
    /// Every colour.
    pub const ALL: [Self; 10] = [
        Self::Red,
        Self::Green,
        Self::Blue,
        Self::Yellow,
        Self::Purple,
        Self::Orange,
        Self::White,
        Self::Cyan,
        Self::Pink,
        Self::Black,
    ];

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
            Self::Pink => "pink",
            Self::Black => "black",
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
            Self::Pink => [250, 145, 195],
            Self::Black => [14, 14, 14],
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
    Arrow,
    Crescent,
    Hourglass,
    Bolt,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 12] = [
        Self::Circle,
        Self::Square,
        Self::Triangle,
        Self::Star,
        Self::Heart,
        Self::Cross,
        Self::Diamond,
        Self::Ring,
        Self::Arrow,
        Self::Crescent,
        Self::Hourglass,
        Self::Bolt,
    ];

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
            Self::Arrow => "arrow",
            Self::Crescent => "crescent",
            Self::Hourglass => "hourglass",
            Self::Bolt => "bolt",
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
            Self::Arrow => "arrows",
            Self::Crescent => "crescents",
            Self::Hourglass => "hourglasses",
            Self::Bolt => "bolts",
        }
    }
}

/// What an object does while it is visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Motion {
    Still,
    Left,
    Right,
    Up,
    Down,
    UpLeft,
    UpRight,
    DownLeft,
    DownRight,
    Grows,
    Shrinks,
}

impl Motion {
    /// Every motion.
    pub const ALL: [Self; 11] = [
        Self::Still,
        Self::Left,
        Self::Right,
        Self::Up,
        Self::Down,
        Self::UpLeft,
        Self::UpRight,
        Self::DownLeft,
        Self::DownRight,
        Self::Grows,
        Self::Shrinks,
    ];

    /// What stands in an answer to "which way does it move?", in mid-sentence.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Still => "it does not move",
            Self::Left => "to the left",
            Self::Right => "to the right",
            Self::Up => "up",
            Self::Down => "down",
            Self::UpLeft => "up and to the left",
            Self::UpRight => "up and to the right",
            Self::DownLeft => "down and to the left",
            Self::DownRight => "down and to the right",
            Self::Grows => "it grows",
            Self::Shrinks => "it shrinks",
        }
    }

    /// Along x and y: -1, 0 or 1, y downwards.
    pub fn way(self) -> [f64; 2] {
        match self {
            Self::Still | Self::Grows | Self::Shrinks => [0.0, 0.0],
            Self::Left => [-1.0, 0.0],
            Self::Right => [1.0, 0.0],
            Self::Up => [0.0, -1.0],
            Self::Down => [0.0, 1.0],
            Self::UpLeft => [-1.0, -1.0],
            Self::UpRight => [1.0, -1.0],
            Self::DownLeft => [-1.0, 1.0],
            Self::DownRight => [1.0, 1.0],
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
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) || word.starts_with("hour") { "an" } else { "a" }
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
        assert_eq!((article("orange"), article("red"), article("hourglass")), ("an", "a", "an"));
        assert_eq!(sentence("a blue circle"), "A blue circle.");
    }
}
