//! Both sizes against the reference, and what comes back against what went in.

use super::{Bits, GROUP, dequantize, quantize, reference};
use half::f16;
use proptest::prelude::*;

const BOTH: [Bits; 2] = [Bits::Four, Bits::Eight];

fn check(bits: Bits, x: &[f32], columns: usize) {
    let (codes, bounds) = quantize(bits, x, columns);
    let (expected, expected_bounds) = reference::quantize(bits, x, columns);
    let mut back = vec![f32::NAN; x.len()];
    dequantize(bits, &codes, &bounds, columns, &mut back);
    let mut expected_back = vec![0.0; x.len()];
    reference::dequantize(bits, &codes, &bounds, columns, &mut expected_back);
    for (at, (&got, &wanted)) in back.iter().zip(&expected_back).enumerate() {
        assert!((got - wanted).abs() <= 1e-6 * wanted.abs().max(1e-6), "{at}: {got} for {wanted}");
    }
    // Codes are those of the reference but where f32 and f64 round a half differently; bounds may differ by f16's last place then.
    assert_eq!((codes.len(), bounds.len()), (expected.len(), expected_bounds.len()));
    let mut expected_back = vec![0.0; x.len()];
    reference::dequantize(bits, &expected, &expected_bounds, columns, &mut expected_back);
    for (at, ((&x, &got), &wanted)) in x.iter().zip(&back).zip(&expected_back).enumerate() {
        let (row, column) = (at / columns, at % columns);
        let group = row / GROUP * 2 * columns + column;
        let (low, step) = (bounds[group].to_f32(), bounds[group + columns].to_f32());
        let rounding = (low.abs() + step * bits.largest()) / 1024.0 + 1e-7;
        let x = x.clamp(f16::MIN.to_f32(), f16::MAX.to_f32());
        assert!((got - x).abs() <= step / 2.0 + rounding, "{at}: {got} for {x}, step {step}");
        assert!((got - wanted).abs() <= step + rounding, "{at}: {got}, the reference {wanted}, step {step}");
    }
}

#[test]
fn odd_numbers_of_rows_are_whole_groups_and_a_rest() {
    for bits in BOTH {
        for rows in [0, 1, 31, 32, 33, 64, 200] {
            let x: Vec<f32> = (0..rows * 10).map(|at| (at as f32 * 0.37).sin() * (at % 10) as f32 * 9.0).collect();
            check(bits, &x, 10);
        }
    }
}

#[test]
fn constants_come_back_as_f16_has_them() {
    for bits in BOTH {
        for value in [0.0, -0.0, 1.5, -1234.5, 1e-9, 65504.0, -65504.0] {
            let (codes, bounds) = quantize(bits, &[value; 66], 2);
            let mut back = [f32::NAN; 66];
            dequantize(bits, &codes, &bounds, 2, &mut back);
            assert!(back.iter().all(|&back| (back - value).abs() <= value.abs() / 2048.0 + 1e-7), "{value}");
        }
    }
}

#[test]
fn outliers_are_cut_and_cost_their_own_column_alone() {
    let mut x = vec![0.5f32; 4 * GROUP];
    (x[1], x[5]) = (1e9, -1e9);
    for bits in BOTH {
        let (codes, bounds) = quantize(bits, &x, 4);
        let mut back = vec![0.0; x.len()];
        dequantize(bits, &codes, &bounds, 4, &mut back);
        assert!(back.iter().all(|back| back.is_finite()));
        assert!(back.chunks(4).all(|row| row[0] == 0.5 && row[2] == 0.5 && row[3] == 0.5));
        assert!(back[1] > 60_000.0 && back[5] < -60_000.0);
    }
}

#[test]
fn finer_codes_are_nearer() {
    let x: Vec<f32> = (0..64 * 128).map(|at| ((at * 7919 % 1013) as f32 / 500.0 - 1.0).powi(3)).collect();
    let off = |bits| {
        let (codes, bounds) = quantize(bits, &x, 64);
        let mut back = vec![0.0; x.len()];
        dequantize(bits, &codes, &bounds, 64, &mut back);
        x.iter().zip(&back).map(|(x, back)| f64::from(x - back).powi(2)).sum::<f64>().sqrt()
    };
    assert!(off(Bits::Eight) * 10.0 < off(Bits::Four));
}

#[test]
#[should_panic(expected = "bounds of 2 rows")]
fn bounds_of_another_matrix_are_refused() {
    dequantize(Bits::Eight, &[0; 8], &[f16::ZERO; 4], 4, &mut [0.0; 8]);
}

#[test]
#[should_panic(expected = "have no halves")]
fn an_odd_number_of_columns_has_no_four_bit_codes() {
    let _ = quantize(Bits::Four, &[0.0; 3], 3);
}

proptest! {
    #[test]
    fn any_matrix_agrees_with_the_reference(
        columns in 1usize..20,
        rows in 0usize..70,
        seed in prop::collection::vec(-500f32..500.0, 1..60),
        scale in 0.001f32..30.0,
    ) {
        let columns = 2 * columns;
        let x: Vec<f32> = (0..rows * columns).map(|at| seed[at % seed.len()] * scale).collect();
        for bits in BOTH {
            check(bits, &x, columns);
        }
    }
}

