//! The kernel against the formula, in the emulation (both orders of its threads) and, where there is one, on a GPU.

use super::{Groups, reference};

/// Some rows as they are, some merged, one of nothing.
fn mixed(rows: usize) -> Groups {
    let mut groups = Groups::of_rows([0, rows / 2, rows / 2, rows - 1]);
    groups.push((0..rows).map(|row| (row, 1.0 / rows as f32)));
    groups.push([]);
    groups.push([(rows - 1, 0.25), (0, 0.75)]);
    groups
}

#[test]
fn groups_are_sums_of_the_rows_they_name() {
    let groups = mixed(4);
    assert_eq!((groups.len(), groups.reach(), Groups::new().reach()), (7, 4, 0));
    let x: Vec<f32> = (0..8).map(|x| x as f32).collect();
    let want = [0.0, 1.0, 4.0, 5.0, 4.0, 5.0, 6.0, 7.0, 3.0, 4.0, 0.0, 0.0, 1.5, 2.5];
    assert_eq!(reference::gather(&x, 2, &groups), want);
}

#[cfg(target_os = "linux")]
mod on_machines {
    use super::super::cuda::gather;
    use super::*;
    use crate::attention::cuda::Rows;
    use crate::cuda::emulator::Emulator;
    use crate::cuda::{Half, Machine};
    use std::fmt::Debug;

    /// Rows of heads that lie inside rows, gathered into heads one after the other.
    fn held<M: Machine<Error: Debug>>(machine: &M, half: Half, heads: usize, rows: usize, columns: usize) {
        let (groups, width) = (mixed(rows), heads * columns + 5);
        // Multiples of 1/32 are exact in both formats.
        let x: Vec<f32> = (0..rows * width).map(|i| ((i * 37 + 11) % 64) as f32 / 32.0 - 1.0).collect();
        let from = machine.upload(&x.iter().map(|&x| half.bits(x)).collect::<Vec<_>>()).expect("memory");
        let to = machine.room(heads * groups.len() * columns * 2).expect("memory");
        let from_rows = Rows { address: machine.address(&from), head: columns, row: width };
        let to_rows = Rows { address: machine.address(&to), head: groups.len() * columns, row: columns };
        let number = crate::cuda::Number::Half(half);
        // SAFETY: the buffers were made for so many rows.
        unsafe { gather(machine, number, (from_rows, to_rows), (heads, rows, columns), &groups) }.expect("a launch");
        let got = machine.download::<u16>(&to).expect("a copy");
        for head in 0..heads {
            let own: Vec<f32> = x.chunks(width).flat_map(|row| &row[head * columns..][..columns]).copied().collect();
            for (at, want) in reference::gather(&own, columns, &groups).into_iter().enumerate() {
                let bits = got[head * groups.len() * columns + at];
                if at / columns < 4 {
                    assert_eq!(bits, half.bits(want), "{half:?}: a row that was to be copied, element {at}");
                }
                let near = (half_value(half, bits) - want).abs() <= 1.0 / 256.0;
                assert!(near, "{half:?}: element {at} of head {head} is {}, should be {want}", half_value(half, bits));
            }
        }
    }

    fn half_value(half: Half, bits: u16) -> f32 {
        match half {
            Half::Bf16 => half::bf16::from_bits(bits).to_f32(),
            Half::F16 => half::f16::from_bits(bits).to_f32(),
        }
    }

    #[test]
    fn rows_are_gathered_as_the_formula_says() {
        for (half, heads, rows, columns) in [(Half::Bf16, 1, 1, 7), (Half::F16, 3, 9, 64), (Half::Bf16, 2, 40, 300)] {
            for machine in Emulator::both() {
                held(&machine, half, heads, rows, columns);
            }
            #[cfg(feature = "cuda")]
            if let Some(gpu) = crate::cuda::gpu() {
                held(gpu, half, heads, rows, columns);
            }
        }
    }

    #[test]
    #[should_panic(expected = "row 8 of 4")]
    fn rows_that_are_not_there_are_refused() {
        let Some(machine) = Emulator::both().into_iter().next() else { panic!("row 8 of 4: no emulation here") };
        let nothing = Rows { address: 0, head: 0, row: 0 };
        let number = crate::cuda::Number::F32;
        // SAFETY: nothing is launched.
        let _ = unsafe { gather(&machine, number, (nothing, nothing), (1, 4, 2), &mixed(9)) };
    }
}
