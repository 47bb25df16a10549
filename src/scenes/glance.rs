//! A decoded frame as a glance: which planes it has, what they mean.

use crate::decode::rows;
use ffmpeg_next::color::{Range, Space};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::software::scaling;
use longsight_kernels::glance::{Colour, Glance, Glancer, Level, Matrix, Picture, Plane};

/// Makes glances of decoded frames.
pub(super) struct Looker {
    glancer: Glancer,
    /// For formats that are not read directly: to packed BGR, for the format and size given with it
    converter: Option<(Pixel, u32, u32, scaling::Context)>,
}

/// How the samples of a pixel format lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    /// Of each channel: the plane, the first byte in its rows, bytes from sample to sample
    channels: [(usize, usize, usize); 3],
    bits: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Luma and chroma with this subsampling; whether the format itself says "full range"
    Yuv { chroma: [u32; 2], full_range: bool },
    /// Blue, green and red, or grey three times
    Bgr,
}

impl Looker {
    /// Makes every row of a glance, or only every so many.
    pub(super) fn new(every: usize) -> Self {
        Self { glancer: Glancer::sparse(Level::detect(), every), converter: None }
    }

    /// Writes the glance of a frame into `out`; `false` if the frame's format cannot even be converted.
    pub(super) fn look(&mut self, frame: &frame::Video, out: &mut Glance) -> bool {
        if let Some(layout) = layout(frame.format()) {
            return self.look_at(frame, layout, |plane| rows(frame, plane).collect(), out);
        }
        let Some(converted) = self.convert(frame) else { return false };
        let stride = converted.stride(0);
        let packed = Layout { channels: [(0, 0, 3), (0, 1, 3), (0, 2, 3)], bits: 8, kind: Kind::Bgr };
        self.look_at(&converted, packed, |_| converted.data(0).chunks(stride).collect(), out)
    }

    fn look_at<'a>(
        &mut self,
        frame: &frame::Video,
        layout: Layout,
        rows_of: impl Fn(usize) -> Vec<&'a [u8]>,
        out: &mut Glance,
    ) -> bool {
        let (mut colour, mut every) = (Colour::Bgr, 1);
        if let Kind::Yuv { chroma: [across, down], full_range } = layout.kind {
            let full_range = full_range || frame.color_range() == Range::JPEG;
            // FFmpeg's quick conversion takes every other chroma row of 4:2:2, and cuts are compared with what it gives.
            let chroma = if (across, down) == (1, 0) { [1, 1] } else { [across, down] };
            every = 1 << (chroma[1] - down);
            colour = Colour::Yuv { matrix: matrix(frame.color_space(), full_range), chroma };
        }
        let channels = layout.channels.map(|(plane, first, _)| {
            let every = if plane == 0 { 1 } else { every };
            rows_of(plane).into_iter().step_by(every).filter_map(|row| row.get(first..)).collect::<Vec<_>>()
        });
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        if width == 0 || height == 0 || channels.iter().any(Vec::is_empty) {
            return false;
        }
        let plane =
            |channel: usize| Plane { rows: &channels[channel], step: layout.channels[channel].2, bits: layout.bits };
        self.glancer.look(&Picture { width, height, planes: [plane(0), plane(1), plane(2)], colour }, out);
        true
    }

    fn convert(&mut self, frame: &frame::Video) -> Option<frame::Video> {
        let (format, width, height) = (frame.format(), frame.width(), frame.height());
        if !matches!(&self.converter, Some((f, w, h, _)) if (*f, *w, *h) == (format, width, height)) {
            let flags = scaling::Flags::BICUBIC;
            let context = scaling::Context::get(format, width, height, Pixel::BGR24, width, height, flags).ok()?;
            self.converter = Some((format, width, height, context));
        }
        let mut converted = frame::Video::empty();
        let (_, _, _, context) = self.converter.as_mut()?;
        context.run(frame, &mut converted).ok()?;
        Some(converted)
    }
}

