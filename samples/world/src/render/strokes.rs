//! The letters of the signs as another hand writes them: strokes of a round pen, with spaces as wide as each letter wants.
//!
//! A letter is a list of lines through points, `0` to `8` from left to right and `a` to `m` from top to bottom; `~` before the
//! first point rounds the corners.

/// Between two letters.
const SPACE: f32 = 3.0;
/// Points that a rounded line has for each that is written.
const FINER: usize = 4;

/// A text laid out, from the middle of its first stroke on.
pub(super) struct Strokes {
    /// For each letter where it ends, the space behind it included, and the ends of its strokes.
    letters: Vec<(f32, Vec<[[f32; 2]; 2]>)>,
}

impl Strokes {
    /// From the uppermost stroke's middle to the lowest one's.
    pub(super) const HEIGHT: f32 = 12.0;

    pub(super) fn new(text: &str) -> Self {
        let mut left = 0.0;
        let letters = text.bytes().map(|letter| {
            let lines: Vec<Vec<[f32; 2]>> = glyph(letter).split('|').map(points).collect();
            let edge =
                |pick: fn(f32, f32) -> f32, start| lines.iter().flatten().map(|point| point[0]).fold(start, pick);
            let (from, to) = (edge(f32::min, 8.0), edge(f32::max, 0.0));
            let moved = |[x, y]: [f32; 2]| [x - from + left, y];
            let strokes =
                lines.iter().flat_map(|line| line.windows(2)).map(|ends| [moved(ends[0]), moved(ends[1])]).collect();
            left += (to - from).max(0.0) + SPACE;
            (left, strokes)
        });
        Self { letters: letters.collect() }
    }

    /// From the first stroke's middle to the last one's.
    pub(super) fn width(&self) -> f32 {
        self.letters.last().map_or(0.0, |(end, _)| end - SPACE)
    }

    /// How far `(x, y)` is from the middle of the nearest stroke of the letter it is next to.
    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        let next =
            self.letters.partition_point(|(end, _)| *end - SPACE / 2.0 < x).min(self.letters.len().saturating_sub(1));
        let strokes = self.letters.get(next).map_or(&[][..], |(_, strokes)| strokes);
        strokes.iter().map(|ends| to_stroke(*ends, x, y)).fold(f32::MAX, f32::min)
    }
}

fn to_stroke([[ax, ay], [bx, by]]: [[f32; 2]; 2], x: f32, y: f32) -> f32 {
    let (ex, ey, wx, wy) = (bx - ax, by - ay, x - ax, y - ay);
    let square = ex * ex + ey * ey;
    let along = if square > 0.0 { ((wx * ex + wy * ey) / square).clamp(0.0, 1.0) } else { 0.0 };
    let (dx, dy) = (wx - ex * along, wy - ey * along);
    (dx * dx + dy * dy).sqrt()
}

/// The points of one line; a rounded one goes through those written (Catmull and Rom's spline).
fn points(line: &str) -> Vec<[f32; 2]> {
    let (round, line) = line.strip_prefix('~').map_or((false, line), |rest| (true, rest));
    let written: Vec<[f32; 2]> =
        line.as_bytes().chunks_exact(2).map(|at| [f32::from(at[0] - b'0'), f32::from(at[1] - b'a')]).collect();
    if !round {
        return written;
    }
    let last = written.len() - 1;
    let closed = written[0] == written[last];
    let at = |place: isize| match usize::try_from(place) {
        Err(_) if closed => written[last - 1],
        Ok(place) if place > last && closed => written[1],
        place => written[place.unwrap_or(0).min(last)],
    };
    let mut rounded: Vec<[f32; 2]> = (0..last as isize)
        .flat_map(|place| (0..FINER).map(move |part| (place, part as f32 / FINER as f32)))
        .map(|(place, t)| {
            let [a, b, c, d] = [at(place - 1), at(place), at(place + 1), at(place + 2)];
            std::array::from_fn(|axis| {
                let (a, b, c, d) = (a[axis], b[axis], c[axis], d[axis]);
                0.5 * (2.0 * b
                    + (c - a) * t
                    + (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t
                    + (3.0 * b - a - 3.0 * c + d) * t * t * t)
            })
        })
        .collect();
    rounded.push(written[last]);
    rounded
}

fn glyph(letter: u8) -> &'static str {
    match letter {
        b'A' => "0m4a8m|1i7i",
        b'B' => "0a0m|~0a5a7c7d5f0f|~0f5f8h8k5m0m",
        b'C' => "~8c6a3a0d0j3m6m8k",
        b'D' => "0a0m|~0a4a8d8j4m0m",
        b'E' => "7a0a0m7m|0g6g",
        b'F' => "7a0a0m|0g6g",
        b'G' => "~8c6a3a0d0j3m6m8k8h|5h8h",
        b'H' => "0a0m|8a8m|0g8g",
        b'I' => "4a4m",
        b'J' => "~6a6j4m2m0k",
        b'K' => "0a0m|8a0h|3f8m",
        b'L' => "0a0m7m",
        b'M' => "0m0a4h8a8m",
        b'N' => "0m0a8m8a",
        b'O' => "~4a7b8g7l4m1l0g1b4a",
        b'P' => "0a0m|~0a5a8c8e5g0g",
        b'Q' => "~4a7b8g7l4m1l0g1b4a|5j8m",
        b'R' => "0a0m|~0a5a8c8e5g0g|4g8m",
        b'S' => "~8c5a2a0d2f6g8j6m3m0k",
        b'T' => "0a8a|4a4m",
        b'U' => "~0a0i2m6m8i8a",
        b'V' => "0a4m8a",
        b'W' => "0a2m4c6m8a",
        b'X' => "0a8m|8a0m",
        b'Y' => "0a4g8a|4g4m",
        b'Z' => "0a8a0m8m",
        b'0' => "~4a7c8g7k4m1k0g1c4a",
        b'1' => "1c4a4m",
        b'2' => "~0c2a5a8c7f0m|0m8m",
        b'3' => "~0b3a7b7e4f|~3f5f8h8k4m0l",
        b'4' => "6m6a0i8i",
        b'5' => "7a1a1f|~1f4e8g8k4m0l",
        b'6' => "~7b5a2b0f0j2m5m8k8h5f2f0i",
        b'7' => "0a8a3m",
        b'8' => "~4f1d2a4a6a7d4f8h7l4m1l0h1g4f",
        b'9' => "~1l3m6l8h8d6a3a0c0f3h6h8e",
        b':' => "4d4d|4j4j",
        _ => "",
    }
}
