//! What families share: the building blocks, each with the checkpoint's parameter names.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod config;
#[cfg(feature = "cuda")]
mod cuda;
pub(crate) mod decoder;
pub(crate) mod embedding;
pub(crate) mod linear;
pub(crate) mod media;
pub(crate) mod norm;
pub(crate) mod pooling;
pub(crate) mod rope;
mod rows;
pub(crate) mod vision;
