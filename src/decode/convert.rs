//! Native frames -> upright RGB pictures with square pixels.
//!
//! FFmpeg's swscale goes from the stored planes to planar RGB of the final size in one step (bicubic, which widens its
//! window when it shrinks, so that nothing aliases; chroma interpolated, matrix and range of the stream). Planar,
//! because its vector code covers that path: 4 ms for a 1080p frame against 41 ms for interleaved RGB of the same
//! quality. Where nothing is scaled and the planes are 8-bit 4:2:0, as in most files, this crate's own kernel does the
//! same in a fourth of that. Frames whose stream names no matrix are read as BT.601, as every tool built on FFmpeg does.
//!
//! Interlaced frames stay woven, both fields in one picture; PQ and HLG are shown as they are, without tone mapping.

use super::info;
use super::orientation::Orientation;
use ffmpeg_next::{ffi, frame};
use image::RgbImage;
use longsight_kernels::yuv::{self, Matrix, Planes};
use serde::{Deserialize, Serialize};
use std::ffi::c_int;
use std::ptr::NonNull;

/// The size of the pictures that come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Size {
    /// As displayed: square pixels, upright
    #[default]
    Native,
    /// The largest size of the same shape that fits, never larger than native
    Fit {
        /// Columns at most
        width: u32,
        /// Rows at most
        height: u32,
    },
    /// This size, whatever the shape
    Exact {
        /// Columns
        width: u32,
        /// Rows
        height: u32,
    },
}

impl Size {
    /// The size of pictures whose displayed size is `width` x `height`.
    #[must_use]
    pub fn of(self, width: u32, height: u32) -> (u32, u32) {
        match self {
            Self::Native => (width, height),
            Self::Exact { width, height } => (width.max(1), height.max(1)),
            Self::Fit { width: most_wide, height: most_high } => {
                let (w, h) = (f64::from(width.max(1)), f64::from(height.max(1)));
                let scale = (f64::from(most_wide) / w).min(f64::from(most_high) / h).min(1.0);
                let fit = |side: f64| ((side * scale).round() as u32).max(1);
                (fit(w), fit(h))
            }
        }
    }
}

/// Why a frame could not be converted: FFmpeg has no way from its pixel format, or memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unconvertible;

/// Converts frames of one video; keeps swscale's tables between frames of the same kind.
pub(super) struct Converter {
    size: Size,
    orientation: Orientation,
    container_aspect: (u32, u32),
    scaler: Option<(Kind, Scaler)>,
}

/// What swscale's tables depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    format: c_int,
    from: (c_int, c_int),
    to: (c_int, c_int),
    matrix: c_int,
    full_range: bool,
}

impl Converter {
    pub(super) fn new(size: Size, info: &super::VideoInfo) -> Self {
        Self { size, orientation: info.orientation, container_aspect: info.pixel_aspect, scaler: None }
    }

    /// The size of the picture that a frame becomes.
    pub(super) fn displayed_size(&self, frame: &frame::Video) -> (u32, u32) {
        let (width, height) = info::displayed(frame.width(), frame.height(), self.container_aspect, self.orientation);
        self.size.of(width, height)
    }

    pub(super) fn convert(&mut self, frame: &frame::Video) -> Result<RgbImage, Unconvertible> {
        let (width, height) = self.displayed_size(frame);
        let stored = self.orientation.apply_size(width, height);
        let kind = Kind::of(frame, stored)?;
        if let Some(matrix) = kind.plain() {
            return Ok(self.orientation.apply(plain(frame, matrix)));
        }
        let scaler = match &mut self.scaler {
            Some((known, scaler)) if *known == kind => scaler,
            slot => &mut slot.insert((kind, Scaler::new(kind)?)).1,
        };
        Ok(self.orientation.apply(scaler.run(frame)?))
    }
}

impl Kind {
    fn of(frame: &frame::Video, stored: (u32, u32)) -> Result<Self, Unconvertible> {
        let int = |side: u32| c_int::try_from(side).map_err(|_| Unconvertible);
        // SAFETY: reads fields of a valid frame.
        let (format, space, range) = unsafe {
            let frame = &*frame.as_ptr();
            (frame.format, frame.colorspace, frame.color_range)
        };
        use ffi::AVColorSpace::{
            AVCOL_SPC_BT709, AVCOL_SPC_BT2020_CL, AVCOL_SPC_BT2020_NCL, AVCOL_SPC_FCC, AVCOL_SPC_SMPTE240M,
        };
        let matrix = match space {
            AVCOL_SPC_BT709 => ffi::SWS_CS_ITU709,
            AVCOL_SPC_FCC => ffi::SWS_CS_FCC,
            AVCOL_SPC_SMPTE240M => ffi::SWS_CS_SMPTE240M,
            AVCOL_SPC_BT2020_NCL | AVCOL_SPC_BT2020_CL => ffi::SWS_CS_BT2020,
            _ => ffi::SWS_CS_DEFAULT,
        };
        Ok(Self {
            format,
            from: (int(frame.width())?, int(frame.height())?),
            to: (int(stored.0)?, int(stored.1)?),
            matrix,
            full_range: range == ffi::AVColorRange::AVCOL_RANGE_JPEG,
        })
    }
}

