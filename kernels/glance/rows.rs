//! One picture, row by row: pick the samples wanted, convert and blend across, then blend down.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::grid::Tap;
use super::{Colour, Glance, Grid, LANES, Level, Matrix, Picture, Plane, narrow, portable};

/// Makes glances; keeps the sampling positions between pictures of one shape.
#[derive(Debug)]
pub struct Glancer {
    level: Level,
    every: usize,
    layout: Option<Layout>,
    /// Picked samples of the three channels, two for each column wanted
    picked: [Vec<u8>; 3],
    /// A source row as plain bytes
    plain: Vec<u8>,
    /// The last even and the last odd source row, blended across
    blended: [Blended; 2],
}

/// What depends only on a picture's shape.
#[derive(Debug)]
struct Layout {
    shape: (usize, usize, [u32; 2]),
    grid: Grid,
    luma: Picks,
    chroma: Picks,
    /// Two for each column, padded like the picks
    weights: Vec<i16>,
}

#[derive(Debug, Default)]
struct Blended {
    row: Option<usize>,
    bgr: [Vec<i16>; 3],
}

/// Which samples of a row are wanted.
#[derive(Debug)]
pub(super) struct Picks {
    /// Ascending; two for each column, padded to twice a multiple of [`LANES`]
    pub(super) positions: Vec<u32>,
    /// The same as byte shuffles, each from 16 neighbouring bytes; empty for rows shorter than that
    steps: Vec<Step>,
    /// Length of the row; no step reads beyond it
    width: usize,
}

/// Picks up to 16 samples out of 16 neighbouring bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) shuffle: [u8; 16],
}

impl Default for Glancer {
    fn default() -> Self {
        Self::new(Level::detect())
    }
}

impl Glancer {
    /// A glancer that runs the given version.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self::sparse(level, 1)
    }

    /// A glancer that makes only every so many rows of a glance, from the middle of the first so many on.
    ///
    /// # Panics
    /// When `every` is 0.
    #[must_use]
    pub fn sparse(level: Level, every: usize) -> Self {
        assert!(every > 0, "every row at most");
        Self { level, every, layout: None, picked: Default::default(), plain: Vec::new(), blended: Default::default() }
    }

    /// Writes the glance of `picture` into `out`.
    ///
    /// # Panics
    /// When a plane holds fewer samples than the picture's size says, or when the level is not one of this processor.
    pub fn look(&mut self, picture: &Picture, out: &mut Glance) {
        picture.check();
        assert!(self.level == Level::Portable || self.level == Level::detect(), "{:?} on this processor", self.level);
        let layout = self.layout(picture);
        out.reshape(layout.grid.columns.len(), layout.grid.rows.len());
        let stride = out.stride();
        for (y, tap) in layout.grid.rows.iter().enumerate() {
            self.blend_across(picture, &layout, tap.first);
            self.blend_across(picture, &layout, tap.second);
            let [above, below] = [tap.first, tap.second].map(|row| self.blended[row % 2].bgr.each_ref());
            let rows = out.channels.each_mut().map(|channel| &mut channel[y * stride..][..stride]);
            down(self.level, above.map(Vec::as_slice), below.map(Vec::as_slice), tap.weights, rows);
        }
        self.layout = Some(layout);
    }

    /// Takes the layout out, made anew when the picture's shape is another; the row caches are reset.
    fn layout(&mut self, picture: &Picture) -> Layout {
        let chroma = match picture.colour {
            Colour::Yuv { chroma, .. } => chroma,
            Colour::Bgr => [0, 0],
        };
        let shape = (picture.width, picture.height, chroma);
        let layout =
            self.layout.take().filter(|layout| layout.shape == shape).unwrap_or_else(|| Layout::new(shape, self.every));
        let columns = layout.weights.len() / 2;
        for picked in &mut self.picked {
            // The last shuffle may write 16 bytes from any column on.
            picked.resize(2 * columns + LANES, 0);
        }
        for blended in &mut self.blended {
            blended.row = None;
            for channel in &mut blended.bgr {
                channel.resize(columns, 0);
            }
        }
        layout
    }

    /// Makes sure that source row `y` lies in the cache, blended across.
    fn blend_across(&mut self, picture: &Picture, layout: &Layout, y: usize) {
        let slot = &mut self.blended[y % 2];
        if slot.row == Some(y) {
            return;
        }
        slot.row = Some(y);
        for (index, (plane, picked)) in picture.planes.iter().zip(&mut self.picked).enumerate() {
            let (width, _) = picture.plane_size(index);
            let (picks, y) = match picture.colour {
                Colour::Yuv { chroma, .. } if index > 0 => (&layout.chroma, y >> chroma[1]),
                _ => (&layout.luma, y),
            };
            let row = plain_row(plane, width, y, &mut self.plain);
            pick(self.level, row, picks, picked);
        }
        let picked = self.picked.each_ref().map(|picked| &picked[..layout.weights.len()]);
        let out = slot.bgr.each_mut().map(Vec::as_mut_slice);
        match picture.colour {
            Colour::Yuv { matrix, .. } => across_yuv(self.level, picked, &matrix, &layout.weights, out),
            Colour::Bgr => portable::across_bgr(picked, &layout.weights, out),
        }
    }
}

