//! Which instructions this processor has, and in which precision products are wanted.

use std::sync::OnceLock;

/// What a kernel is built for, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whatever the compiler makes of plain loops
    Portable,
    /// AVX2 with FMA: eight lanes
    Avx2,
    /// AVX-512F: sixteen lanes
    Avx512,
    /// AVX-512 with products of bf16 pairs
    Avx512Bf16,
    /// The same with AVX512-DQ, and products of bf16 by AMX's tiles
    Amx,
}

impl Level {
    /// Every level, from least to most.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx];

    /// The most that this processor has.
    #[must_use]
    pub fn detected() -> Self {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(detect)
    }

    /// The levels that this processor has.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|&level| level <= Self::detected())
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = avx2 && is_x86_feature_detected!("avx512f");
    match (avx2, avx512, is_x86_feature_detected!("avx512bf16")) {
        (_, true, true) if is_x86_feature_detected!("avx512dq") && crate::tiles::permitted() => Level::Amx,
        (_, true, true) => Level::Avx512Bf16,
        (_, true, false) => Level::Avx512,
        (true, ..) => Level::Avx2,
        _ => Level::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level::Portable
}

/// What the products are computed in; sums are f32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// f32 products
    F32,
    /// Both sides rounded to bf16, where the processor multiplies pairs of them; else f32
    Bf16,
}

impl Precision {
    /// The level that computes in this precision, no higher than `most`.
    pub(crate) fn level(self, most: Level) -> Level {
        match self {
            Self::F32 => most.min(Level::Avx512),
            Self::Bf16 => most,
        }
    }
}
