//! A grid of shares as a picture: green is all, red is none.

use image::{Rgb, RgbImage};
use longsight_world::render::print;

const CELL: [u32; 2] = [84, 56];
const MARGIN: [u32; 2] = [96, 40];
const INK: Rgb<u8> = Rgb([20, 20, 20]);
/// Pixels of the thinnest stroke of a letter.
const STROKE: u32 = 3;

/// Draws `shares[row][column]`, each between 0 and 1, under the names of the columns and beside those of the rows, which are
/// written in capitals, digits and colons.
#[must_use]
pub fn draw(columns: &[String], rows: &[String], shares: &[Vec<f64>]) -> RgbImage {
    let width = MARGIN[0] + CELL[0] * columns.len() as u32;
    let height = MARGIN[1] + CELL[1] * rows.len() as u32;
    let mut picture = RgbImage::from_pixel(width, height, Rgb([255, 255, 255]));
    for (number, name) in columns.iter().enumerate() {
        print(&mut picture, name, MARGIN[0] + number as u32 * CELL[0] + 8, 10, STROKE, INK);
    }
    for (number, (name, row)) in rows.iter().zip(shares).enumerate() {
        let top = MARGIN[1] + number as u32 * CELL[1];
        print(&mut picture, name, 8, top + 18, STROKE, INK);
        for (column, &share) in row.iter().enumerate() {
            let left = MARGIN[0] + column as u32 * CELL[0];
            for y in top..top + CELL[1] - 2 {
                for x in left..left + CELL[0] - 2 {
                    picture.put_pixel(x, y, colour(share));
                }
            }
            print(&mut picture, &format!("{:.0}", share * 100.0), left + 8, top + 18, STROKE, INK);
        }
    }
    picture
}

/// Red at 0, yellow at one half, green at 1.
fn colour(share: f64) -> Rgb<u8> {
    let level = |part: f64| (90.0 + 140.0 * part.clamp(0.0, 1.0)) as u8;
    Rgb([level(2.0 - 2.0 * share), level(2.0 * share), 90])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cell_is_green_and_an_empty_one_red() {
        let picture = draw(&["1 M".into(), "2 H".into()], &["0".into()], &[vec![1.0, 0.0]]);
        assert_eq!(picture.dimensions(), (96 + 2 * 84, 40 + 56));
        let at = |column: u32| picture.get_pixel(MARGIN[0] + column * CELL[0] + 2, MARGIN[1] + 2).0;
        assert!(at(0)[1] > at(0)[0] && at(1)[0] > at(1)[1], "{:?} {:?}", at(0), at(1));
        assert!(picture.pixels().any(|pixel| *pixel == INK));
    }
}
