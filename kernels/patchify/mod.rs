//! From 8-bit frames to the rows of a vision tower: resized with antialiasing along one axis and then the other, rounded to 8 bits after
//! each as torchvision and Pillow do, normalised, and cut into patches.
//!
//! Comes in: `[count][height][width][3]` bytes in a GPU's memory. Goes out: `[patches][3 * temporal * patch * patch]`, the patches of a
//! visual token side by side. On the processor `models/pixels` does it.

pub mod cuda;
pub mod reference;
#[cfg(all(test, target_os = "linux"))]
mod tests;

/// What a pixel is made from when a picture changes its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Two pixels a side
    Bilinear,
    /// Four, with a = -1/2
    Bicubic,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Bicubic => 0.0,
        }
    }
}

/// How frames are cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Frames
    pub count: usize,
    /// Their height and width
    pub from: (usize, usize),
    /// Those that they are resized to: multiples of `patch * merge`
    pub to: (usize, usize),
    /// By what
    pub filter: Filter,
    /// Pixels along a patch
    pub patch: usize,
    /// Frames of a patch; the last frame is repeated to fill it
    pub temporal: usize,
    /// Patches along a visual token
    pub merge: usize,
    /// What bytes of each channel are multiplied by
    pub scale: [f32; 3],
    /// What is then added
    pub shift: [f32; 3],
}

impl Cut {
    /// Numbers of a row.
    #[must_use]
    pub fn row(&self) -> usize {
        3 * self.temporal * self.patch * self.patch
    }

    /// Rows.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.count.div_ceil(self.temporal) * (self.to.0 / self.patch) * (self.to.1 / self.patch)
    }

    /// # Panics
    /// When the sizes are none, or no multiples.
    fn check(&self) {
        let step = self.patch * self.merge;
        assert!(step > 0 && self.temporal > 0 && self.from.0 > 0 && self.from.1 > 0, "{self:?} has no size");
        assert!(self.to.0.is_multiple_of(step) && self.to.1.is_multiple_of(step), "{:?} in steps of {step}", self.to);
    }
}

/// What each entry of a resized axis is a sum of.
struct Weights {
    /// Entries of the sum
    taps: usize,
    /// The first, for each entry
    first: Vec<i32>,
    /// `[entries][taps]`; 0 beyond the axis
    weights: Vec<f32>,
}

impl Weights {
    /// Of an axis that goes from one length to another (as Pillow's `precompute_coeffs` has it).
    fn new(filter: Filter, from: usize, to: usize) -> Self {
        let ratio = from as f64 / to as f64;
        let stretch = ratio.max(1.0);
        let reach = filter.support() * stretch;
        let taps = reach.ceil() as usize * 2 + 1;
        let (mut first, mut weights) = (Vec::with_capacity(to), vec![0.0; to * taps]);
        for (entry, own) in weights.chunks_mut(taps).enumerate() {
            let centre = (entry as f64 + 0.5) * ratio;
            let begin = (centre - reach + 0.5).floor().max(0.0) as usize;
            let end = ((centre + reach + 0.5).floor() as usize).min(from);
            let raw: Vec<f64> = (begin..end).map(|at| filter.at((at as f64 - centre + 0.5) / stretch)).collect();
            let total: f64 = raw.iter().sum();
            own.iter_mut().zip(raw).for_each(|(weight, raw)| *weight = (raw / total) as f32);
            first.push(begin as i32);
        }
        Self { taps, first, weights }
    }
}
