//! The moments object: what `find --json` prints, one per video.

use super::{Plan, Timing};
use crate::decode::VideoFacts;
use crate::evidence::Coverage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of the moments' schema.
pub const MOMENTS_SCHEMA: &str = "longsight.moments/1";

/// `longsight.moments/1`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moments {
    /// `longsight.moments/1`
    pub schema: String,
    /// The file
    pub video: VideoFacts,
    /// What was looked for, in words
    pub query: String,
    /// Where it happens, best first
    pub moments: Vec<Moment>,
    /// What was looked at
    pub coverage: Coverage,
    /// What was done
    pub plan: Plan,
    /// What it cost in time
    pub timing_s: Timing,
    /// What a reader should know
    pub warnings: Vec<String>,
}

/// A span in which it happens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// First second, on the source clock
    pub start: f64,
    /// First second after it
    pub end: f64,
    /// How sure, 0 to 1; comparable between videos of one search
    pub score: f64,
}
