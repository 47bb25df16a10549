//! One piece of work, compiled for each level.

use crate::level::Level;

/// What is done, in a form that can be inlined.
pub(crate) trait Work {
    /// To be `inline(always)`.
    ///
    /// # Safety
    /// The processor has the instructions that the work is written for.
    unsafe fn run(self);
}

/// Runs `work`, compiled for `level`, which this processor must have.
#[inline]
pub(crate) fn run(level: Level, work: impl Work) {
    debug_assert!(level <= Level::detected());
    // SAFETY: the level was detected, so the processor has the instructions that each function is compiled to.
    unsafe {
        match level {
            Level::Portable => portable(work),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(work),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(work),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => avx512_bf16(work),
            #[cfg(target_arch = "x86_64")]
            Level::Amx => amx(work),
            #[cfg(not(target_arch = "x86_64"))]
            _ => portable(work),
        }
    }
}

macro_rules! compiled_for {
    ($name:ident $(, $features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn $name(work: impl Work) {
            // SAFETY: the caller's.
            unsafe { work.run() }
        }
    };
}
compiled_for!(portable);
#[cfg(target_arch = "x86_64")]
compiled_for!(avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
compiled_for!(avx512, "avx512f");
#[cfg(target_arch = "x86_64")]
compiled_for!(avx512_bf16, "avx512f,avx512bf16");
#[cfg(target_arch = "x86_64")]
compiled_for!(amx, "avx512f,avx512dq,avx512bf16");
