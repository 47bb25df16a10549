//! Sixteen numbers at a time, on each processor level: what products and softmax are written in.
//!
//! Every method is `inline(always)` and is only reached from a function that is compiled for the level, so that all of it
//! becomes that level's instructions.

#[cfg(target_arch = "x86_64")]
use crate::tiles::{self, Tiles};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Lanes of a [`Lanes::V`].
pub(crate) const LANES: usize = 16;

/// A processor level and the format in which it multiplies.
///
/// # Safety
/// All methods: the processor has the level's instructions, and pointers are valid for what is read or written there:
/// 16 f32, 16 steps of columns, one step of a row, 16 weights.
pub(crate) unsafe trait Lanes: Copy + Send + Sync + 'static {
    /// What products are made of
    type Elem: Copy + Default + Send + Sync;
    /// Sixteen sums
    type V: Copy;
    /// One step of a row of the left side, in every lane
    type Row: Copy;
    /// One step of sixteen columns of the right side
    type Cols: Copy;
    /// Elements of the inner dimension that one step takes
    const STEP: usize;
    /// Vectors of sums that fit the registers beside six rows
    const WIDE: usize;
    /// Rows, columns and steps that products take in multiples: operands are filled up to them, with zeros along the steps
    const WHOLE: (usize, usize, usize) = (1, LANES, 1);
    /// What a thread holds while it makes products
    type Ready;

    /// To be held on a thread while it makes products, one at a time.
    unsafe fn ready() -> Self::Ready;

    fn elem(x: f32) -> Self::Elem;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The nearest whole numbers
    unsafe fn round(a: Self::V) -> Self::V;
    /// `a * 2^n` for whole `n <= 0`; 0 where that is below the normal numbers
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V;
    unsafe fn row(from: *const Self::Elem) -> Self::Row;
    unsafe fn cols(from: *const Self::Elem) -> Self::Cols;
    /// `sum + row . cols` over one step
    unsafe fn dot(sum: Self::V, row: Self::Row, cols: Self::Cols) -> Self::V;
    /// Sixteen weights as elements of a row
    unsafe fn store_elems(to: *mut Self::Elem, v: Self::V);

    /// [`crate::product::product`] on this level
    #[inline(always)]
    unsafe fn product<const ADD: bool>(
        _ready: &Self::Ready,
        size: (usize, usize, usize),
        a: (*const Self::Elem, usize),
        b: (*const Self::Elem, usize),
        c: (*mut f32, usize),
    ) {
        // SAFETY: the caller's.
        unsafe { crate::product::blocks::<Self, ADD>(size, a, b, c) }
    }

    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        let mut all = [0.0; LANES];
        // SAFETY: sixteen f32 are there.
        unsafe { Self::store(all.as_mut_ptr(), v) };
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                all[i] += all[i + half];
            }
            half /= 2;
        }
        all[0]
    }

    #[inline(always)]
    unsafe fn largest(v: Self::V) -> f32 {
        let mut all = [0.0; LANES];
        // SAFETY: sixteen f32 are there.
        unsafe { Self::store(all.as_mut_ptr(), v) };
        all.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// 2^x for x <= 0, within 2 units in the last place: `2^n 2^r` with `|r| <= 1/2`, and `2^r` by its Taylor polynomial.
    #[inline(always)]
    unsafe fn exp2(x: Self::V) -> Self::V {
        /// `ln(2)^k / k!`
        const TERMS: [f32; 7] =
            [1.540_353e-4, 1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 0.240_226_5, std::f32::consts::LN_2, 1.0];
        // SAFETY: the caller's.
        unsafe {
            let n = Self::round(Self::max(x, Self::splat(-200.0)));
            let r = Self::fma(n, Self::splat(-1.0), Self::max(x, Self::splat(-200.0)));
            let mut p = Self::splat(TERMS[0]);
            for term in &TERMS[1..] {
                p = Self::fma(p, r, Self::splat(*term));
            }
            Self::scale(p, n)
        }
    }
}

/// `2^n` for whole `n`, from the exponent's bits; 0 below the normal numbers.
#[inline(always)]
fn power(n: f32) -> f32 {
    if n < -126.0 { 0.0 } else { f32::from_bits(((n as i32 + 127) as u32) << 23) }
}

