//! The launches.

use super::{Bits, GROUP};
use crate::cuda::{Launch, Machine, Number, Plain};

/// Threads of a block, which takes a group of rows.
const THREADS: usize = 128;

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Quantize {
    numbers: u64,
    row: i64,
    codes: u64,
    bounds: u64,
    rows: i32,
    columns: i32,
}
// SAFETY: as `cuda.cu` declares it: four words of eight bytes, two of four.
unsafe impl Plain for Quantize {}

/// A matrix in the memory of a machine, as numbers and as codes.
#[derive(Debug, Clone, Copy)]
pub struct Coded {
    /// What the numbers are
    pub number: Number,
    /// Where row 0 begins
    pub numbers: u64,
    /// Numbers from one row to the next
    pub row: usize,
    /// Where the codes begin, [`Bits::bytes`] of them
    pub codes: u64,
    /// Where the bounds begin, [`super::bounds`] of them, f16
    pub bounds: u64,
    /// Rows
    pub rows: usize,
    /// Numbers of a row
    pub columns: usize,
    /// The size of a code
    pub bits: Bits,
}

/// Codes and bounds of the numbers.
///
/// # Errors
/// When the machine fails.
///
/// # Panics
/// When four-bit codes of an odd number of columns are asked for.
///
/// # Safety
/// The matrix is in the machine's memory in both forms, and nobody else writes the numbers or touches the codes and bounds.
pub unsafe fn quantize<M: Machine>(machine: &M, matrix: Coded) -> Result<(), M::Error> {
    // SAFETY: the caller's.
    unsafe { run(machine, "quantize", matrix) }
}

/// The numbers that the codes stand for.
///
/// # Errors
/// When the machine fails.
///
/// # Panics
/// When four-bit codes of an odd number of columns are asked for.
///
/// # Safety
/// The matrix is in the machine's memory in both forms, and nobody else touches the numbers or writes the codes and bounds.
pub unsafe fn dequantize<M: Machine>(machine: &M, matrix: Coded) -> Result<(), M::Error> {
    // SAFETY: the caller's.
    unsafe { run(machine, "dequantize", matrix) }
}

/// # Safety
/// As of what it is called for.
unsafe fn run<M: Machine>(machine: &M, what: &str, matrix: Coded) -> Result<(), M::Error> {
    let Coded { number, numbers, row, codes, bounds, rows, columns, bits } = matrix;
    if bits.bytes(rows, columns) == 0 {
        return Ok(());
    }
    let (row, rows, columns) = (row as i64, rows as i32, columns as i32);
    let arguments = Quantize { numbers, row, codes, bounds, rows, columns };
    let kernel = &format!("{what}{}_{}", if bits == Bits::Eight { 8 } else { 4 }, number.name());
    let launch = Launch { kernel, blocks: [matrix.rows.div_ceil(GROUP), 1, 1], threads: THREADS, shared: 0 };
    // SAFETY: the caller vouches for the matrix.
    unsafe { machine.launch(launch, &arguments) }
}
