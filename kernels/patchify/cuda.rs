//! The launches.

use super::{Cut, Weights};
use crate::cuda::{Half, Launch, Machine, Plain};

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Resample {
    from: u64,
    to: u64,
    first: u64,
    weights: u64,
    outer: i32,
    from_length: i32,
    to_length: i32,
    inner: i32,
    taps: i32,
    unused: i32,
}
// SAFETY: as `cuda.cu` declares it: four words of eight bytes, six of four.
unsafe impl Plain for Resample {}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Cutting {
    pictures: u64,
    rows: u64,
    scale: [f32; 3],
    shift: [f32; 3],
    count: i32,
    height: i32,
    width: i32,
    patch: i32,
    temporal: i32,
    merge: i32,
}
// SAFETY: as `cuda.cu` declares it: two words of eight bytes, twelve of four.
unsafe impl Plain for Cutting {}

/// Makes rows of the frames at `frames`, and writes them from `rows` on.
///
/// # Errors
/// When the machine fails.
///
/// # Panics
/// When the sizes are none or no multiples.
///
/// # Safety
/// So many frames and rows are in the machine's memory, and nobody else writes them or reads the rows.
pub unsafe fn patchify<M: Machine>(machine: &M, half: Half, frames: u64, cut: Cut, rows: u64) -> Result<(), M::Error> {
    cut.check();
    if cut.patches() == 0 {
        return Ok(());
    }
    let ((from_height, from_width), (height, width)) = (cut.from, cut.to);
    // SAFETY: the frames are as large as the cut says, as the caller vouches, and what is made of them by `resample`.
    let (wide, tall) = unsafe {
        let wide = resample(machine, frames, (cut.count * from_height, from_width, 3), width, cut)?;
        let from = wide.as_ref().map_or(frames, |wide| machine.address(wide));
        let tall = resample(machine, from, (cut.count, from_height, width * 3), height, cut)?;
        (wide, tall)
    };
    let pictures = tall.as_ref().or(wide.as_ref()).map_or(frames, |buffer| machine.address(buffer));
    let arguments = Cutting {
        pictures,
        rows,
        scale: cut.scale,
        shift: cut.shift,
        count: cut.count as i32,
        height: height as i32,
        width: width as i32,
        patch: cut.patch as i32,
        temporal: cut.temporal as i32,
        merge: cut.merge as i32,
    };
    let kernel = &format!("cut_{}", half.name());
    let blocks = [(cut.patches() * cut.row()).div_ceil(256), 1, 1];
    // SAFETY: the pictures are there, and the rows, as the caller vouches.
    unsafe { machine.launch(Launch { kernel, blocks, threads: 256, shared: 0 }, &arguments) }
}

/// Along the middle axis; `None` where nothing changes.
///
/// # Safety
/// So many bytes are in the machine's memory.
unsafe fn resample<M: Machine>(
    machine: &M,
    from: u64,
    (outer, length, inner): (usize, usize, usize),
    to_length: usize,
    cut: Cut,
) -> Result<Option<M::Buffer>, M::Error> {
    if length == to_length {
        return Ok(None);
    }
    let Weights { taps, first, weights } = Weights::new(cut.filter, length, to_length);
    let (first, weights) = (machine.upload(&first)?, machine.upload(&weights)?);
    let to = machine.room(outer * to_length * inner)?;
    let arguments = Resample {
        from,
        to: machine.address(&to),
        first: machine.address(&first),
        weights: machine.address(&weights),
        outer: outer as i32,
        from_length: length as i32,
        to_length: to_length as i32,
        inner: inner as i32,
        taps: taps as i32,
        unused: 0,
    };
    let blocks = [(outer * to_length * inner).div_ceil(256), 1, 1];
    // SAFETY: the tables are as large as the kernel takes them to be; the caller vouches for the bytes.
    unsafe { machine.launch(Launch { kernel: "resample", blocks, threads: 256, shared: 0 }, &arguments)? };
    Ok(Some(to))
}
