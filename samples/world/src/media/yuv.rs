//! RGB -> 4:2:0, BT.709, limited range, in integers: the same on every platform.

use ffmpeg_next::frame;
use image::RgbImage;

/// Fraction bits of the coefficients.
const BITS: i32 = 15;

/// Fills a YUV420P frame of the same, even, size.
pub(super) fn fill(frame: &mut frame::Video, picture: &RgbImage) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let rgb = picture.as_raw();
    let stride = frame.stride(0);
    for (line, pixels) in frame.data_mut(0).chunks_mut(stride).zip(rgb.chunks_exact(width * 3)) {
        for (level, pixel) in line.iter_mut().zip(pixels.chunks_exact(3)) {
            *level = luma(pixel);
        }
    }
    // The mean of each block of four pixels, rows in pairs.
    let mut sums = vec![[0_i32; 3]; width / 2];
    for row in 0..height / 2 {
        sums.fill([0; 3]);
        for line in rgb[row * 2 * width * 3..(row * 2 + 2) * width * 3].chunks_exact(width * 3) {
            for (sum, block) in sums.iter_mut().zip(line.chunks_exact(6)) {
                for channel in 0..3 {
                    sum[channel] += i32::from(block[channel]) + i32::from(block[channel + 3]);
                }
            }
        }
        for (plane, weights) in [(1, [-3_298, -11_094, 14_392]), (2, [14_392, -13_072, -1_320])] {
            let stride = frame.stride(plane);
            let line = &mut frame.data_mut(plane)[row * stride..];
            for (level, sum) in line.iter_mut().zip(&sums) {
                *level = chroma(*sum, weights);
            }
        }
    }
}

fn luma(pixel: &[u8]) -> u8 {
    let sum = 5_983 * i32::from(pixel[0]) + 20_127 * i32::from(pixel[1]) + 2_032 * i32::from(pixel[2]);
    (((sum + (1 << (BITS - 1))) >> BITS) + 16) as u8
}

fn chroma(sum: [i32; 3], weights: [i32; 3]) -> u8 {
    let sum: i32 = sum.iter().zip(weights).map(|(level, weight)| level * weight).sum();
    (((sum + (1 << (BITS + 1))) >> (BITS + 2)) + 128) as u8
}
