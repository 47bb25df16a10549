//! The number formats that a flag can name.

use longsight_models::ComputeDtype;

/// Number formats of the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Dtype {
    /// 32 bits: what references are held to
    #[default]
    F32,
    /// 16-bit IEEE floats: least memory, slow on a CPU
    F16,
    /// 16-bit brain floats in weights and products, on processors with AVX512-BF16; elsewhere as f32
    Bf16,
    /// Eight-bit weights in linear layers, made as they are loaded: a quarter of the memory of f32
    #[value(name = "q8_0")]
    Q8_0,
}

impl From<Dtype> for ComputeDtype {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::Bf16 => Self::Bf16,
            Dtype::Q8_0 => Self::Q8_0,
        }
    }
}