impl Layout {
    fn new(shape: (usize, usize, [u32; 2]), every: usize) -> Self {
        let (width, height, [across, _]) = shape;
        let grid = Grid::new(width, height).sparse(every);
        let columns = grid.columns.len().next_multiple_of(LANES);
        let mut weights: Vec<i16> = grid.columns.iter().flat_map(|tap| tap.weights).collect();
        weights.resize(2 * columns, 0);
        let luma = Picks::new(&grid.columns, 0, width);
        let chroma = Picks::new(&grid.columns, across, ((width - 1) >> across) + 1);
        Self { shape, grid, luma, chroma, weights }
    }
}

impl Picks {
    /// The samples of a row of `width` that `columns` want, where `2^shift` columns share a sample.
    fn new(columns: &[Tap], shift: u32, width: usize) -> Self {
        let mut positions: Vec<u32> =
            columns.iter().flat_map(|tap| [tap.first, tap.second]).map(|at| (at >> shift) as u32).collect();
        let last = positions.last().copied().unwrap_or(0);
        positions.resize(2 * columns.len().next_multiple_of(LANES), last);
        let mut steps = Vec::new();
        let mut done = 0;
        while width >= 16 && done < positions.len() {
            let from = positions[done].min(width as u32 - 16);
            let taken = positions[done..].iter().take(16).take_while(|&&at| at < from + 16).count();
            let mut shuffle = [0x80; 16];
            for (slot, &at) in shuffle.iter_mut().zip(&positions[done..done + taken]) {
                *slot = (at - from) as u8;
            }
            steps.push(Step { from, to: done as u32, shuffle });
            done += taken;
        }
        Self { positions, steps, width }
    }

    /// The steps; each reads 16 bytes from `from` on inside a row of this many bytes, and writes 16 from `to` on inside
    /// as many bytes as there are positions, and [`LANES`] more.
    pub(super) fn steps(&self) -> (&[Step], usize) {
        (&self.steps, self.width)
    }
}

/// Row `y` of a plane as plain bytes: itself where it is that already, else copied into `plain`.
fn plain_row<'a>(plane: &Plane<'a>, width: usize, y: usize, plain: &'a mut Vec<u8>) -> &'a [u8] {
    let row = plane.rows[y];
    if plane.bits == 8 && plane.step == 1 {
        return &row[..width];
    }
    plain.clear();
    if plane.bits == 8 {
        plain.extend(row.iter().step_by(plane.step).take(width));
    } else {
        plain.extend(row.chunks(plane.step).take(width).map(|word| narrow(word[0], word[1], plane.bits)));
    }
    plain
}

fn pick(level: Level, row: &[u8], picks: &Picks, out: &mut [u8]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `look` has asserted that the processor has AVX2.
        Level::Avx2 if !picks.steps().0.is_empty() => unsafe { avx2::pick(row, picks, out) },
        _ => portable::pick(row, picks, out),
    }
}

fn across_yuv(level: Level, picked: [&[u8]; 3], matrix: &Matrix, weights: &[i16], out: [&mut [i16]; 3]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `look` has asserted that the processor has AVX2.
        Level::Avx2 => unsafe { avx2::across_yuv(picked, matrix, weights, out) },
        _ => portable::across_yuv(picked, matrix, weights, out),
    }
}

fn down(level: Level, above: [&[i16]; 3], below: [&[i16]; 3], weights: [i16; 2], out: [&mut [u8]; 3]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `look` has asserted that the processor has AVX2.
        Level::Avx2 => unsafe { avx2::down(above, below, weights, out) },
        _ => portable::down(above, below, weights, out),
    }
}
