//! How fast, how right? The protocols of `longsight bench`: each checks its answer before it times.

/// frames out of a file
pub mod decode;
