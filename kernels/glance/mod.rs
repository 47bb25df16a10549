//! A cheap look at every frame of a video: a small picture in hue, saturation and value, and how far two of them differ.
//!
//! In: the planes of a decoded frame, as they lie in memory. Out: [`Glance`], at most 256 pixels on the longer side, and
//! [`delta`], the sum of absolute differences of each channel. No full-size RGB picture is ever made.
//!
//! The maths, bit for bit that of `libswscale` (YUV to BGR, its table-free 16-bit path), then `cv2.resize`
//! (`INTER_LINEAR`) and `cv2.cvtColor` (`COLOR_BGR2HSV`), which is what PySceneDetect sees:
//!
//! ```text
//! luma      y' = ((8 y - 8 offset) gain) >> 16            chroma   u' = 8 u - 1024
//! colour    b = clamp(y' + (u' ub >> 16))   g = clamp(y' + (u' ug >> 16) + (v' vg >> 16))   r = clamp(y' + (v' vr >> 16))
//! across    h = (p[x0] a0 + p[x1] a1) >> 4                weights in 1/2048
//! down      p = ((h[y0] b0 >> 16) + (h[y1] b1 >> 16) + 2) >> 2
//! hsv       v = max, d = v - min, s = (d round(255 4096 / v) + 2048) >> 12, h in 0..180 likewise
//! ```
//!
//! Chroma of subsampled pictures is taken from the nearest sample, as the 16-bit path does.
//!
//! The ladder, for one 448x252 picture (2 cores of an AMD EPYC, one thread):
//!
//! | version | idea |
//! | --- | --- |
//! | `reference` | four conversions for each pixel wanted, then the formulas above |
//! | `portable` | each source row once: pick the columns wanted, convert, blend across; keep the last two rows |
//! | `avx2` | the same with byte shuffles for the picking and 16-bit lanes for the rest |

#[cfg(target_arch = "x86_64")]
mod avx2;
mod grid;
mod portable;
pub mod reference;
mod rows;
#[cfg(test)]
mod tests;

pub use grid::Grid;
pub use rows::Glancer;

/// The longer side of a glance, in pixels; smaller pictures keep their size.
pub const SIDE: usize = 256;

/// Which version runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Plain loops over rows
    Portable,
    /// 256-bit integers of x86-64
    Avx2,
}

impl Level {
    /// The fastest version this processor can run.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Portable
    }
}

/// One channel of a picture as it lies in memory.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// The rows, top to bottom, each from the first sample of this channel on
    pub rows: &'a [&'a [u8]],
    /// Bytes from a sample to the next: 1, 2 for NV12's chroma, 3 for packed BGR, 2 for words
    pub step: usize,
    /// Significant bits: 8 for bytes, more for little-endian words, which are rounded to 8
    pub bits: u32,
}

impl Plane<'_> {
    /// The sample at column `x` of row `y`, rounded to 8 bits.
    #[must_use]
    pub fn sample(&self, x: usize, y: usize) -> u8 {
        let (row, at) = (self.rows[y], x * self.step);
        if self.bits <= 8 { row[at] } else { narrow(row[at], row[at + 1], self.bits) }
    }

    /// Whether there are `height` rows of `width` samples.
    fn holds(&self, width: usize, height: usize) -> bool {
        let bytes = (width - 1) * self.step + if self.bits > 8 { 2 } else { 1 };
        self.rows.len() >= height && self.rows[..height].iter().all(|row| row.len() >= bytes)
    }
}

/// A little-endian word of `bits` significant bits, rounded to 8.
fn narrow(low: u8, high: u8, bits: u32) -> u8 {
    let word = u32::from(u16::from_le_bytes([low, high]));
    ((word + (1 << (bits - 9))) >> (bits - 8)).min(255) as u8
}

/// What the three planes of a picture mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Luma and two chroma planes
    Yuv {
        /// The coefficients
        matrix: Matrix,
        /// Luma samples for each chroma sample, as powers of two, across and down
        chroma: [u32; 2],
    },
    /// Blue, green and red at full size
    Bgr,
}

