//! The CUDA kernels, against what the suite holds every version to: in the emulation and, under the feature `cuda`, on a GPU.

use super::cuda::{self, Outputs};
use super::program::run;
use super::tests::{Case, near};
use super::{Inputs, Mask, Mass, Program, Shape, Strided, probe, reference};
use crate::cuda::emulator::Emulator;
use crate::cuda::{Half, Machine};
use crate::level::Level;
use std::fmt::Debug;

/// What the kernels are given.
pub(super) enum Work<'a> {
    Mask(Mask<'a>),
    Program(&'a Program),
}

/// A case in halves, its rows filled up to what the kernels read.
struct Halves {
    half: Half,
    shape: Shape,
    interleaved: bool,
    scale: f32,
    /// Queries, keys and values
    bits: [Vec<u16>; 3],
    /// The same in f32
    values: [Vec<f32>; 3],
}

impl Halves {
    /// In one of the two formats, by the shape: the emulation takes its time.
    fn of(case: &Case) -> Self {
        let Shape { heads, kv_heads, rows, keys, dim } = case.shape;
        let half = if (rows + keys).is_multiple_of(2) { Half::Bf16 } else { Half::F16 };
        let shape = Shape { dim: dim.next_multiple_of(8), ..case.shape };
        let (inputs, interleaved) = (case.inputs(), case.interleaved);
        let mut own = Self {
            half,
            shape,
            interleaved,
            scale: inputs.scale,
            bits: Default::default(),
            values: Default::default(),
        };
        for (i, (from, heads, rows)) in
            [(inputs.q, heads, rows), (inputs.k, kv_heads, keys), (inputs.v, kv_heads, keys)].into_iter().enumerate()
        {
            let (head, row) = own.strides(heads, rows);
            let mut bits = vec![0; heads * rows * shape.dim];
            for (h, r) in (0..heads).flat_map(|h| (0..rows).map(move |r| (h, r))) {
                let to = &mut bits[h * head + r * row..][..dim];
                to.iter_mut().zip(from.row(h, r, dim)).for_each(|(to, &x)| *to = half.bits(x));
            }
            own.values[i] = values_of(half, &bits);
            own.bits[i] = bits;
        }
        own
    }

    /// Heads inside rows or rows inside heads, as the case has them.
    fn strides(&self, heads: usize, rows: usize) -> (usize, usize) {
        let dim = self.shape.dim;
        if self.interleaved { (dim, heads * dim) } else { (rows * dim, dim) }
    }

    fn sizes(&self) -> [(usize, usize); 3] {
        let Shape { heads, kv_heads, rows, keys, .. } = self.shape;
        [(heads, rows), (kv_heads, keys), (kv_heads, keys)]
    }

    /// What the kernels read, as the reference reads it.
    fn inputs(&self) -> Inputs<'_> {
        let sizes = self.sizes();
        let [q, k, v] = [0, 1, 2].map(|i: usize| {
            let (head, row) = self.strides(sizes[i].0, sizes[i].1);
            Strided { data: &self.values[i][..], head, row }
        });
        Inputs { q, k, v, shape: self.shape, scale: self.scale }
    }

    /// Where it lies in a machine's memory.
    fn on<M: Machine<Error: Debug>>(&self, machine: &M) -> ([M::Buffer; 3], cuda::Inputs) {
        let buffers = [0, 1, 2].map(|i: usize| machine.upload(&self.bits[i]).expect("memory"));
        let sizes = self.sizes();
        let [q, k, v] = [0, 1, 2].map(|i: usize| {
            let (head, row) = self.strides(sizes[i].0, sizes[i].1);
            cuda::Rows { address: machine.address(&buffers[i]), head, row }
        });
        let inputs = cuda::Inputs { half: self.half, q, k, v, shape: self.shape, scale: self.scale };
        (buffers, inputs)
    }
}

fn values_of(half: Half, bits: &[u16]) -> Vec<f32> {
    let value = |&bits: &u16| match half {
        Half::Bf16 => half::bf16::from_bits(bits).to_f32(),
        Half::F16 => half::f16::from_bits(bits).to_f32(),
    };
    bits.iter().map(value).collect()
}

