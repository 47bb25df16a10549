//! Words and numbers on plates.

use image::RgbImage;

use crate::script::Sign;

use super::strokes::Strokes;
use super::style::Hand;
use super::{Size, Style, blend, font, mix, pixels};

/// Samples along each side of a pixel.
const SAMPLES: u32 = 4;

/// A plate ready to be put on a picture.
pub(super) struct Patch {
    left: usize,
    top: usize,
    width: usize,
    /// Colour and cover of each pixel, row by row.
    pixels: Vec<([u8; 3], f32)>,
}

impl Patch {
    pub(super) fn new(sign: &Sign, text: &str, size: Size, style: &Style) -> Self {
        let cell = sign.stroke as f32 * size.short();
        let columns = font::columns(text);
        // One cell of plate on each side of the text.
        let (width, height) = ((columns + 2) as f32 * cell, (font::HEIGHT + 2) as f32 * cell);
        let left = sign.centre[0] as f32 * size.width as f32 - width / 2.0;
        let top = sign.centre[1] as f32 * size.height as f32 - height / 2.0;
        let across = pixels(left, left + width, size.width);
        let down = pixels(top, top + height, size.height);
        let pen = (style.hand == Hand::Pen).then(|| Pen::new(text, columns, cell, style));
        let middle = (font::HEIGHT + 2) as f32 / 2.0;
        let pixel = |column: usize, row: usize| {
            // Cells from the text's upper left corner, upright.
            let place = |across: f32, down: f32| {
                let (x, y) = ((column as f32 + across - left) / cell, (row as f32 + down - top) / cell);
                ((x, y), (x - 1.0 + (y - middle) * style.slant, y - 1.0))
            };
            let (mut plate, mut ink) = (0, 0);
            for sample in 0..SAMPLES * SAMPLES {
                let part = |place: u32| (place as f32 + 0.5) / SAMPLES as f32;
                let ((x, y), (u, v)) = place(part(sample % SAMPLES), part(sample / SAMPLES));
                if (0.0..(columns + 2) as f32).contains(&x) && (0.0..(font::HEIGHT + 2) as f32).contains(&y) {
                    plate += 1;
                    ink += u32::from(pen.is_none() && inked(text, u, v, style.bold));
                }
            }
            let share = match &pen {
                None => ink as f32 / (plate as f32).max(1.0),
                Some(pen) => pen.cover(place(0.5, 0.5).1),
            };
            let rgb = std::array::from_fn(|channel| mix(sign.plate[channel], sign.ink[channel], share));
            (rgb, plate as f32 / (SAMPLES * SAMPLES) as f32)
        };
        let pixels = down.clone().flat_map(|row| across.clone().map(move |column| (column, row)));
        Self {
            left: across.start,
            top: down.start,
            width: across.len(),
            pixels: pixels.map(|(column, row)| pixel(column, row)).collect(),
        }
    }

    pub(super) fn draw(&self, picture: &mut RgbImage) {
        let stride = picture.width() as usize * 3;
        for (row, line) in self.pixels.chunks_exact(self.width).enumerate() {
            let start = (self.top + row) * stride + self.left * 3;
            let levels = picture.as_mut()[start..start + self.width * 3].chunks_exact_mut(3);
            for (pixel, &(rgb, cover)) in levels.zip(line) {
                blend(pixel, rgb, cover);
            }
        }
    }
}

fn inked(text: &str, x: f32, y: f32, bold: f32) -> bool {
    [(-bold, -bold), (bold, -bold), (-bold, bold), (bold, bold)]
        .into_iter()
        .any(|(right, down)| font::inked(text, (x + right).floor() as i32, (y + down).floor() as i32))
}

/// A text written by a pen, as large as there is room for it.
struct Pen {
    strokes: Strokes,
    /// Units of the strokes in a cell, and pixels in such a unit.
    scale: f32,
    pixels: f32,
    /// Where the text begins and how far down, in units.
    corner: [f32; 2],
    /// Half the width of a stroke, in units.
    half: f32,
}

impl Pen {
    fn new(text: &str, columns: usize, cell: f32, style: &Style) -> Self {
        let strokes = Strokes::new(text);
        // From nothing to 0.22 cells bolder: strokes of a sixteenth to nearly a quarter of their height.
        let half = 0.4 + style.bold * 4.5;
        let (wide, high) = (strokes.width() + 2.0 * half, Strokes::HEIGHT + 2.0 * half);
        let scale = (wide / columns as f32).max(high / font::HEIGHT as f32);
        let corner =
            [(columns as f32 * scale - strokes.width()) / 2.0, (font::HEIGHT as f32 * scale - Strokes::HEIGHT) / 2.0];
        Self { strokes, scale, pixels: cell / scale, corner, half }
    }

    /// How much of a pixel is ink, by the place of its middle in cells.
    fn cover(&self, (x, y): (f32, f32)) -> f32 {
        let [left, top] = self.corner;
        let away = self.strokes.distance(x * self.scale - left, y * self.scale - top);
        (0.5 + (self.half - away) * self.pixels).clamp(0.0, 1.0)
    }
}
