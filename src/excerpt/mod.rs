//! What do the spans look like?
//!
//! Comes in: a file, and times in it. Goes out: the pictures shown then, as JPEG, or all on one contact sheet.
//! Never: a place to write to. Clips of spans are made by [`crate::decode::cut()`].

mod sheet;

pub use sheet::contact_sheet;

use crate::decode::{DecodeError, Feed, Request, Sampling, Size};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use longsight_models::{Frame, Span};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The longer side of a picture.
pub const SIDE: u32 = 480;
/// JPEG quality.
const QUALITY: u8 = 85;
/// Two times closer than this are the same.
const EPSILON_S: f64 = 1e-6;

/// The time whose picture stands for a span: its middle.
#[must_use]
pub fn middle(span: Span) -> f64 {
    f64::midpoint(span.start, span.end)
}

/// The frame that is shown at each of `times` (seconds on the source clock), in their order, at most [`SIDE`] pixels on the
/// longer side. `None` where the file could not be decoded.
///
/// # Errors
/// When the file cannot be opened, or gives no frame at all.
pub fn pictures(video: &Feed, times: &[f64], cancel: &Arc<AtomicBool>) -> Result<Vec<Option<Frame>>, DecodeError> {
    if times.is_empty() {
        return Ok(Vec::new());
    }
    let request = Request {
        size: Size::Fit { width: SIDE, height: SIDE },
        cancel: Some(Arc::clone(cancel)),
        ..Request::new(Sampling::Times(times.to_vec()))
    };
    let mut stream = video.stream(&request)?;
    let frames: Vec<Frame> = (&mut stream).collect();
    stream.finish()?;
    let shown = |&time: &f64| {
        let behind = frames.partition_point(|frame| frame.time.seconds() <= time + EPSILON_S);
        frames.get(behind.saturating_sub(1)).cloned()
    };
    Ok(times.iter().map(shown).collect())
}

/// A picture as PNG.
///
/// # Errors
/// When the encoder refuses it.
pub fn png(picture: &RgbImage) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let (width, height) = picture.dimensions();
    PngEncoder::new(&mut bytes).write_image(picture, width, height, ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

/// A picture as JPEG.
///
/// # Errors
/// When the encoder refuses it, as it does sides above 65,535 pixels.
pub fn jpeg(picture: &RgbImage) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let (width, height) = picture.dimensions();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(picture, width, height, ExtendedColorType::Rgb8)?;
    Ok(bytes)
}