impl Kind {
    /// The matrix, where the frame is 8-bit 4:2:0 with even sides and keeps its size.
    fn plain(self) -> Option<Matrix> {
        const PLAIN: [ffi::AVPixelFormat; 2] =
            [ffi::AVPixelFormat::AV_PIX_FMT_YUV420P, ffi::AVPixelFormat::AV_PIX_FMT_YUVJ420P];
        // With an odd side, swscale stretches chroma to fit; what it does then is left to it.
        let even = self.from.0 % 2 == 0 && self.from.1 % 2 == 0;
        if self.from != self.to || !even || !PLAIN.iter().any(|&format| format as c_int == self.format) {
            return None;
        }
        let (red, blue) = match self.matrix {
            ffi::SWS_CS_ITU709 => (0.2126, 0.0722),
            ffi::SWS_CS_FCC => (0.30, 0.11),
            ffi::SWS_CS_SMPTE240M => (0.212, 0.087),
            ffi::SWS_CS_BT2020 => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        };
        let full_range = self.full_range || PLAIN[1] as c_int == self.format;
        Some(Matrix { red, blue, full_range })
    }
}

fn plain(frame: &frame::Video, matrix: Matrix) -> RgbImage {
    let mut image = RgbImage::new(frame.width(), frame.height());
    let [y, u, v] = [0, 1, 2].map(|plane| super::planes::rows(frame, plane).collect::<Vec<_>>());
    yuv::to_rgb(Planes { y: &y, u: &u, v: &v }, frame.width() as usize, matrix, &mut image);
    image
}

/// A swscale context and the planar picture that it fills.
struct Scaler {
    context: NonNull<ffi::SwsContext>,
    planar: frame::Video,
}

// SAFETY: a SwsContext has no thread affinity and is owned.
unsafe impl Send for Scaler {}

impl Scaler {
    fn new(kind: Kind) -> Result<Self, Unconvertible> {
        let flags = ffi::SWS_BICUBIC | ffi::SWS_ACCURATE_RND | ffi::SWS_FULL_CHR_H_INT | ffi::SWS_FULL_CHR_H_INP;
        if super::native::pixel_format(kind.format).is_none() {
            return Err(Unconvertible);
        }
        // SAFETY: `pixel_format` knows the number, so it is one of the enum's.
        let format = unsafe { std::mem::transmute::<c_int, ffi::AVPixelFormat>(kind.format) };
        let (none, planar) = (std::ptr::null_mut(), ffi::AVPixelFormat::AV_PIX_FMT_GBRP);
        // SAFETY: plain numbers in, null or an owned context out.
        let context = NonNull::new(unsafe {
            let ((fw, fh), (tw, th)) = (kind.from, kind.to);
            ffi::sws_getContext(fw, fh, format, tw, th, planar, flags, none, none, std::ptr::null())
        })
        .ok_or(Unconvertible)?;
        let mut scaler = Self { context, planar: frame::Video::empty() };
        // SAFETY: the context is valid, the coefficient tables are static. The call refuses formats that have no matrix,
        // such as RGB, and that is right.
        unsafe {
            let from = ffi::sws_getCoefficients(kind.matrix);
            let to = ffi::sws_getCoefficients(ffi::SWS_CS_DEFAULT);
            let full = c_int::from(kind.full_range);
            ffi::sws_setColorspaceDetails(context.as_ptr(), from, full, to, 1, 0, 1 << 16, 1 << 16);
        }
        // SAFETY: the frame is empty and owned; FFmpeg allocates its planes with the padding that swscale writes into.
        let code = unsafe {
            let frame = scaler.planar.as_mut_ptr();
            (*frame).format = planar as c_int;
            ((*frame).width, (*frame).height) = kind.to;
            ffi::av_frame_get_buffer(frame, 0)
        };
        if code < 0 { Err(Unconvertible) } else { Ok(scaler) }
    }

    fn run(&mut self, frame: &frame::Video) -> Result<RgbImage, Unconvertible> {
        // SAFETY: both frames have the sizes and formats that the context was made for (`Kind`), with FFmpeg's padding.
        let rows = unsafe {
            let (from, to) = (&*frame.as_ptr(), &*self.planar.as_ptr());
            let (data, strides) = (from.data.as_ptr().cast::<*const u8>(), from.linesize.as_ptr());
            ffi::sws_scale(self.context.as_ptr(), data, strides, 0, from.height, to.data.as_ptr(), to.linesize.as_ptr())
        };
        if rows <= 0 { Err(Unconvertible) } else { Ok(interleave(&self.planar)) }
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { ffi::sws_freeContext(self.context.as_ptr()) };
    }
}

/// Planes G, B, R -> rows of R, G, B.
fn interleave(planar: &frame::Video) -> RgbImage {
    let mut image = RgbImage::new(planar.width(), planar.height());
    let row_bytes = planar.width() as usize * 3;
    let [green, blue, red] = [0, 1, 2].map(|plane| super::planes::rows(planar, plane));
    for (((out, green), blue), red) in image.chunks_exact_mut(row_bytes.max(1)).zip(green).zip(blue).zip(red) {
        for (((pixel, r), g), b) in out.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
            pixel.copy_from_slice(&[*r, *g, *b]);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_the_shape_unless_told_otherwise() {
        assert_eq!(Size::Native.of(1920, 1080), (1920, 1080));
        assert_eq!(Size::Fit { width: 448, height: 448 }.of(1920, 1080), (448, 252));
        assert_eq!(Size::Fit { width: 448, height: 448 }.of(1080, 1920), (252, 448));
        assert_eq!(Size::Fit { width: 4000, height: 4000 }.of(64, 48), (64, 48), "never enlarges");
        assert_eq!(Size::Fit { width: 10, height: 10 }.of(10_000, 1), (10, 1));
        assert_eq!(Size::Exact { width: 32, height: 32 }.of(1920, 1080), (32, 32));
    }
}