/// Plain loops over arrays.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

// SAFETY: reads and writes what the trait says, with no special instructions.
unsafe impl Lanes for Portable {
    type Elem = f32;
    type V = [f32; LANES];
    type Row = f32;
    type Cols = [f32; LANES];
    type Ready = ();
    const STEP: usize = 1;
    const WIDE: usize = 1;

    #[inline(always)]
    unsafe fn ready() {}
    #[inline(always)]
    fn elem(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the trait's.
        unsafe { from.cast::<Self::V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the trait's.
        unsafe { to.cast::<Self::V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(mut a: Self::V, b: Self::V) -> Self::V {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    }
    #[inline(always)]
    unsafe fn mul(mut a: Self::V, b: Self::V) -> Self::V {
        a.iter_mut().zip(b).for_each(|(a, b)| *a *= b);
        a
    }
    #[inline(always)]
    unsafe fn max(mut a: Self::V, b: Self::V) -> Self::V {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = if *a > b { *a } else { b });
        a
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, mut c: Self::V) -> Self::V {
        for i in 0..LANES {
            c[i] += a[i] * b[i];
        }
        c
    }
    #[inline(always)]
    unsafe fn round(mut a: Self::V) -> Self::V {
        /// 1.5 * 2^23: adding it leaves the nearest whole number in the low bits of the significand.
        const ROUND: f32 = 12_582_912.0;
        a.iter_mut().for_each(|a| *a = *a + ROUND - ROUND);
        a
    }
    #[inline(always)]
    unsafe fn scale(mut a: Self::V, n: Self::V) -> Self::V {
        a.iter_mut().zip(n).for_each(|(a, n)| *a *= power(n));
        a
    }
    #[inline(always)]
    unsafe fn row(from: *const f32) -> f32 {
        // SAFETY: the trait's.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn cols(from: *const f32) -> Self::Cols {
        // SAFETY: the trait's.
        unsafe { Self::load(from) }
    }
    #[inline(always)]
    unsafe fn dot(mut sum: Self::V, row: f32, cols: Self::Cols) -> Self::V {
        for i in 0..LANES {
            sum[i] += row * cols[i];
        }
        sum
    }
    #[inline(always)]
    unsafe fn store_elems(to: *mut f32, v: Self::V) {
        // SAFETY: the trait's.
        unsafe { Self::store(to, v) }
    }
}

/// Two halves of eight.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

#[cfg(target_arch = "x86_64")]
// SAFETY: reads and writes what the trait says; AVX2 and FMA are the caller's to have.
unsafe impl Lanes for Avx2 {
    type Elem = f32;
    type V = [__m256; 2];
    type Row = __m256;
    type Cols = [__m256; 2];
    type Ready = ();
    const STEP: usize = 1;
    const WIDE: usize = 1;

    #[inline(always)]
    unsafe fn ready() {}
    #[inline(always)]
    fn elem(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the trait's.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the trait's.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the trait's.
        unsafe {
            _mm256_storeu_ps(to, v[0]);
            _mm256_storeu_ps(to.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the trait's.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the trait's.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the trait's.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the trait's.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: the trait's.
        unsafe { [_mm256_round_ps::<NEAREST>(a[0]), _mm256_round_ps::<NEAREST>(a[1])] }
    }
    #[inline(always)]
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V {
        // SAFETY: the trait's.
        unsafe {
            let power = |n: __m256| {
                let normal = _mm256_cmp_ps::<_CMP_GE_OQ>(n, _mm256_set1_ps(-126.0));
                let bits = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)));
                _mm256_and_ps(_mm256_castsi256_ps(bits), normal)
            };
            [_mm256_mul_ps(a[0], power(n[0])), _mm256_mul_ps(a[1], power(n[1]))]
        }
    }
    #[inline(always)]
    unsafe fn row(from: *const f32) -> Self::Row {
        // SAFETY: the trait's.
        unsafe { _mm256_set1_ps(*from) }
    }
    #[inline(always)]
    unsafe fn cols(from: *const f32) -> Self::Cols {
        // SAFETY: the trait's.
        unsafe { Self::load(from) }
    }
    #[inline(always)]
    unsafe fn dot(sum: Self::V, row: Self::Row, cols: Self::Cols) -> Self::V {
        // SAFETY: the trait's.
        unsafe { [_mm256_fmadd_ps(row, cols[0], sum[0]), _mm256_fmadd_ps(row, cols[1], sum[1])] }
    }
    #[inline(always)]
    unsafe fn store_elems(to: *mut f32, v: Self::V) {
        // SAFETY: the trait's.
        unsafe { Self::store(to, v) }
    }
}

/// What all AVX-512 levels share.
#[cfg(target_arch = "x86_64")]
macro_rules! avx512_sums {
    () => {
        type V = __m512;
        const WIDE: usize = 4;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            // SAFETY: the trait's.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self::V {
            // SAFETY: the trait's.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: Self::V) {
            // SAFETY: the trait's.
            unsafe { _mm512_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: the trait's.
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: the trait's.
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: the trait's.
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            // SAFETY: the trait's.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn round(a: Self::V) -> Self::V {
            // SAFETY: the trait's.
            unsafe { _mm512_roundscale_ps::<0>(a) }
        }
        #[inline(always)]
        unsafe fn scale(a: Self::V, n: Self::V) -> Self::V {
            // SAFETY: the trait's.
            unsafe { _mm512_scalef_ps(a, n) }
        }
        #[inline(always)]
        unsafe fn sum(v: Self::V) -> f32 {
            // SAFETY: the trait's.
            unsafe { _mm512_reduce_add_ps(v) }
        }
        #[inline(always)]
        unsafe fn largest(v: Self::V) -> f32 {
            // SAFETY: the trait's.
            unsafe { _mm512_reduce_max_ps(v) }
        }
    };
}

/// One register of f32.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

#[cfg(target_arch = "x86_64")]
// SAFETY: reads and writes what the trait says; AVX-512F is the caller's to have.
unsafe impl Lanes for Avx512 {
    type Elem = f32;
    type Row = __m512;
    type Cols = __m512;
    type Ready = ();
    const STEP: usize = 1;
    avx512_sums!();

