//! What every model family agrees on: time, frames, patches, visual tokens, sequences, and the two objects that a
//! forward pass is run against (attention and the KV cache).
//!
//! The types stand in the order in which data flows. No bare tensor crosses this border: each named type says its
//! shape and checks it once.

mod attention;
mod card;
mod checkpoint;
mod error;
mod family;
mod frame;
mod kv;
mod patches;
mod selection;
mod sequence;
mod time;
mod visual;

pub use attention::{Attention, Call, Dense};
pub use card::{Card, DTypeName};
pub use checkpoint::Checkpoint;
pub use error::ModelError;
pub use family::{ComputeDtype, Family, LoadOptions, Logits, PixelBudget, Processor, Size, Vlm, Want};
pub use frame::Frame;
pub use kv::{GrowingCache, KvCache};
pub use patches::{FrameRef, Grid, Medium, PatchTime, Patches};
pub use selection::{Group, Selection};
pub use sequence::{Extension, Sequence, VisualRun};
pub use time::{Span, TimeBase, Timestamp};
pub(crate) use visual::Gather;
pub use visual::{Coordinate, VisualTokens};