/// Holds what a machine gives to the reference; gives the bits of the outputs and the log-sums.
fn held<M: Machine<Error: Debug>>(
    machine: &M,
    halves: &Halves,
    work: &Work,
    (want, want_lse): (&[f32], &[f32]),
    tolerance: f32,
) -> (Vec<u16>, Vec<f32>) {
    let (shape, half) = (halves.shape, halves.half);
    let (_buffers, inputs) = halves.on(machine);
    let out = machine.room(shape.heads * shape.rows * shape.dim * 2).expect("memory");
    let lse = machine.room(shape.heads * shape.rows * 4).expect("memory");
    let outputs = Outputs { out: machine.address(&out), lse: machine.address(&lse) };
    // SAFETY: the buffers were made for the shape.
    let ran = unsafe {
        match work {
            Work::Mask(mask) => cuda::attend(machine, &inputs, *mask, outputs),
            Work::Program(program) => cuda::attend_program(machine, &inputs, program, outputs),
        }
    };
    ran.expect("the kernels run");
    let mut out = machine.download::<u16>(&out).expect("the kernels run");
    let mut lse = machine.download::<f32>(&lse).expect("the kernels run");
    // Room for nothing may be room for something.
    out.truncate(want.len());
    lse.truncate(want_lse.len());
    near(&values_of(half, &out), want, tolerance, (half, shape));
    for (got, want) in lse.iter().zip(want_lse) {
        assert!(got == want || (got - want).abs() < 1e-2, "{half:?} {shape:?}: log-sum {got}, should be {want}");
    }
    (out, lse)
}

/// Runs the kernels in both orders of their threads, against the reference.
pub(super) fn emulated(case: &Case, work: &Work, tolerance: f32) {
    let halves = Halves::of(case);
    let inputs = halves.inputs();
    let (want, program) = match work {
        Work::Mask(mask) => (reference::attend(inputs, *mask), &Program::of(*mask, halves.shape)),
        Work::Program(program) => (reference::attend_program(inputs, program), *program),
    };
    let want_lse = run(Level::Portable, inputs, program).lse;
    let hold = |machine: &Emulator| held(machine, &halves, work, (&want, &want_lse), tolerance);
    let ways: Vec<_> = Emulator::both().iter().map(hold).collect();
    if let [forwards, backwards] = &ways[..] {
        assert_eq!(
            forwards, backwards,
            "the order of threads makes a difference: {:?} {:?}",
            halves.half, halves.shape
        );
    }
    #[cfg(feature = "cuda")]
    if let Some(gpu) = crate::cuda::gpu() {
        let _ = held(gpu, &halves, work, (&want, &want_lse), tolerance);
    }
}

fn held_probe<M: Machine<Error: Debug>>(
    machine: &M,
    halves: &Halves,
    positions: &[usize],
    near_by: &[usize],
    want: &[Mass],
) {
    let (_buffers, inputs) = halves.on(machine);
    // SAFETY: the buffers were made for the shape.
    let got = unsafe { cuda::probe(machine, &inputs, positions, near_by) }.expect("the kernels run");
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        let same = |of: fn(&Mass) -> &Vec<f32>| near(of(got), of(want), 1e-4, "a probe by CUDA");
        same(|mass| &mass.columns);
        same(|mass| &mass.distances);
        same(|mass| &mass.far);
    }
}

/// Probes by the kernels in both orders of their threads, against the probe of the processor.
pub(super) fn emulated_probe(case: &Case, positions: &[usize], near_by: &[usize]) {
    let halves = Halves::of(case);
    let want = probe(halves.inputs(), positions, near_by);
    for machine in Emulator::both() {
        held_probe(&machine, &halves, positions, near_by, &want);
    }
    #[cfg(feature = "cuda")]
    if let Some(gpu) = crate::cuda::gpu() {
        held_probe(gpu, &halves, positions, near_by, &want);
    }
}
