//! Small clips with known truth: every picture carries its number, so that a time is right or wrong exactly.
//!
//! The number stands in the upper half as eight stripes, black for 0 and white for 1, the highest bit on the left; the
//! lower half is grey, so that a picture that is turned the wrong way reads as nonsense.

use ffmpeg_next::{self as ffmpeg, Dictionary, Packet, Rational, codec, encoder, format, frame};
use image::RgbImage;
use std::path::Path;

/// Width of the pictures: eight stripes of 16.
pub(crate) const WIDTH: u32 = 128;
/// Height of the pictures.
pub(crate) const HEIGHT: u32 = 64;

/// A clip to be encoded.
#[derive(Debug, Clone)]
pub(crate) struct Clip {
    /// Times of the pictures, whose numbers are 0, 1, 2, ... modulo 256
    pub(crate) pts: Vec<i64>,
    /// The clock of the times
    pub(crate) base: (i32, i32),
    /// Pictures from key frame to key frame
    pub(crate) gop: u32,
    /// Pictures in a row that others are not built from
    pub(crate) b_frames: usize,
    /// FFmpeg's name of the encoder
    pub(crate) encoder: &'static str,
    /// Options of the encoder
    pub(crate) options: &'static [(&'static str, &'static str)],
    /// Options of the container
    pub(crate) container: &'static [(&'static str, &'static str)],
}

impl Clip {
    /// `count` pictures at 25 a second: H.264 with B-frames, a key frame a second.
    pub(crate) fn steady(count: usize) -> Self {
        Self {
            pts: (0..count as i64).collect(),
            base: (1, 25),
            gop: 25,
            b_frames: 2,
            encoder: "libx264",
            options: &[("preset", "veryfast"), ("x264-params", "scenecut=0:bframes=2:b-adapt=0")],
            container: &[],
        }
    }

    /// The same with times of its own.
    pub(crate) fn at(mut self, base: (i32, i32), pts: Vec<i64>) -> Self {
        (self.base, self.pts) = (base, pts);
        self
    }

    /// Encodes into the container that the file name's ending asks for; `false`, with a word, if FFmpeg lacks the encoder.
    pub(crate) fn write(&self, path: &Path) -> bool {
        ffmpeg::init().unwrap();
        let Some(found) = encoder::find_by_name(self.encoder) else {
            println!("skipped: FFmpeg has no {}", self.encoder);
            return false;
        };
        self.encode(found, path).unwrap();
        true
    }

    fn encode(&self, found: ffmpeg::Codec, path: &Path) -> Result<(), ffmpeg::Error> {
        let mut output = format::output(path)?;
        let base = Rational(self.base.0, self.base.1);
        let mut video = codec::Context::new_with_codec(found).encoder().video()?;
        video.set_width(WIDTH);
        video.set_height(HEIGHT);
        video.set_format(format::Pixel::YUV420P);
        video.set_time_base(base);
        video.set_gop(self.gop);
        video.set_max_b_frames(self.b_frames);
        if output.format().flags().contains(format::Flags::GLOBAL_HEADER) {
            video.set_flags(codec::Flags::GLOBAL_HEADER);
        }
        let mut video = video.open_with(self.options.iter().copied().collect::<Dictionary<'_>>())?;
        {
            let mut stream = output.add_stream(found)?;
            stream.set_time_base(base);
            stream.set_parameters(&video);
        }
        output.write_header_with(self.container.iter().copied().collect::<Dictionary<'_>>())?;
        let stream_base = output.stream(0).unwrap().time_base();
        let mut drain = |video: &mut encoder::video::Video| -> Result<(), ffmpeg::Error> {
            let mut packet = Packet::empty();
            while video.receive_packet(&mut packet).is_ok() {
                packet.set_stream(0);
                // Without a length, MP4's edit list would end before the last picture.
                packet.set_duration(1);
                packet.rescale_ts(base, stream_base);
                packet.write_interleaved(&mut output)?;
            }
            Ok(())
        };
        for (number, &pts) in self.pts.iter().enumerate() {
            let mut picture = draw((number % 256) as u8);
            picture.set_pts(Some(pts));
            video.send_frame(&picture)?;
            drain(&mut video)?;
        }
        video.send_eof()?;
        drain(&mut video)?;
        output.write_trailer()
    }
}

fn draw(number: u8) -> frame::Video {
    let mut picture = frame::Video::new(format::Pixel::YUV420P, WIDTH, HEIGHT);
    let stride = picture.stride(0);
    for (y, row) in picture.data_mut(0).chunks_mut(stride).enumerate() {
        for (x, luma) in row.iter_mut().enumerate() {
            let bit = number >> (7 - (x * 8 / WIDTH as usize).min(7)) & 1;
            *luma = if y >= HEIGHT as usize / 2 { 128 } else { 16 + bit * 219 };
        }
    }
    for plane in [1, 2] {
        picture.data_mut(plane).fill(128);
    }
    picture
}

/// The number that a picture of any size carries; `None` if it is no such picture.
pub(crate) fn number(image: &RgbImage) -> Option<u8> {
    let (width, height) = image.dimensions();
    let grey = |x: u32, y: u32| {
        let [r, g, b] = image.get_pixel(x, y).0;
        (u32::from(r) + u32::from(g) + u32::from(b)) / 3
    };
    let mut number = 0;
    for stripe in 0..8 {
        let x = (2 * stripe + 1) * width / 16;
        let bit = match grey(x, height / 4) {
            0..=60 => 0,
            195.. => 1,
            _ => return None,
        };
        if !(90..=165).contains(&grey(x, height * 3 / 4)) {
            return None;
        }
        number = number << 1 | bit;
    }
    Some(number)
}
