//! Time on the source clock: a frame's time is its presentation timestamp, never `index / fps`.

use serde::{Deserialize, Serialize};

/// The length of one tick, as a fraction of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeBase {
    /// Numerator
    pub num: u32,
    /// Denominator; a base with a denominator of 0 reads as time 0
    pub den: u32,
}

impl TimeBase {
    /// Microseconds.
    pub const MICROS: Self = Self { num: 1, den: 1_000_000 };

    /// Seconds per tick.
    #[must_use]
    pub fn seconds(self) -> f64 {
        if self.den == 0 { 0.0 } else { f64::from(self.num) / f64::from(self.den) }
    }
}

impl std::fmt::Display for TimeBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// A presentation timestamp: a count of ticks and their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timestamp {
    /// Ticks since the start of the source clock
    pub pts: i64,
    /// The length of a tick
    pub base: TimeBase,
}

impl Timestamp {
    /// Seconds on the source clock.
    #[must_use]
    pub fn seconds(self) -> f64 {
        if self.base.den == 0 {
            return 0.0;
        }
        // Multiplied before it is divided, so that whole numbers of seconds stay whole.
        self.pts as f64 * f64::from(self.base.num) / f64::from(self.base.den)
    }
}

/// A stretch of the source clock in seconds, `start <= end`, `end` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// First second inside
    pub start: f64,
    /// First second outside
    pub end: f64,
}

impl Span {
    /// The span between two times, in either order.
    #[must_use]
    pub fn new(a: f64, b: f64) -> Self {
        Self { start: a.min(b), end: a.max(b) }
    }

    /// Length in seconds.
    #[must_use]
    pub fn duration(self) -> f64 {
        self.end - self.start
    }

    /// Intersection over union with another span, 0 to 1.
    #[must_use]
    pub fn iou(self, other: Self) -> f64 {
        let both = (self.end.min(other.end) - self.start.max(other.start)).max(0.0);
        let either = self.duration() + other.duration() - both;
        if either > 0.0 { both / either } else { 0.0 }
    }

    /// Whether `seconds` lies inside.
    #[must_use]
    pub fn contains(self, seconds: f64) -> bool {
        self.start <= seconds && seconds < self.end
    }
}