/// The GPU's kernels against the processor's, in the emulation (both orders of its threads) and, where there is one, on a GPU.
#[cfg(target_os = "linux")]
mod on_machines {
    use super::super::bounds;
    use super::super::cuda::{self, Coded};
    use super::*;
    use crate::cuda::emulator::Emulator;
    use crate::cuda::{Half, Machine, Number};
    use std::fmt::Debug;

    /// Rows with others' columns between them, coded and taken back.
    fn held<M: Machine<Error: Debug>>(machine: &M, bits: Bits, number: Number, rows: usize, columns: usize) {
        let (row, gap) = (columns + 3, -7.0);
        // Multiples of 1/4 below 64 are exact in all formats; one column has an outlier, one is constant.
        let x: Vec<f32> = (0..rows * columns)
            .map(|at| match at % columns {
                0 => 2.5,
                1 if at / columns == rows / 2 => 60_000.0,
                _ => ((at * 37 + 11) % 256) as f32 / 4.0 - 32.0,
            })
            .map(|x| from_bits(number, to_bits(number, x)))
            .collect();
        let laid: Vec<f32> = x.chunks(columns).flat_map(|row| [row, &[gap; 3]].concat()).collect();
        let numbers = put(machine, number, &laid);
        let codes = machine.room(bits.bytes(rows, columns).max(1)).expect("memory");
        let bounds_of = machine.room((bounds(rows, columns) * 2).max(1)).expect("memory");
        let matrix = Coded {
            number,
            numbers: machine.address(&numbers),
            row,
            codes: machine.address(&codes),
            bounds: machine.address(&bounds_of),
            rows,
            columns,
            bits,
        };
        // SAFETY: the buffers were made for the matrix.
        unsafe { cuda::quantize(machine, matrix) }.expect("a launch");
        let (want, want_bounds) = quantize(bits, &x, columns);
        let mut got = machine.download::<u8>(&codes).expect("a copy");
        got.truncate(want.len());
        let mut got_bounds = machine.download::<u16>(&bounds_of).expect("a copy");
        got_bounds.truncate(want_bounds.len());
        assert_eq!(got_bounds, want_bounds.iter().map(|bound| bound.to_bits()).collect::<Vec<_>>());
        assert_eq!(got, want, "{bits:?} {number:?}: codes of {rows} x {columns}");
        // SAFETY: as above.
        unsafe { cuda::dequantize(machine, matrix) }.expect("a launch");
        let mut back = vec![0.0; x.len()];
        dequantize(bits, &want, &want_bounds, columns, &mut back);
        let after = take(machine, number, &numbers);
        for (at, got) in after[..laid.len()].iter().enumerate() {
            let want = if at % row < columns { back[at / row * columns + at % row] } else { gap };
            let rounding = if number == Number::F32 { 1e-6 } else { 1.0 / 256.0 };
            assert!(
                (got - want).abs() <= rounding * want.abs(),
                "{bits:?} {number:?}: {got} at {at}, should be {want}"
            );
        }
    }

    fn to_bits(number: Number, x: f32) -> u32 {
        match number {
            Number::F32 => x.to_bits(),
            Number::Half(half) => half.bits(x).into(),
        }
    }

    fn from_bits(number: Number, bits: u32) -> f32 {
        match number {
            Number::F32 => f32::from_bits(bits),
            Number::Half(Half::Bf16) => half::bf16::from_bits(bits as u16).to_f32(),
            Number::Half(Half::F16) => f16::from_bits(bits as u16).to_f32(),
        }
    }

    fn put<M: Machine<Error: Debug>>(machine: &M, number: Number, x: &[f32]) -> M::Buffer {
        match number {
            Number::F32 => machine.upload(x),
            Number::Half(half) => machine.upload(&x.iter().map(|&x| half.bits(x)).collect::<Vec<_>>()),
        }
        .expect("memory")
    }

    fn take<M: Machine<Error: Debug>>(machine: &M, number: Number, buffer: &M::Buffer) -> Vec<f32> {
        match number {
            Number::F32 => machine.download::<f32>(buffer).expect("a copy"),
            Number::Half(_) => {
                let bits = machine.download::<u16>(buffer).expect("a copy");
                bits.into_iter().map(|bits| from_bits(number, bits.into())).collect()
            }
        }
    }

    #[test]
    fn codes_are_the_processors() {
        for (rows, columns, number) in [
            (1, 2, Number::F32),
            (32, 64, Number::Half(Half::Bf16)),
            (33, 130, Number::Half(Half::F16)),
            (100, 300, Number::F32),
        ] {
            for bits in BOTH {
                for machine in Emulator::both() {
                    held(&machine, bits, number, rows, columns);
                }
                #[cfg(feature = "cuda")]
                if let Some(gpu) = crate::cuda::gpu() {
                    held(gpu, bits, number, rows, columns);
                }
            }
        }
    }
}
