//! Rows of FFmpeg frames as slices. The crate's own accessors take a negative stride for a huge one.

use ffmpeg_next::{ffi, frame};

/// Rows of `plane`, top to bottom, only the bytes that hold samples; none for a plane that is not there.
pub fn rows(frame: &frame::Video, plane: usize) -> impl Iterator<Item = &[u8]> {
    let layout = layout(frame, plane);
    (0..layout.rows).map(move |y| {
        // SAFETY: `data` points to row 0 and FFmpeg keeps rows 0..rows at `stride` bytes from each other, going up or
        // down, each at least `bytes` long; the frame is borrowed for as long as the slice lives.
        unsafe { std::slice::from_raw_parts(layout.data.offset(y as isize * layout.stride), layout.bytes) }
    })
}

struct Layout {
    data: *const u8,
    stride: isize,
    bytes: usize,
    rows: usize,
}

fn layout(frame: &frame::Video, plane: usize) -> Layout {
    let none = Layout { data: std::ptr::null(), stride: 0, bytes: 0, rows: 0 };
    if plane >= 4 {
        return none;
    }
    // SAFETY: reads the fields of a valid frame.
    let (data, stride, format, width, height) = unsafe {
        let frame = &*frame.as_ptr();
        (frame.data[plane], frame.linesize[plane] as isize, frame.format, frame.width, frame.height)
    };
    if data.is_null() || super::native::pixel_format(format).is_none() {
        return none;
    }
    // SAFETY: `pixel_format` knows the number, so it is one of the enum's; both calls only look tables up.
    let (bytes, shift) = unsafe {
        let format = std::mem::transmute::<i32, ffi::AVPixelFormat>(format);
        let bytes = ffi::av_image_get_linesize(format, width, i32::try_from(plane).unwrap_or(0));
        (bytes, (*ffi::av_pix_fmt_desc_get(format)).log2_chroma_h)
    };
    let height = usize::try_from(height).unwrap_or(0);
    let rows = if matches!(plane, 1 | 2) { height.div_ceil(1 << shift) } else { height };
    let bytes = usize::try_from(bytes).unwrap_or(0).min(stride.unsigned_abs());
    Layout { data, stride, bytes, rows }
}
