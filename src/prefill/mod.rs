//! Sparse prefill: which keys the rows of a prompt meet, head by head, so that hours of video do not cost their length squared.
//!
//! Comes in: the rotated queries and keys of a chunk, and the layout of the prompt. Goes out: attention's output. Never: a decision
//! about text that is generated, which always meets everything.
//!
//! A head's [`Pattern`] is found once for a model (`tune.rs`, the pattern file beside the weights); where its lines lie is estimated
//! for every prompt from some of its newest rows (`probe`, in the kernels); [`kept`] turns the lines into a program of tiles, which
//! one kernel runs. What lines leave out can be met in clusters (`clusters.rs`). The text after the last frame, where the question stands,
//! sees everything.
//!
//! MMInference (arXiv 2504.16083) is where the grid and the boundaries come from.

pub mod a_shape;
pub mod blocks;
pub mod clusters;
mod file;
pub mod grid;
pub mod kept;
pub mod layout;
pub mod pattern;
mod sparse;
#[cfg(test)]
mod tests;
pub mod tune;
pub mod vertical_slash;

pub use file::{FILE_NAME, PatternFile, PatternFileError, SCHEMA, TunedHead};
pub use layout::{Layout, Slot};
pub use pattern::{Boundary, HeadPattern, Pattern};
pub use sparse::{Heads, Ledger, Sparse, Spent};
