//! NVIDIA GPUs: how kernels in CUDA C++ (`kernels/*/cuda.cu`) are called.
//!
//! A kernel takes one structure, laid out alike in Rust and C++, with addresses in the memory of a [`Machine`]: the GPU itself
//! (`Gpu`, under the feature `cuda`) or, in tests, an emulation of its execution model (`emulate.h`), which runs the same sources. What
//! is written over a [`Machine`] (tables, scratch, launches) is therefore tested where there is no GPU.
//!
//! The kernels are compiled ahead of time by `build.rs`, for sm_80 and sm_90a, with the intermediate code of the former for what
//! comes later. Compiling at first use (NVRTC) would save no build: the tensor library's own kernels want nvcc as well. It would
//! cost a cache on disk with a key of its own, a wait at first use, and errors where the user sees them.

#[cfg(all(test, target_os = "linux"))]
pub(crate) mod emulator;
#[cfg(feature = "cuda")]
mod gpu;

#[cfg(feature = "cuda")]
pub use gpu::Gpu;

/// The kernels' sources, from this crate's folder on.
#[cfg(test)]
const SOURCES: &[&str] = &include!("sources.in");

/// A GPU, if there is one; then the suites are its suites too. `LONGSIGHT_TEST_GPU` says that there has to be one.
#[cfg(all(test, feature = "cuda"))]
pub(crate) fn gpu() -> Option<&'static Gpu> {
    static GPU: std::sync::OnceLock<Option<Gpu>> = std::sync::OnceLock::new();
    let open = || match Gpu::open(0) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            assert!(std::env::var_os("LONGSIGHT_TEST_GPU").is_none(), "there is no GPU to test: {error}");
            None
        }
    };
    GPU.get_or_init(open).as_ref()
}

/// What may be handed to a kernel as it lies in memory.
///
/// # Safety
/// The type is `repr(C)` or primitive, without padding, and the C++ side declares the same.
pub unsafe trait Plain: Copy {}

// SAFETY: primitives.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}

/// A call of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch<'a> {
    /// Its name in the source
    pub kernel: &'a str,
    /// Blocks of threads
    pub blocks: [usize; 3],
    /// Threads of a block
    pub threads: usize,
    /// Bytes of shared memory of a block
    pub shared: usize,
}

/// Something that runs kernels, one after another.
pub trait Machine {
    /// What may go wrong
    type Error;
    /// Memory of the machine; given back when dropped, after the kernels launched before
    type Buffer;

    /// Copies to the machine.
    ///
    /// # Errors
    /// When memory or the machine fails.
    fn upload<T: Plain>(&self, data: &[T]) -> Result<Self::Buffer, Self::Error>;

    /// So many bytes of whatever was there.
    ///
    /// # Errors
    /// When memory or the machine fails.
    fn room(&self, bytes: usize) -> Result<Self::Buffer, Self::Error>;

    /// What a buffer holds, when all kernels launched before are done.
    ///
    /// # Errors
    /// When one of them or the machine failed.
    fn download<T: Plain>(&self, buffer: &Self::Buffer) -> Result<Vec<T>, Self::Error>;

    /// Where a buffer is, a multiple of 256.
    fn address(&self, buffer: &Self::Buffer) -> u64;

    /// How many blocks of one warp keep the machine busy.
    fn wanted_blocks(&self) -> usize;

    /// Starts a kernel.
    ///
    /// # Errors
    /// When there is no such kernel, or the machine fails.
    ///
    /// # Safety
    /// The arguments are what the kernel takes, and the addresses in them are those of live memory, as large as the kernel takes
    /// them to be and written by nobody else meanwhile.
    unsafe fn launch<A: Plain>(&self, launch: Launch<'_>, arguments: &A) -> Result<(), Self::Error>;
}

/// The 16-bit number formats of tensor cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Brain floats
    Bf16,
    /// IEEE floats
    F16,
}

impl Half {
    /// As it is spelt in the names of kernels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// A number in the format.
    #[must_use]
    pub fn bits(self, x: f32) -> u16 {
        match self {
            Self::Bf16 => half::bf16::from_f32(x).to_bits(),
            Self::F16 => half::f16::from_f32(x).to_bits(),
        }
    }
}

/// The number formats of rows that are copied, summed up or coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// 32 bits
    F32,
    /// 16 bits
    Half(Half),
}

impl Number {
    /// As it is spelt in the names of kernels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Half(half) => half.name(),
        }
    }

    /// Of one number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Half(_) => 2,
        }
    }
}

/// The bytes of plain values.
pub(crate) fn bytes<T: Plain>(data: &[T]) -> &[u8] {
    // SAFETY: plain values have no padding.
    unsafe { std::slice::from_raw_parts(data.as_ptr().cast(), size_of_val(data)) }
}
