//! One picture and its time.

use super::Timestamp;
use image::RgbImage;

/// A decoded frame: upright, square pixels, RGB with 8 bits a channel.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Ordinal in presentation order, where decoding knows it
    pub index: u64,
    /// Presentation time
    pub time: Timestamp,
    /// The picture
    pub image: RgbImage,
}
