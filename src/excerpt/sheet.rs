//! Pictures beside each other, each with its number and time.

use crate::render::clock;
use image::{Rgb, RgbImage, imageops};
use longsight_models::Span;
use longsight_world::render::print;

/// Columns at most.
const COLUMNS: usize = 4;
/// Pixels of a cell's picture, at most.
const CELL: (u32, u32) = (320, 240);
/// Pixels around a picture.
const MARGIN: u32 = 8;
/// Pixels of the line below a picture.
const LINE: u32 = 24;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([20, 20, 20]);
/// Pixels of the thinnest stroke of a letter.
const STROKE: u32 = 2;

/// Draws the pictures of spans in their order, with number and start to the second below each.
#[must_use]
pub fn contact_sheet(pictures: &[(Span, RgbImage)]) -> RgbImage {
    let small: Vec<RgbImage> = pictures.iter().map(|(_, picture)| fit(picture)).collect();
    let width = small.iter().map(RgbImage::width).max().unwrap_or(CELL.0) + 2 * MARGIN;
    let height = small.iter().map(RgbImage::height).max().unwrap_or(CELL.1) + 2 * MARGIN + LINE;
    let columns = pictures.len().clamp(1, COLUMNS);
    let rows = pictures.len().div_ceil(columns).max(1);
    let mut sheet = RgbImage::from_pixel(width * columns as u32, height * rows as u32, PAPER);
    for (number, ((span, _), picture)) in pictures.iter().zip(&small).enumerate() {
        let (x, y) = ((number % columns) as u32 * width + MARGIN, (number / columns) as u32 * height + MARGIN);
        imageops::replace(&mut sheet, picture, i64::from(x), i64::from(y));
        let time = clock(span.start.max(0.0));
        let label = format!("{}  {}", number + 1, time.split('.').next().unwrap_or_default());
        print(&mut sheet, &label, x, y + height - 2 * MARGIN - LINE + 6, STROKE, INK);
    }
    sheet
}

fn fit(picture: &RgbImage) -> RgbImage {
    let (width, height) =
        crate::decode::Size::Fit { width: CELL.0, height: CELL.1 }.of(picture.width(), picture.height());
    imageops::resize(picture, width, height, imageops::FilterType::Triangle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_rows_with_their_times_below() {
        let colours = [[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0], [0, 200, 200]];
        let pictures: Vec<(Span, RgbImage)> = (0..5u32)
            .map(|n| {
                (Span::new(f64::from(n), f64::from(n) + 1.0), RgbImage::from_pixel(640, 360, Rgb(colours[n as usize])))
            })
            .collect();
        let sheet = contact_sheet(&pictures);
        let (width, height) = (320 + 2 * MARGIN, 180 + 2 * MARGIN + LINE);
        assert_eq!(sheet.dimensions(), (4 * width, 2 * height));
        for (n, colour) in colours.iter().enumerate() {
            let (x, y) = ((n % 4) as u32 * width, (n / 4) as u32 * height);
            assert_eq!(sheet.get_pixel(x + width / 2, y + 90).0, *colour);
            let below = (0..width).flat_map(|dx| (MARGIN + 180..height).map(move |dy| (x + dx, y + dy)));
            assert!(below.into_iter().any(|(x, y)| *sheet.get_pixel(x, y) == INK), "no time below picture {n}");
        }
        assert_eq!(contact_sheet(&[]).width(), 320 + 2 * MARGIN);
    }
}
