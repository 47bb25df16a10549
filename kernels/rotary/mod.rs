//! Rotary embedding over three axes (M-RoPE): pair `(x[i], x[i + dim / 2])` of every head is turned by the angle
//! `position[axis[i]] * frequency[i]`, and its length multiplied by a scale.
//!
//! Comes in: rows of heads in a GPU's memory, positions on three axes. Goes out: the rows, turned where they are. On the processor the
//! tensor library turns rows by tables; this is for GPUs, where sines are cheaper than reading them.

pub mod cuda;
pub mod reference;

/// How rows are turned.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// Of every token, by axis: time, row, column
    pub positions: [&'a [u32]; 3],
    /// Which axis turns each pair
    pub axes: &'a [usize],
    /// Radians of each pair by position
    pub frequencies: &'a [f32],
    /// What lengths are multiplied by
    pub scale: f32,
}

impl Turn<'_> {
    /// # Panics
    /// When its tables are of unlike lengths, or name a fourth axis.
    fn check(&self, tokens: usize, dim: usize) {
        assert!(self.positions.iter().all(|axis| axis.len() == tokens), "positions are not those of {tokens} tokens");
        assert!(dim.is_multiple_of(2) && self.axes.len() == dim / 2, "{} axes for width {dim}", self.axes.len());
        assert!(self.frequencies.len() == dim / 2, "{} frequencies for width {dim}", self.frequencies.len());
        assert!(self.axes.iter().all(|&axis| axis < 3), "there are three axes");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Turn, cuda, reference};
    use crate::attention::cuda::Rows;
    use crate::cuda::emulator::Emulator;
    use crate::cuda::{Half, Machine};

    #[test]
    fn rows_are_turned_as_the_formula_says() {
        for (tokens, heads, dim, half) in
            [(1, 1, 2, Half::F16), (7, 3, 64, Half::Bf16), (5, 2, 128, Half::F16), (3, 5, 80, Half::Bf16)]
        {
            let count = |i: usize| ((i * 37 + 11) % 64) as f32 / 32.0 - 1.0;
            let rows: Vec<f32> = (0..tokens * heads * dim).map(count).collect();
            // Every other token is far on in a long video.
            let axis = |axis: u32| (0..tokens as u32).map(|token| token * 7 + axis * 3 + token % 2 * 900_000).collect();
            let axes: [Vec<u32>; 3] = [axis(0), axis(1), axis(2)];
            let pairs = dim / 2;
            let turn = Turn {
                positions: [&axes[0], &axes[1], &axes[2]],
                axes: &(0..pairs).map(|pair| pair % 3).collect::<Vec<_>>(),
                frequencies: &(0..pairs).map(|pair| 1e6f32.powf(-(pair as f32) / pairs as f32)).collect::<Vec<_>>(),
                scale: 1.25,
            };
            // Multiples of 1/32 are exact in both formats.
            let bits: Vec<u16> = rows
                .iter()
                .map(|&x| match half {
                    Half::Bf16 => half::bf16::from_f32(x).to_bits(),
                    Half::F16 => half::f16::from_f32(x).to_bits(),
                })
                .collect();
            let mut want = rows;
            reference::rotate(&mut want, heads, dim, turn);
            for machine in Emulator::both() {
                let Ok(buffer) = machine.upload(&bits);
                let place = Rows { address: machine.address(&buffer), head: dim, row: heads * dim };
                // SAFETY: the buffer was made for so many rows.
                let Ok(()) = unsafe { cuda::rotate(&machine, half, place, (tokens, heads, dim), turn) };
                let Ok(got) = machine.download::<u16>(&buffer);
                for (i, (&got, want)) in got.iter().zip(&want).enumerate() {
                    let got = match half {
                        Half::Bf16 => half::bf16::from_bits(got).to_f32(),
                        Half::F16 => half::f16::from_bits(got).to_f32(),
                    };
                    assert!((got - want).abs() <= 2.0 / 256.0, "{half:?}: element {i} is {got}, should be {want}");
                }
            }
        }
    }
}
