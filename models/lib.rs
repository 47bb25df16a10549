//! Vision-language model families: what each computes, from a checkpoint folder to logits.
//!
//! Comes in: frames with their times, token ids. Goes out: visual tokens, logits. Never: decoding, prompts' wording,
//! sampling policy, or any file but the checkpoint's.

pub mod contract;
mod layers;
mod pixels;
mod qwen2_5_vl;
mod qwen3_vl;
mod weights;

pub use contract::*;

/// Every family that can be loaded, in the order in which they are asked.
pub static FAMILIES: &[&dyn Family] = &[&qwen3_vl::Qwen3Vl, &qwen2_5_vl::Qwen2_5Vl];

/// The family that claims the checkpoint's architecture.
///
/// # Errors
/// When none does.
pub fn family_of(checkpoint: &Checkpoint) -> Result<&'static dyn Family, ModelError> {
    let architecture = checkpoint.architecture();
    FAMILIES.iter().copied().find(|family| family.architectures().contains(&architecture)).ok_or_else(|| {
        ModelError::UnknownArchitecture {
            path: checkpoint.folder().to_path_buf(),
            architecture: architecture.to_owned(),
            supported: FAMILIES
                .iter()
                .flat_map(|family| family.architectures())
                .copied()
                .collect::<Vec<_>>()
                .join(", "),
        }
    })
}
