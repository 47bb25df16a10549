//! Pictures -> packets -> MP4 file.

use std::path::Path;

use ffmpeg_next::{Dictionary, Packet, Rational, codec, color, encoder, format, frame};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::{MediaError, failed, ready, yuv};

/// How to encode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncodeOptions {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Pictures a second, as numerator and denominator.
    pub rate: (u32, u32),
    /// Constant rate factor of x264: 0 (lossless) to 51.
    pub crf: u32,
    /// Preset of x264.
    pub preset: String,
    /// Longest distance of key pictures.
    pub gop: u32,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { width: 320, height: 320, rate: (12, 1), crf: 23, preset: "medium".to_owned(), gop: 120 }
    }
}

impl EncodeOptions {
    /// Time of the picture with this number, in seconds.
    pub fn time(&self, picture: u32) -> f64 {
        f64::from(picture) * f64::from(self.rate.1) / f64::from(self.rate.0)
    }

    /// How many pictures last `duration` seconds.
    pub fn pictures(&self, duration: f64) -> u32 {
        (duration * f64::from(self.rate.0) / f64::from(self.rate.1)).round() as u32
    }

    fn time_base(&self) -> Rational {
        Rational(self.rate.1 as i32, self.rate.0 as i32)
    }
}

/// An open x264 with one thread. Packets count time in pictures.
pub struct Encoder {
    encoder: encoder::Video,
    frame: frame::Video,
    next: i64,
}

impl Encoder {
    /// Opens x264. `headers_apart` puts the parameter sets beside the packets, as MP4 wants them.
    ///
    /// # Errors
    /// Sizes x264 cannot encode, an FFmpeg without libx264, or options x264 refuses.
    pub fn open(options: &EncodeOptions, headers_apart: bool) -> Result<Self, MediaError> {
        let &EncodeOptions { width, height, .. } = options;
        if width % 2 != 0 || height % 2 != 0 || width < 16 || height < 16 {
            return Err(MediaError::Size { width, height });
        }
        ready()?;
        let found = encoder::find_by_name("libx264").ok_or(MediaError::Missing("libx264"))?;
        let context = codec::context::Context::new_with_codec(found);
        let mut encoder = context.encoder().video().map_err(failed("open libx264"))?;
        encoder.set_width(width);
        encoder.set_height(height);
        encoder.set_format(format::Pixel::YUV420P);
        encoder.set_time_base(options.time_base());
        encoder.set_frame_rate(Some(Rational(options.rate.0 as i32, options.rate.1 as i32)));
        encoder.set_aspect_ratio(Rational(1, 1));
        encoder.set_gop(options.gop);
        encoder.set_colorspace(color::Space::BT709);
        encoder.set_color_range(color::Range::MPEG);
        encoder.set_color_primaries(color::Primaries::BT709);
        encoder.set_color_transfer_characteristic(color::TransferCharacteristic::BT709);
        if headers_apart {
            encoder.set_flags(codec::Flags::GLOBAL_HEADER);
        }
        let mut wishes = Dictionary::new();
        wishes.set("preset", &options.preset);
        wishes.set("crf", &options.crf.to_string());
        wishes.set("threads", "1");
        let encoder = encoder.open_with(wishes).map_err(failed("open libx264"))?;
        let frame = frame::Video::new(format::Pixel::YUV420P, width, height);
        Ok(Self { encoder, frame, next: 0 })
    }

    /// What a container's stream must be told.
    pub fn parameters(&self) -> codec::Parameters {
        codec::Parameters::from(&*self.encoder)
    }

    /// Encodes the next picture and hands on the packets that are ready.
    ///
    /// # Errors
    /// A picture of another size, or what `packet` or FFmpeg returns.
    pub fn push(
        &mut self,
        picture: &RgbImage,
        packet: impl FnMut(&mut Packet) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        let expected = (self.frame.width(), self.frame.height());
        if picture.dimensions() != expected {
            return Err(MediaError::Picture { expected, found: picture.dimensions() });
        }
        // The encoder may still hold the buffer of the last picture.
        let mut fresh = frame::Video::new(format::Pixel::YUV420P, expected.0, expected.1);
        yuv::fill(&mut fresh, picture);
        fresh.set_pts(Some(self.next));
        self.next += 1;
        self.frame = fresh;
        self.encoder.send_frame(&self.frame).map_err(failed("encode"))?;
        self.drain(packet)
    }

    /// Hands on the packets that are left.
    ///
    /// # Errors
    /// What `packet` or FFmpeg returns.
    pub fn finish(mut self, packet: impl FnMut(&mut Packet) -> Result<(), MediaError>) -> Result<(), MediaError> {
        self.encoder.send_eof().map_err(failed("encode"))?;
        self.drain(packet)
    }

    fn drain(&mut self, mut packet: impl FnMut(&mut Packet) -> Result<(), MediaError>) -> Result<(), MediaError> {
        let mut ready = Packet::empty();
        while self.encoder.receive_packet(&mut ready).is_ok() {
            ready.set_duration(1);
            packet(&mut ready)?;
        }
        Ok(())
    }
}

/// Writes pictures as an MP4 file with one H.264 stream.
///
/// # Errors
/// Whatever keeps the encoder from opening or the file from being written.
pub fn write_mp4(
    path: &Path,
    options: &EncodeOptions,
    pictures: impl IntoIterator<Item = RgbImage>,
) -> Result<(), MediaError> {
    let file = |source| MediaError::File { path: path.to_owned(), source };
    let mut encoder = Encoder::open(options, true)?;
    let mut output = format::output_as(path, "mp4").map_err(file)?;
    let mut stream = output.add_stream(codec::Id::H264).map_err(file)?;
    stream.set_parameters(&encoder.encoder);
    stream.set_avg_frame_rate(Rational(options.rate.0 as i32, options.rate.1 as i32));
    let index = stream.index();
    output.write_header().map_err(file)?;
    let base = output.stream(index).ok_or(MediaError::Missing("stream"))?.time_base();
    let mut write = |packet: &mut Packet| {
        packet.set_stream(index);
        packet.rescale_ts(options.time_base(), base);
        packet.write_interleaved(&mut output).map_err(file)
    };
    for picture in pictures {
        encoder.push(&picture, &mut write)?;
    }
    encoder.finish(&mut write)?;
    output.write_trailer().map_err(file)
}