/// YUV to BGR in 1/8192, with 8-bit inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// Eight times the luma of black
    pub offset: i16,
    /// Of luma
    pub gain: i16,
    /// From U to blue
    pub blue_u: i16,
    /// From U to green
    pub green_u: i16,
    /// From V to green
    pub green_v: i16,
    /// From V to red
    pub red_v: i16,
}

impl Matrix {
    /// From the four 16.16 factors of a standard (V to red, U to blue, minus U to green, minus V to green), as they
    /// apply to limited-range samples, and whether the samples use the full range.
    #[must_use]
    pub const fn new([red_v, blue_u, green_u, green_v]: [i64; 4], full_range: bool) -> Self {
        const fn fixed(value: i64) -> i16 {
            ((value * 8192 + (1 << 15)) >> 16) as i16
        }
        const fn scaled(value: i64, full_range: bool) -> i64 {
            if full_range { value * 224 / 255 } else { value }
        }
        Self {
            offset: if full_range { 0 } else { 128 },
            gain: fixed(if full_range { 1 << 16 } else { (1 << 16) * 255 / 219 }),
            blue_u: fixed(scaled(blue_u, full_range)),
            green_u: fixed(-scaled(green_u, full_range)),
            green_v: fixed(-scaled(green_v, full_range)),
            red_v: fixed(scaled(red_v, full_range)),
        }
    }
}

/// A decoded picture.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Columns
    pub width: usize,
    /// Rows
    pub height: usize,
    /// Y, U and V, or blue, green and red
    pub planes: [Plane<'a>; 3],
    /// What the planes mean
    pub colour: Colour,
}

impl Picture<'_> {
    /// Columns and rows of plane `index`.
    fn plane_size(&self, index: usize) -> (usize, usize) {
        let [across, down] = match self.colour {
            Colour::Yuv { chroma, .. } if index > 0 => chroma,
            _ => [0, 0],
        };
        (((self.width - 1) >> across) + 1, ((self.height - 1) >> down) + 1)
    }

    /// # Panics
    /// When a plane holds fewer samples than its size says.
    fn check(&self) {
        assert!(self.width > 0 && self.height > 0, "empty picture");
        for (index, plane) in self.planes.iter().enumerate() {
            let (width, height) = self.plane_size(index);
            assert!(plane.holds(width, height), "plane {index} is too short");
            assert!((8..=16).contains(&plane.bits), "plane {index} has {} bits", plane.bits);
        }
    }
}

/// A small picture: hue (0 to 179), saturation and value, rows padded with zeros to a multiple of [`LANES`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glance {
    /// Columns
    pub width: usize,
    /// Rows
    pub height: usize,
    /// Hue, saturation and value, `[height, stride()]` each
    pub channels: [Vec<u8>; 3],
}

/// Rows of a glance are padded to a multiple of this.
pub const LANES: usize = 16;

impl Glance {
    /// Bytes from a row to the next.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.width.next_multiple_of(LANES)
    }

    fn reshape(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        let size = self.stride() * height;
        for channel in &mut self.channels {
            channel.resize(size, 0);
        }
    }
}

/// The mean absolute difference of hue, saturation and value, each 0 to 255.
///
/// # Panics
/// When the two differ in size.
#[must_use]
pub fn delta(a: &Glance, b: &Glance) -> [f64; 3] {
    assert_eq!((a.width, a.height), (b.width, b.height), "glances of different size");
    let pixels = (a.width * a.height).max(1) as f64;
    [0, 1, 2].map(|channel| {
        // Runs of u8 differences summed in u32 become `psadbw`; 4096 x 255 is far from overflow.
        let sum: u64 = a.channels[channel]
            .chunks(4096)
            .zip(b.channels[channel].chunks(4096))
            .map(|(a, b)| u64::from(a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum::<u32>()))
            .sum();
        sum as f64 / pixels
    })
}
