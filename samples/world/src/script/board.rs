//! A sign, for a second: what there is too little of in ordinary clips to learn to read from.

use crate::dice::{Dice, Split};

use super::write::{Writer, seconds};
use super::{Entrance, Script};

/// The stream of choices a board is written from.
const PURPOSE: u8 = 5;
/// How long a board is seen, in steps.
const STEPS: i64 = 2;

impl Script {
    /// A clip of one short scene that always has a sign, mostly with a number.
    pub fn board(split: Split, seed: u64) -> Self {
        let mut writer = Writer::new(Dice::new(split, seed, PURPOSE));
        (writer.signs, writer.words) = (100, 15);
        let scene = writer.scene(0, STEPS, Entrance::Cut);
        Self { split, seed, duration: seconds(STEPS), scenes: vec![scene] }
    }
}
