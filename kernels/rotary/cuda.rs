//! Tables and the launch.

use super::Turn;
use crate::attention::cuda::Rows;
use crate::cuda::{Half, Launch, Machine, Plain};

/// Threads of a block, which takes a token.
const THREADS: usize = 128;

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Rotate {
    from: u64,
    from_token: i64,
    from_head: i64,
    to: u64,
    to_token: i64,
    to_head: i64,
    places: u64,
    axes: u64,
    frequencies: u64,
    placed: i32,
    first: i32,
    count: i32,
    heads: i32,
    dim: i32,
    scale: f32,
}
// SAFETY: as `cuda.cu` declares it: nine words of eight bytes, six of four.
unsafe impl Plain for Rotate {}

/// A [`Turn`] in a machine's memory: uploaded once, used by every layer.
#[derive(Debug)]
pub struct Table<B> {
    /// `[4][tokens]`: positions by axis, then each token's set of frequencies
    places: B,
    axes: B,
    frequencies: B,
    tokens: usize,
    dim: usize,
    scale: f32,
}

impl<B> Table<B> {
    /// Uploads it.
    ///
    /// # Errors
    /// When memory or the machine fails.
    ///
    /// # Panics
    /// When its tables do not fit together.
    pub fn new<M: Machine<Buffer = B>>(machine: &M, turn: Turn) -> Result<Self, M::Error> {
        turn.check();
        let places: Vec<u32> = turn.positions.iter().copied().chain([turn.sets]).flatten().copied().collect();
        let axes: Vec<i32> = turn.axes.iter().map(|&axis| axis as i32).collect();
        Ok(Self {
            places: machine.upload(&places)?,
            axes: machine.upload(&axes)?,
            frequencies: machine.upload(turn.frequencies)?,
            tokens: turn.tokens(),
            dim: turn.axes.len() * 2,
            scale: turn.scale as f32,
        })
    }

    /// Tokens that have positions.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Width of the heads that are turned.
    pub fn dim(&self) -> usize {
        self.dim
    }
}

/// Turns `(tokens, heads)` rows of `from` into `to`, which may be the same. Token `i` has the position of token
/// `first + i % count` of the table, so that equal pictures share theirs.
///
/// # Errors
/// When the machine fails.
///
/// # Panics
/// When the table has no such tokens.
///
/// # Safety
/// So many rows, as wide as the table says, are in the machine's memory at both places; these are the same or apart, and nobody else
/// writes there.
pub unsafe fn rotate<M: Machine>(
    machine: &M,
    half: Half,
    (from, to): (Rows, Rows),
    (tokens, heads): (usize, usize),
    table: &Table<M::Buffer>,
    (first, count): (usize, usize),
) -> Result<(), M::Error> {
    if tokens * heads * table.dim == 0 {
        return Ok(());
    }
    assert!(count > 0 && first + count <= table.tokens, "tokens {first} to {} of {}", first + count, table.tokens);
    let arguments = Rotate {
        from: from.address,
        from_token: from.row as i64,
        from_head: from.head as i64,
        to: to.address,
        to_token: to.row as i64,
        to_head: to.head as i64,
        places: machine.address(&table.places),
        axes: machine.address(&table.axes),
        frequencies: machine.address(&table.frequencies),
        placed: table.tokens as i32,
        first: first as i32,
        count: count as i32,
        heads: heads as i32,
        dim: table.dim as i32,
        scale: table.scale,
    };
    let kernel = &format!("rotate_{}", half.name());
    let launch = Launch { kernel, blocks: [tokens, 1, 1], threads: THREADS, shared: table.dim * 4 };
    // SAFETY: the table is as large as it says; the caller vouches for the rows.
    unsafe { machine.launch(launch, &arguments) }
}
