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
    (a, a_row): (*const u16, usize),
    (b, b_row): (*const u16, usize),
    c: (*mut f32, usize),
) {
    debug_assert!(rows.is_multiple_of(BLOCK) && cols.is_multiple_of(BLOCK) && steps.is_multiple_of(STEPS));
    for col in (0..cols).step_by(BLOCK) {
        for row in (0..rows).step_by(BLOCK) {
            // SAFETY: the caller's; the blocks tile the matrix.
            unsafe {
                let a = a.add(row * a_row);
                let left = Pair { first: a, second: a.add(SIDE * a_row), row: a_row, step: 2 * STEPS };
                let b = b.add(col * 2);
                let right = Pair { first: b, second: b.add(2 * SIDE), row: 2 * b_row, step: 2 * STEPS * b_row };
                block::<ADD>(tiles, steps / STEPS, left, right, a, (c.0.add(row * c.1 + col), c.1));
            }
        }
    }
}

/// Rows of a tile, and columns of sums in one.
pub(crate) const SIDE: usize = 16;

/// Two rows (or columns) of tiles, which go along the steps together. All distances are in elements.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) first: *const u16,
    pub(crate) second: *const u16,
    /// From one row of a tile to the next
    pub(crate) row: usize,
    /// From one tile to the next along the steps
    pub(crate) step: usize,
}

/// Elements that [`block`] fetches ahead for each tile along the steps: four cache lines, which a block's products have time for.
pub(crate) const AHEAD: usize = 4 * 64 / size_of::<u16>();

/// One block of 32 x 32 sums, in four tiles, over `count` times 16 pairs. Meanwhile `count` times [`AHEAD`] elements from `ahead` on,
/// which need not be there, are fetched into the second-level cache. In a loop of these blocks alone, 512 rows by 2048 to 6144 (25 MB of
/// weights), one core of that Xeon then does 1530 instead of 1200 times 10^9 additions and multiplications a second; as many with as
/// without (1160) while other processes keep the memory busy.
///
/// # Safety
/// `count` tiles of both pairs and 32 rows of 32 sums are there.
#[inline(always)]
pub(crate) unsafe fn block<const ADD: bool>(
    _configured: &Tiles,
    count: usize,
    a: Pair,
    b: Pair,
    ahead: *const u16,
    (c, c_row): (*mut f32, usize),
) {
    macro_rules! sums_from {
        ([$($upper:literal),*], [$($lower:literal),*]) => {
            asm!(
                $($upper,)*
                "lea {c}, [{c} + 8 * {c_row}]",
                "lea {c}, [{c} + 8 * {c_row}]",
                $($lower,)*
                "2:",
                "sub {count}, 1",
                "jb 3f",
                "tileloadd tmm4, [{a0} + {a_row}]",
                "tileloadd tmm6, [{b0} + {b_row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b1} + {b_row}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a1} + {a_row}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "prefetcht1 [{ahead}]",
                "prefetcht1 [{ahead} + 64]",
                "prefetcht1 [{ahead} + 128]",
                "prefetcht1 [{ahead} + 192]",
                "add {ahead}, 256",
                "add {a0}, {a_step}",
                "add {a1}, {a_step}",
                "add {b0}, {b_step}",
                "add {b1}, {b_step}",
                "jmp 2b",
                "3:",
                "tilestored [{c} + {c_row}], tmm2",
                "tilestored [{c} + {c_row} + 64], tmm3",
                "shl {c_row}, 4",
                "sub {c}, {c_row}",
                "shr {c_row}, 4",
                "tilestored [{c} + {c_row}], tmm0",
                "tilestored [{c} + {c_row} + 64], tmm1",
                count = inout(reg) count => _,
                a0 = inout(reg) a.first => _,
                a1 = inout(reg) a.second => _,
                a_row = in(reg) a.row * size_of::<u16>(),
                a_step = in(reg) a.step * size_of::<u16>(),
                b0 = inout(reg) b.first => _,
                b1 = inout(reg) b.second => _,
                b_row = in(reg) b.row * size_of::<u16>(),
                b_step = in(reg) b.step * size_of::<u16>(),
                ahead = inout(reg) ahead => _,
                c = inout(reg) c => _,
                c_row = inout(reg) c_row * size_of::<f32>() => _,
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
                ["tileloadd tmm0, [{c} + {c_row}]", "tileloadd tmm1, [{c} + {c_row} + 64]"],
                ["tileloadd tmm2, [{c} + {c_row}]", "tileloadd tmm3, [{c} + {c_row} + 64]"]
            );
        } else {
            sums_from!(["tilezero tmm0", "tilezero tmm1"], ["tilezero tmm2", "tilezero tmm3"]);
        }
    }
}
