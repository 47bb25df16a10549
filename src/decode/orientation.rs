//! Display matrices: the eight ways in which a camera can be held, mirrors included.

use image::RgbImage;
use serde::{Deserialize, Serialize};

/// How the stored picture is turned for display: an optional transposition, then optional mirrors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Orientation {
    /// Rows become columns, before the mirrors
    pub transpose: bool,
    /// Left and right change places
    pub mirror_x: bool,
    /// Top and bottom change places
    pub mirror_y: bool,
}

impl Orientation {
    /// Reads a display matrix (nine 16.16 numbers in row order, QuickTime's layout). Angles between the right ones go
    /// to the nearest; a matrix without any direction counts as upright.
    #[must_use]
    pub fn from_matrix(matrix: [i32; 9]) -> Self {
        // x' = a x + c y, y' = b x + d y
        let [a, b, _, c, d, ..] = matrix.map(i64::from);
        if a.abs() + d.abs() >= b.abs() + c.abs() {
            Self { transpose: false, mirror_x: a < 0, mirror_y: d < 0 }
        } else {
            Self { transpose: true, mirror_x: c < 0, mirror_y: b < 0 }
        }
    }

    /// Degrees clockwise by which the picture is turned, mirrors aside.
    #[must_use]
    pub fn degrees(self) -> u16 {
        match (self.transpose, self.mirror_x, self.mirror_y) {
            (false, false, false) | (false, true, false) => 0,
            (true, true, _) => 90,
            (false, _, true) => 180,
            (true, false, _) => 270,
        }
    }

    /// Whether the picture is mirrored, so that no rotation alone puts it right.
    #[must_use]
    pub fn is_mirrored(self) -> bool {
        self.transpose ^ self.mirror_x ^ self.mirror_y
    }

    /// The size after turning.
    #[must_use]
    pub fn apply_size(self, width: u32, height: u32) -> (u32, u32) {
        if self.transpose { (height, width) } else { (width, height) }
    }

    /// The picture as it is meant to be seen.
    #[must_use]
    pub fn apply(self, image: RgbImage) -> RgbImage {
        if self == Self::default() {
            return image;
        }
        let (width, height) = self.apply_size(image.width(), image.height());
        let (source_width, row_bytes) = (image.width() as usize, width as usize * 3);
        let source = image.as_raw();
        let mut turned = RgbImage::new(width, height);
        if row_bytes == 0 {
            return turned;
        }
        for (y, row) in turned.chunks_exact_mut(row_bytes).enumerate() {
            let y = if self.mirror_y { height as usize - 1 - y } else { y };
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let x = if self.mirror_x { width as usize - 1 - x } else { x };
                let (sx, sy) = if self.transpose { (y, x) } else { (x, y) };
                let at = (sy * source_width + sx) * 3;
                pixel.copy_from_slice(&source[at..at + 3]);
            }
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a b / c d` as 16.16.
    fn matrix(a: i32, b: i32, c: i32, d: i32) -> [i32; 9] {
        [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    }

    /// Letters of a 2 x 3 picture (`ab`, `cd`, `ef`) after turning, read row by row.
    fn turn(matrix: [i32; 9]) -> String {
        let letters = "abcdef";
        let image = RgbImage::from_raw(2, 3, letters.bytes().flat_map(|b| [b, 0, 0]).collect()).unwrap_or_default();
        Orientation::from_matrix(matrix).apply(image).pixels().map(|p| char::from(p.0[0])).collect()
    }

    #[test]
    fn every_matrix_turns_the_picture_as_quicktime_says() {
        assert_eq!(turn(matrix(1, 0, 0, 1)), "abcdef");
        assert_eq!(turn(matrix(0, 1, -1, 0)), "ecafdb", "90 degrees clockwise");
        assert_eq!(turn(matrix(-1, 0, 0, -1)), "fedcba", "180 degrees");
        assert_eq!(turn(matrix(0, -1, 1, 0)), "bdface", "270 degrees clockwise");
        assert_eq!(turn(matrix(-1, 0, 0, 1)), "badcfe", "mirrored left to right");
        assert_eq!(turn(matrix(1, 0, 0, -1)), "efcdab", "mirrored top to bottom");
        assert_eq!(turn(matrix(0, 1, 1, 0)), "acebdf", "transposed");
        assert_eq!(turn(matrix(0, -1, -1, 0)), "fdbeca", "transposed the other way");
    }

    #[test]
    fn sizes_degrees_and_mirrors_follow_the_matrix() {
        let clockwise = Orientation::from_matrix(matrix(0, 1, -1, 0));
        assert_eq!((clockwise.degrees(), clockwise.is_mirrored(), clockwise.apply_size(2, 3)), (90, false, (3, 2)));
        assert_eq!(Orientation::from_matrix(matrix(-1, 0, 0, -1)).degrees(), 180);
        assert_eq!(Orientation::from_matrix(matrix(0, -1, 1, 0)).degrees(), 270);
        assert!(Orientation::from_matrix(matrix(-1, 0, 0, 1)).is_mirrored());
        assert_eq!(Orientation::from_matrix([0; 9]), Orientation::default());
    }
}
