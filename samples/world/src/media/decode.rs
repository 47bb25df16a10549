//! Packets -> decoded frames -> RGB pictures.

use ffmpeg_next::software::scaling;
use ffmpeg_next::{Packet, codec, color, decoder, ffi, format, frame};
use image::RgbImage;

use super::{MediaError, failed, ready};

/// An H.264 decoder with one thread. Frames come in the order they are shown.
pub struct Decoder {
    decoder: decoder::Video,
    scaler: Option<scaling::Context>,
}

impl Decoder {
    /// Opens the decoder.
    ///
    /// # Errors
    /// An FFmpeg without an H.264 decoder.
    pub fn open() -> Result<Self, MediaError> {
        ready()?;
        let found = decoder::find(codec::Id::H264).ok_or(MediaError::Missing("H.264 decoder"))?;
        let mut context = codec::context::Context::new_with_codec(found);
        context.set_threading(codec::threading::Config::count(1));
        let decoder = context.decoder().video().map_err(failed("open the H.264 decoder"))?;
        Ok(Self { decoder, scaler: None })
    }

    /// Decodes one packet and hands on the frames that are ready.
    ///
    /// # Errors
    /// What `shown` or FFmpeg returns.
    pub fn push(
        &mut self,
        packet: &Packet,
        shown: impl FnMut(&mut Self, frame::Video) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        self.decoder.send_packet(packet).map_err(failed("decode"))?;
        self.drain(shown)
    }

    /// Hands on the frames that are left.
    ///
    /// # Errors
    /// What `shown` or FFmpeg returns.
    pub fn finish(
        &mut self,
        shown: impl FnMut(&mut Self, frame::Video) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        self.decoder.send_eof().map_err(failed("decode"))?;
        self.drain(shown)
    }

    fn drain(
        &mut self,
        mut shown: impl FnMut(&mut Self, frame::Video) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        loop {
            let mut frame = frame::Video::empty();
            if self.decoder.receive_frame(&mut frame).is_err() {
                return Ok(());
            }
            shown(self, frame)?;
        }
    }

    /// The frame as RGB, with FFmpeg's most accurate arithmetic and the coefficients of BT.709.
    ///
    /// # Errors
    /// What FFmpeg returns.
    pub fn picture(&mut self, frame: &frame::Video) -> Result<RgbImage, MediaError> {
        let scaler = match &mut self.scaler {
            Some(scaler) => scaler,
            none => none.insert(scaler_for(frame)?),
        };
        let mut rgb = frame::Video::empty();
        scaler.run(frame, &mut rgb).map_err(failed("convert to RGB"))?;
        let width = rgb.width() as usize * 3;
        let rows = rgb.data(0).chunks(rgb.stride(0)).take(rgb.height() as usize);
        let levels: Vec<u8> = rows.flat_map(|row| &row[..width]).copied().collect();
        RgbImage::from_raw(rgb.width(), rgb.height(), levels)
            .ok_or_else(|| failed("convert to RGB")(ffmpeg_next::Error::InvalidData))
    }
}

fn scaler_for(frame: &frame::Video) -> Result<scaling::Context, MediaError> {
    let (width, height) = (frame.width(), frame.height());
    let flags = scaling::Flags::BICUBIC
        | scaling::Flags::ACCURATE_RND
        | scaling::Flags::FULL_CHR_H_INT
        | scaling::Flags::FULL_CHR_H_INP;
    let mut scaler = scaling::Context::get(frame.format(), width, height, format::Pixel::RGB24, width, height, flags)
        .map_err(failed("convert to RGB"))?;
    let full_range = i32::from(frame.color_range() == color::Range::JPEG);
    // SAFETY: the context was just made and is ours alone; `sws_getCoefficients` returns a table that lives as long as
    // the program.
    let status = unsafe {
        let table = ffi::sws_getCoefficients(ffi::SWS_CS_ITU709);
        ffi::sws_setColorspaceDetails(scaler.as_mut_ptr(), table, full_range, table, 1, 0, 1 << 16, 1 << 16)
    };
    if status < 0 {
        return Err(failed("convert to RGB")(ffmpeg_next::Error::from(status)));
    }
    Ok(scaler)
}
