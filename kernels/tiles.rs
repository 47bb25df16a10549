//! Products on AMX: a tile register holds sixteen rows of 64 bytes, and one instruction multiplies sixteen rows of 32 bf16
//! with sixteen columns of them and adds the 256 sums in f32.
//!
//! Rust has no stable intrinsics for it, so this is assembly. The operands lie as AVX512-BF16 wants them, too: rows on the
//! left, pairs of rows on the right.
//!
//! What one core of an Intel Xeon (amx_bf16, virtual machine, 2026-11-25) does of 10^9 additions and multiplications a second,
//! by its processor time: 3670 with operands in registers, 3650 with one tile loaded for each product, 1070 if the
//! tile's rows straddle cache lines; 2740 for blocks of 32 x 32 sums whose operands stay in the first-level cache, 1200 to
//! 1500 where they come from the second. Configuring and releasing the tiles takes 47 ns, as long as ten products: once for
//! many blocks.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::marker::PhantomData;

/// Rows and columns of a block of sums: two tiles each way, so that each tile that is loaded is multiplied twice.
pub(crate) const BLOCK: usize = 32;
/// Pairs of the inner dimension that one instruction takes.
pub(crate) const STEPS: usize = 16;

/// Whether the processor has tiles of bf16 and the system lets this process use them.
pub(crate) fn permitted() -> bool {
    /// Bits of CPUID leaf 7, register EDX: AMX-BF16 and AMX-TILE.
    const FEATURES: u32 = 1 << 22 | 1 << 24;
    /// Bits of XCR0: tile configuration and tile data are saved when threads change.
    const SAVED: u64 = 1 << 17 | 1 << 18;
    if !is_x86_feature_detected!("xsave") {
        return false;
    }
    #[allow(unused_unsafe, reason = "CPUID is safe to call only from a later Rust on than the oldest that builds this")]
    // SAFETY: every processor of this architecture has CPUID.
    let (leaves, features) = unsafe { (__cpuid(0).eax, __cpuid_count(7, 0).edx) };
    // SAFETY: the processor has XSAVE, and the system has switched it on, or the feature would not have been detected.
    let saved = unsafe { _xgetbv(0) };
    leaves >= 7 && features & FEATURES == FEATURES && saved & SAVED == SAVED && granted()
}

/// Asks for the eight KiB of tiles that every thread of this process may have to save: Linux grants them once, to all threads.
#[cfg(target_os = "linux")]
fn granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_ulong = 18;
    // SAFETY: a request with two numbers, which reads and writes no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn granted() -> bool {
    false
}

/// This thread's tile registers, all of sixteen rows of 64 bytes, until they are dropped. While they are released a change of
/// threads does not save them.
pub(crate) struct Tiles {
    /// Registers belong to a thread.
    _thread: PhantomData<*const ()>,
}

impl Tiles {
    /// # Safety
    /// [`permitted`], and there are no others on this thread.
    #[inline(always)]
    pub(crate) unsafe fn configure() -> Self {
        #[repr(C, align(64))]
        struct Configuration {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            row_bytes: [u16; 16],
            rows: [u8; 16],
        }
        static CONFIGURATION: Configuration = {
            let (mut row_bytes, mut rows, mut tile) = ([0; 16], [0; 16], 0);
            while tile < 8 {
                (row_bytes[tile], rows[tile]) = (64, 16);
                tile += 1;
            }
            Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
        };
        // SAFETY: the caller's; 64 bytes are read, which are palette 1 within its limits.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, preserves_flags, readonly),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _);
        }
        Self { _thread: PhantomData }
    }
}

impl Drop for Tiles {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the registers were configured, and no product that uses them outlives the borrow of `self`.
        unsafe {
            asm!("tilerelease", options(nomem, nostack, preserves_flags),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _);
        }
    }
}

/// As [`crate::product::product`] with pairs of bf16.
///
/// # Safety
/// Rows and columns are multiples of 32 and steps of 16; the three matrices are there.
#[inline(always)]
pub(crate) unsafe fn product<const ADD: bool>(
    tiles: &Tiles,
    (rows, cols, steps): (usize, usize, usize),
    a: (*const u16, usize),
    b: (*const u16, usize),
    c: (*mut f32, usize),
) {
    debug_assert!(rows.is_multiple_of(BLOCK) && cols.is_multiple_of(BLOCK) && steps.is_multiple_of(STEPS));
    for col in (0..cols).step_by(BLOCK) {
        for row in (0..rows).step_by(BLOCK) {
            // SAFETY: the caller's; the blocks tile the matrix.
            unsafe {
                let (a, b, c) = ((a.0.add(row * a.1), a.1), (b.0.add(col * 2), b.1), (c.0.add(row * c.1 + col), c.1));
                block::<ADD>(tiles, steps / STEPS, a, b, c);
            }
        }
    }
}

/// One block of 32 x 32 sums, in four tiles, over `count` times 16 pairs.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn block<const ADD: bool>(
    _configured: &Tiles,
    count: usize,
    (a, a_row): (*const u16, usize),
    (b, b_row): (*const u16, usize),
    (c, c_row): (*mut f32, usize),
) {
    macro_rules! sums_from {
        ($($begin:literal),*) => {
            asm!(
                $($begin,)*
                "2:",
                "sub {count}, 1",
                "jb 3f",
                "tileloadd tmm4, [{a0} + {a_row}]",
                "tileloadd tmm6, [{b} + {b_row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {b_row} + 64]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a1} + {a_row}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a0}, 64",
                "add {a1}, 64",
                "add {b}, {b_step}",
                "jmp 2b",
                "3:",
                "tilestored [{c0} + {c_row}], tmm0",
                "tilestored [{c0} + {c_row} + 64], tmm1",
                "tilestored [{c1} + {c_row}], tmm2",
                "tilestored [{c1} + {c_row} + 64], tmm3",
                count = inout(reg) count => _,
                a0 = inout(reg) a => _,
                a1 = inout(reg) a.add(16 * a_row) => _,
                a_row = in(reg) a_row * size_of::<u16>(),
                b = inout(reg) b => _,
                b_row = in(reg) b_row * 2 * size_of::<u16>(),
                b_step = in(reg) STEPS * b_row * 2 * size_of::<u16>(),
                c0 = in(reg) c,
                c1 = in(reg) c.add(16 * c_row),
                c_row = in(reg) c_row * size_of::<f32>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }
    // SAFETY: the tiles are configured as sixteen rows of 64 bytes, so that a load or store touches sixteen rows of one line
    // each: rows of A, pairs of rows of B and rows of C, all inside the matrices. The compiler knows what is written.
    unsafe {
        if ADD {
            sums_from!(
                "tileloadd tmm0, [{c0} + {c_row}]",
                "tileloadd tmm1, [{c0} + {c_row} + 64]",
                "tileloadd tmm2, [{c1} + {c_row}]",
                "tileloadd tmm3, [{c1} + {c_row} + 64]"
            );
        } else {
            sums_from!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3");
        }
    }
}
