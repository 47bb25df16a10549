//! What kernels read beside rows: structures alike here and in C++, and the tables that programs become.

use crate::attention::{Positions, Program};
use crate::cuda::{Half, Machine, Plain, bytes};
use std::collections::BTreeMap;

macro_rules! plain {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => { $(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name { $(pub(super) $field: $kind),* }
        // SAFETY: as `cuda.cu` declares it; the sizes of the fields add up to that of the whole, so there is no padding.
        unsafe impl Plain for $name {}
        const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$kind>())*);
    )* };
}

plain! {
    struct Members { list: u64, first: i32, step: i32, count: i32, unused: i32 }
    struct Set { positions: Members, keys: u64, values: u64, key_row: i64, value_row: i64, raises: u64 }
    struct Segment { set: i32, begin: i32, end: i32, near: i32, far: i32 }
    struct Block {
        head: i32, pack: i32, order: i32, first: i32, count: i32, sets: i32, segments_begin: i32, segments_end: i32, slot: i32,
        fresh: i32,
    }
    struct Attend {
        queries: u64, query_head: i64, query_row: i64, sets: u64, orders: u64, segments: u64, tiles: u64, out: u64, lse: u64,
        heads: i32, rows: i32, dim: i32, first: i32, wide: i32, scale: f32,
    }
    struct Merge { parts: u64, logs: u64, out: u64, lse: u64, slots: i32, rows: i32, dim: i32, unused: i32 }
    struct Probe {
        queries: u64, keys: u64, query_head: i64, query_row: i64, key_head: i64, key_row: i64, positions: u64, near: u64, logs: u64,
        columns: u64, distances: u64, far: u64, heads: i32, group: i32, rows: i32, dim: i32, seen: i32, stretch: i32, scale: f32,
        unused: i32,
    }
    struct Fill { values: u64, count: i64, value: f32, unused: i32 }
}

/// Tables one after the other, for one upload.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) bytes: Vec<u8>,
}

impl Tables {
    /// Gives where the table begins.
    pub(super) fn add<T: Plain>(&mut self, table: &[T]) -> usize {
        let begin = self.bytes.len().next_multiple_of(16);
        self.bytes.resize(begin, 0);
        self.bytes.extend_from_slice(bytes(table));
        begin
    }
}

/// The positions of lists and summaries, on the machine.
pub(super) struct Lists<B> {
    _positions: B,
    begin: u64,
    /// By where the list is in this process's memory, which names it for as long as the program is borrowed
    offsets: BTreeMap<*const Positions, usize>,
}

impl<B> Lists<B> {
    pub(super) fn of<'a, M: Machine<Buffer = B>>(
        machine: &M,
        sets: impl Iterator<Item = &'a Positions>,
    ) -> Result<Self, M::Error> {
        let (mut positions, mut offsets) = (Vec::new(), BTreeMap::new());
        for set in sets.filter(|set| matches!(set, Positions::List(_) | Positions::Summaries(_))) {
            offsets.insert(std::ptr::from_ref(set), positions.len());
            positions.extend((0..set.len()).map(|member| set.at(member) as i32));
        }
        // One more, so that there is something to point at.
        positions.push(0);
        let positions = machine.upload(&positions)?;
        Ok(Self { begin: machine.address(&positions), _positions: positions, offsets })
    }

    pub(super) fn members(&self, set: &Positions) -> Members {
        let count = set.len() as i32;
        let (first, step) = match *set {
            Positions::Strided { first, step, .. } => (first as i32, step as i32),
            _ => (0, 1),
        };
        let list = self.offsets.get(&std::ptr::from_ref(set)).map_or(0, |&offset| self.begin + 4 * offset as u64);
        Members { list, first, step, count, unused: 0 }
    }
}

/// Summaries, in the number format of the inputs.
pub(super) struct Packs<B> {
    _buffers: Vec<B>,
    /// By key head and set: keys, values, and what raises them
    pub(super) found: BTreeMap<(usize, usize), [u64; 3]>,
}

impl<B> Packs<B> {
    pub(super) fn of<M: Machine<Buffer = B>>(machine: &M, half: Half, program: &Program) -> Result<Self, M::Error> {
        let (mut buffers, mut found) = (Vec::new(), BTreeMap::new());
        for (head, sets) in program.sets.iter().enumerate() {
            for (index, set) in sets.iter().enumerate() {
                let Positions::Summaries(own) = set else { continue };
                if own.is_empty() {
                    continue;
                }
                let bits = |rows: &[f32]| rows.iter().map(|&x| half.bits(x)).collect::<Vec<u16>>();
                let raises: Vec<f32> = own.log_weights.iter().map(|log| log * std::f32::consts::LOG2_E).collect();
                let own =
                    [machine.upload(&bits(&own.keys))?, machine.upload(&bits(&own.values))?, machine.upload(&raises)?];
                found.insert((head, index), own.each_ref().map(|buffer| machine.address(buffer)));
                buffers.extend(own);
            }
        }
        Ok(Self { _buffers: buffers, found })
    }
}