/// The factors of FFmpeg's conversion for a colour space; BT.601 where none is given.
fn matrix(space: Space, full_range: bool) -> Matrix {
    let factors = match space {
        Space::BT709 => [117_489, 138_438, 13_975, 34_925],
        Space::FCC => [104_448, 132_798, 24_759, 53_109],
        Space::SMPTE240M => [117_579, 136_230, 16_907, 35_559],
        Space::BT2020NCL | Space::BT2020CL => [110_013, 140_363, 12_277, 42_626],
        _ => [104_597, 132_201, 25_675, 53_279],
    };
    Matrix::new(factors, full_range)
}

/// How a pixel format is read, `None` if it has to be converted first.
fn layout(format: Pixel) -> Option<Layout> {
    let planar = |bits: u32, chroma: [u32; 2], full_range: bool| {
        let step = if bits > 8 { 2 } else { 1 };
        let channels = [(0, 0, step), (1, 0, step), (2, 0, step)];
        Layout { channels, bits, kind: Kind::Yuv { chroma, full_range } }
    };
    let packed = |channels, bits| Layout { channels, bits, kind: Kind::Bgr };
    Some(match format {
        Pixel::YUV420P | Pixel::YUVA420P => planar(8, [1, 1], false),
        Pixel::YUVJ420P => planar(8, [1, 1], true),
        Pixel::YUV422P | Pixel::YUVA422P => planar(8, [1, 0], false),
        Pixel::YUVJ422P => planar(8, [1, 0], true),
        Pixel::YUV444P | Pixel::YUVA444P => planar(8, [0, 0], false),
        Pixel::YUVJ444P => planar(8, [0, 0], true),
        Pixel::YUV410P => planar(8, [2, 2], false),
        Pixel::YUV411P => planar(8, [2, 0], false),
        Pixel::YUV420P10LE => planar(10, [1, 1], false),
        Pixel::YUV422P10LE => planar(10, [1, 0], false),
        Pixel::YUV444P10LE => planar(10, [0, 0], false),
        Pixel::YUV420P12LE => planar(12, [1, 1], false),
        Pixel::YUV422P12LE => planar(12, [1, 0], false),
        Pixel::YUV444P12LE => planar(12, [0, 0], false),
        Pixel::NV12 => Layout {
            channels: [(0, 0, 1), (1, 0, 2), (1, 1, 2)],
            bits: 8,
            kind: Kind::Yuv { chroma: [1, 1], full_range: false },
        },
        Pixel::NV21 => Layout {
            channels: [(0, 0, 1), (1, 1, 2), (1, 0, 2)],
            bits: 8,
            kind: Kind::Yuv { chroma: [1, 1], full_range: false },
        },
        Pixel::P010LE => Layout {
            channels: [(0, 0, 2), (1, 0, 4), (1, 2, 4)],
            bits: 16,
            kind: Kind::Yuv { chroma: [1, 1], full_range: false },
        },
        Pixel::GRAY8 => packed([(0, 0, 1); 3], 8),
        Pixel::GRAY10LE => packed([(0, 0, 2); 3], 10),
        Pixel::GRAY12LE => packed([(0, 0, 2); 3], 12),
        Pixel::BGR24 => packed([(0, 0, 3), (0, 1, 3), (0, 2, 3)], 8),
        Pixel::RGB24 => packed([(0, 2, 3), (0, 1, 3), (0, 0, 3)], 8),
        Pixel::BGRA | Pixel::BGRZ => packed([(0, 0, 4), (0, 1, 4), (0, 2, 4)], 8),
        Pixel::RGBA | Pixel::RGBZ => packed([(0, 2, 4), (0, 1, 4), (0, 0, 4)], 8),
        Pixel::GBRP => packed([(1, 0, 1), (0, 0, 1), (2, 0, 1)], 8),
        _ => return None,
    })
}