    #[inline(always)]
    unsafe fn ready() {}

    #[inline(always)]
    fn elem(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    unsafe fn row(from: *const f32) -> Self::Row {
        // SAFETY: the trait's.
        unsafe { _mm512_set1_ps(*from) }
    }
    #[inline(always)]
    unsafe fn cols(from: *const f32) -> Self::Cols {
        // SAFETY: the trait's.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn dot(sum: Self::V, row: Self::Row, cols: Self::Cols) -> Self::V {
        // SAFETY: the trait's.
        unsafe { _mm512_fmadd_ps(row, cols, sum) }
    }
    #[inline(always)]
    unsafe fn store_elems(to: *mut f32, v: Self::V) {
        // SAFETY: the trait's.
        unsafe { _mm512_storeu_ps(to, v) }
    }
}

/// What the levels that multiply pairs of bf16 share.
#[cfg(target_arch = "x86_64")]
macro_rules! avx512_pairs {
    () => {
        type Elem = u16;
        type Row = __m512i;
        type Cols = __m512i;
        const STEP: usize = 2;
        avx512_sums!();

        /// As `half` rounds, in a form that compilers make wide instructions of.
        #[inline(always)]
        fn elem(x: f32) -> u16 {
            let bits = x.to_bits();
            // Half of the last place, and less where that makes the tie even.
            let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
            let quiet = bits | 1 << 22;
            ((if x.is_nan() { quiet } else { rounded }) >> 16) as u16
        }
        #[inline(always)]
        unsafe fn row(from: *const u16) -> Self::Row {
            // SAFETY: the trait's.
            unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn cols(from: *const u16) -> Self::Cols {
            // SAFETY: the trait's.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }
        #[inline(always)]
        unsafe fn dot(sum: Self::V, row: Self::Row, cols: Self::Cols) -> Self::V {
            // SAFETY: the trait's; a register of bf16 pairs and one of 32-bit integers are the same bits.
            unsafe {
                _mm512_dpbf16_ps(
                    sum,
                    std::mem::transmute::<__m512i, __m512bh>(row),
                    std::mem::transmute::<__m512i, __m512bh>(cols),
                )
            }
        }
        #[inline(always)]
        unsafe fn store_elems(to: *mut u16, v: Self::V) {
            // SAFETY: the trait's; 256 bits hold sixteen bf16.
            unsafe { to.cast::<__m256bh>().write_unaligned(_mm512_cvtneps_pbh(v)) }
        }
    };
}

/// Pairs of bf16 against pairs of bf16, summed in f32.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16;

#[cfg(target_arch = "x86_64")]
// SAFETY: reads and writes what the trait says; AVX-512F and AVX512-BF16 are the caller's to have.
unsafe impl Lanes for Avx512Bf16 {
    type Ready = ();
    avx512_pairs!();

    #[inline(always)]
    unsafe fn ready() {}
}

/// The same with products by tiles.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Amx;

#[cfg(target_arch = "x86_64")]
// SAFETY: reads and writes what the trait says; AVX-512F and -DQ, AVX512-BF16 and AMX are the caller's to have.
unsafe impl Lanes for Amx {
    type Ready = Tiles;
    const WHOLE: (usize, usize, usize) = (tiles::BLOCK, tiles::BLOCK, tiles::STEPS);
    avx512_pairs!();

    #[inline(always)]
    unsafe fn ready() -> Tiles {
        // SAFETY: the caller's.
        unsafe { Tiles::configure() }
    }
    /// Within 2^-13 of itself, where weights are rounded to bf16 by up to 2^-9: `2^floor(x) 2^r` with `0 <= r < 1`, and `2^r` by the
    /// cubic polynomial whose largest relative error is least.
    #[inline(always)]
    unsafe fn exp2(x: Self::V) -> Self::V {
        const TERMS: [f32; 4] = [0.078_024_52, 0.226_067_16, 0.695_833_5, 0.999_925_2];
        // SAFETY: the caller's; `x - floor(x)` is AVX512-DQ, and 0 for infinities, whose power of two is 0 then.
        unsafe {
            let r = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF }>(x);
            let mut p = Self::splat(TERMS[0]);
            for term in &TERMS[1..] {
                p = Self::fma(p, r, Self::splat(*term));
            }
            Self::scale(p, x)
        }
    }
    #[inline(always)]
    unsafe fn product<const ADD: bool>(
        ready: &Tiles,
        size: (usize, usize, usize),
        a: (*const u16, usize),
        b: (*const u16, usize),
        c: (*mut f32, usize),
    ) {
        // SAFETY: the caller's.
        unsafe { tiles::product::<ADD>(ready, size, a, b, c) }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::level::Level;

    #[test]
    fn pairs_round_as_half_does() {
        let steps = (0..=u32::MAX).step_by(4097);
        let edges =
            [0x7f80_0000, 0x7f80_0001, 0xff80_0000, 0x3f80_8000, 0x3f81_8000, 0x7f7f_ffff, 0x8000_0000, 0x7fff_ffff];
        for x in steps.chain(edges).map(f32::from_bits) {
            assert_eq!(Avx512Bf16::elem(x), half::bf16::from_f32(x).to_bits(), "{x} ({:#x})", x.to_bits());
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512bf16")]
    fn powers(x: [f32; LANES]) -> [f32; LANES] {
        let mut powers = [0.0; LANES];
        // SAFETY: the caller has the features, and both arrays are sixteen f32.
        unsafe { Amx::store(powers.as_mut_ptr(), Amx::exp2(Amx::load(x.as_ptr()))) };
        powers
    }

    #[test]
    fn weights_of_tiles_are_right_to_more_than_bf16() {
        if Level::detected() < Level::Amx {
            return;
        }
        for step in 0..100_000 {
            let x = std::array::from_fn(|lane| -1e-4 * (step * LANES + lane) as f32);
            // SAFETY: the level says that the processor has them.
            for (got, x) in unsafe { powers(x) }.into_iter().zip(x) {
                let want = f64::from(x).exp2();
                assert!((f64::from(got) - want).abs() <= want * 2f64.powi(-13) + 1e-37, "2^{x}: {got} for {want}");
            }
        }
        // SAFETY: as above.
        assert_eq!(unsafe { powers([f32::NEG_INFINITY; LANES]) }, [0.0; LANES]);
        // SAFETY: as above.
        assert_eq!(unsafe { powers([f32::MIN; LANES]) }, [0.0; LANES]);
    }
}
