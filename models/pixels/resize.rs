//! Sizes that the models can take, and resampling to them as torchvision does it.

use super::ProcessorConfig;
use crate::{ModelError, PixelBudget, Size};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

/// Sides may differ by no more than this.
const LARGEST_RATIO: f64 = 200.0;

/// Pixels of a resized picture at most, whatever a configuration asks for: 800 MB as bytes.
const LARGEST_PICTURE: usize = 1 << 28;

/// The multiple of `factor` nearest to `side`, halves to the even multiple (as Python rounds).
pub(crate) fn round_to(side: f64, factor: usize) -> usize {
    (side / factor as f64).round_ties_even() as usize * factor
}

/// Checks that neither side is 0 nor so much longer than the other that the models refuse.
pub(crate) fn check_ratio(size: Size) -> Result<(), ModelError> {
    let (long, short) = (size.width.max(size.height), size.width.min(size.height));
    if short == 0 || f64::from(long) / f64::from(short) > LARGEST_RATIO {
        return Err(ModelError::AspectRatio { width: size.width, height: size.height });
    }
    Ok(())
}

/// Both sides multiples of `factor`, the area within `limits`, the ratio nearly kept: one picture's budget.
pub(crate) fn image_size(source: Size, factor: usize, limits: PixelBudget) -> Result<Size, ModelError> {
    check_ratio(source)?;
    let (height, width) = (f64::from(source.height), f64::from(source.width));
    let rounded = (round_to(height, factor), round_to(width, factor));
    fit(rounded, (height, width), 1.0, 1, factor, limits)
}

/// Shrinks or grows `(height, width)` so that `count` pictures of it fit into `limits`, if `rounded` does not.
/// `frames` is the count that the shrinking goes by, which can differ from the one that decides whether to shrink.
///
/// # Errors
/// When nothing sensible is left.
pub(crate) fn fit(
    rounded: (usize, usize),
    (height, width): (f64, f64),
    frames: f64,
    count: usize,
    factor: usize,
    limits: PixelBudget,
) -> Result<Size, ModelError> {
    let step = factor as f64;
    let pixels = count.saturating_mul(rounded.0).saturating_mul(rounded.1);
    let (height, width) = if pixels > limits.max {
        let beta = (frames * height * width / limits.max as f64).sqrt();
        let side = |side: f64| factor.max((side / beta / step).floor() as usize * factor);
        (side(height), side(width))
    } else if pixels < limits.min {
        let beta = (limits.min as f64 / (frames * height * width)).sqrt();
        let side = |side: f64| (side * beta / step).ceil() as usize * factor;
        (side(height), side(width))
    } else {
        rounded
    };
    match height.checked_mul(width) {
        Some(1..=LARGEST_PICTURE) => Ok(Size { width: width as u32, height: height as u32 }),
        _ => Err(ModelError::Shape {
            what: "resized picture",
            expected: vec![LARGEST_PICTURE],
            found: vec![height, width],
        }),
    }
}

/// The picture at `size` as bytes `[height, width, 3]`: antialiased, on 8 bits, as torchvision does it.
pub(super) fn resample(image: &RgbImage, size: Size, config: &ProcessorConfig) -> Result<Vec<u8>, ModelError> {
    if (image.width(), image.height()) == (size.width, size.height) {
        return Ok(image.as_raw().clone());
    }
    let filter = match config.resample {
        2 => FilterType::Bilinear,
        // Pillow's bicubic has a = -1/2, which is Catmull-Rom's.
        3 => FilterType::CatmullRom,
        other => {
            return Err(ModelError::Shape {
                what: "resample filter",
                expected: vec![2, 3],
                found: vec![other as usize],
            });
        }
    };
    let wide = Size { width: size.width, height: image.height() };
    // First across, then down, each rounded to 8 bits: torchvision's order. The resizer's own order for a change of
    // both sides is the other, which differs in one of five values.
    let across = convolve(image.as_raw(), Size { width: image.width(), height: image.height() }, wide, filter)?;
    convolve(&across, wide, size, filter)
}

fn convolve(bytes: &[u8], from: Size, to: Size, filter: FilterType) -> Result<Vec<u8>, ModelError> {
    if from == to {
        return Ok(bytes.to_vec());
    }
    let wrong = || ModelError::Shape {
        what: "picture",
        expected: vec![from.height as usize, from.width as usize, 3],
        found: vec![bytes.len()],
    };
    let mut pixels = vec![0; to.width as usize * to.height as usize * 3];
    // The typed call: the untyped one would build the whole crate's kernels, for every pixel type, into this one.
    let source = TypedImageRef::<U8x3>::from_buffer(from.width, from.height, bytes).map_err(|_| wrong())?;
    let mut target = TypedImage::<U8x3>::from_buffer(to.width, to.height, &mut pixels).map_err(|_| wrong())?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(|_| wrong())?;
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_the_even_multiple() {
        assert_eq!((round_to(48.0, 32), round_to(80.0, 32), round_to(16.0, 32)), (64, 64, 0));
    }

    #[test]
    fn one_picture_is_kept_within_its_limits() {
        let limits = PixelBudget { min: 56 * 56, max: 28 * 28 * 1280 };
        let size = |width, height| image_size(Size { width, height }, 28, limits).map(|s| (s.width, s.height)).ok();
        assert_eq!(size(640, 480), Some((644, 476)));
        assert_eq!(size(1920, 1080), Some((1316, 728)));
        assert_eq!(size(20, 20), Some((56, 56)));
        assert_eq!(size(201, 1), None);
        assert_eq!(size(0, 10), None);
        let absurd = PixelBudget { min: usize::MAX, max: usize::MAX };
        assert!(image_size(Size { width: 8, height: 8 }, 28, absurd).is_err());
    }
}
